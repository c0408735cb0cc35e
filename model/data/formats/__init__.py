"""Other people's formats, read to the layout of ``data.yaml``; COCO's written, too.

What a file gets wrong is a DataError that names the element: nothing is guessed, no box dropped.
"""

from model.data.formats.coco import read_coco, write_coco
from model.data.formats.corners import read_corners
from model.data.formats.cvat import read_cvat
from model.data.formats.layout import write_layout
from model.data.formats.voc import read_voc

READERS = {"cvat": read_cvat, "coco": read_coco, "voc": read_voc, "corners": read_corners}

__all__ = ["READERS", "write_coco", "write_layout"]
