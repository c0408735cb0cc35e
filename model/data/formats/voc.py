"""Pascal VOC: an XML file a picture, ``object``s with ``name`` and ``bndbox`` in pixels.

Coordinates are taken as they stand, which is what today's tools write; VOC's own, which count from
1, come out half a pixel off.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from model.data.dataset import DataError, read_text
from model.data.formats.foreign import (
    Drawn,
    Foreign,
    Marked,
    as_rows,
    class_names,
    find_picture,
    picture_called,
)


def read_voc(path: Path, images: Path | None = None, given: Sequence[str] = ()) -> Foreign:
    """Read every XML file below a folder; classes in the order of the alphabet.

    images: default ``JPEGImages`` beside the folder when there is one, else the folder itself.
    """
    beside = path.parent / "JPEGImages"
    images = images or (beside if beside.is_dir() else path)
    files = sorted(path.rglob("*.xml"))
    if not files:
        raise DataError(f"{path}: no XML files there")
    roots = [_parse(file) for file in files]
    drawn = [_objects(root, file) for root, file in zip(roots, files, strict=True)]
    found = sorted({label for boxes in drawn for label, *_ in boxes})
    names = class_names(given, found, path)
    pictures = []
    for root, boxes, file in zip(roots, drawn, files, strict=True):
        # the name of the XML file is right more often than the filename in it
        picture = picture_called(images, file.relative_to(path).with_suffix(""))
        if picture is None:
            picture = find_picture(images, _text(root, "filename", str(file)), str(file))
        size = _pixels(root, "size/width", file), _pixels(root, "size/height", file)
        name = picture.relative_to(images).as_posix()
        rows = as_rows(boxes, size, names)
        pictures.append(Marked(name, str(file), picture.read_bytes, rows, size))
    return Foreign(names, len(pictures), pictures)


def _parse(file: Path) -> ElementTree.Element:
    text = read_text(file)
    if "<!ENTITY" in text:
        raise DataError(f"{file}: has entities, which no labelling tool writes")
    try:
        return ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        raise DataError(f"{file}: not XML that can be read ({error})") from error


def _objects(root: ElementTree.Element, file: Path) -> list[Drawn]:
    boxes = []
    for number, item in enumerate(root.iter("object"), 1):
        where = f"{file}: object {number}"
        x1, y1, x2, y2 = (
            _value(item, f"bndbox/{corner}", where) for corner in ("xmin", "ymin", "xmax", "ymax")
        )
        boxes.append((_text(item, "name", where), x1, y1, x2, y2))
    return boxes


def _text(element: ElementTree.Element, path: str, where: str) -> str:
    found = (element.findtext(path) or "").strip()
    if not found:
        raise DataError(f"{where}: needs '{path}'")
    return found


def _value(element: ElementTree.Element, path: str, where: str) -> float:
    text = _text(element, path, where)
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}: {path}: {text!r} is not a number") from None


def _pixels(root: ElementTree.Element, path: str, file: Path) -> int:
    value = _value(root, path, str(file))
    if not value >= 1 or not value.is_integer():
        raise DataError(f"{file}: {path}: {value:g} is not a size in pixels")
    return int(value)
