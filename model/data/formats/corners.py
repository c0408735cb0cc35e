"""Corner JSON: for each picture a list of labels with their corners in pixels.

    {"image": "a.jpg", "width": 640, "height": 480, "objects": [
        {"label": "apple", "points": [[10, 20], [110, 20], [110, 120], [10, 120]]},
        {"label": "pear", "x1": 200, "y1": 30, "x2": 280, "y2": 150}]}

A file holds one such object, whose picture is the one of the file's name or else ``image``, or a
list of them; the source is a file or a folder of files. ``points`` are two opposite corners, four,
or any outline: the box is what they span. LabelMe's files are this too, under its names
``imagePath``, ``imageWidth``, ``imageHeight`` and ``shapes``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.data.dataset import DataError
from model.data.formats import fields
from model.data.formats.foreign import (
    Drawn,
    Foreign,
    Marked,
    as_rows,
    class_names,
    find_picture,
    picture_called,
)

SHAPES = {None, "rectangle", "polygon", "mask", "circle"}  # LabelMe's that enclose something
LABELME = {
    "imagePath": "image",
    "imageWidth": "width",
    "imageHeight": "height",
    "shapes": "objects",
}


def read_corners(path: Path, images: Path | None = None, given: Sequence[str] = ()) -> Foreign:
    """Read a file or every JSON file below a folder; classes in the order of the alphabet.

    images: the folder that pictures' names are relative to; default the one of ``path``.
    """
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: no JSON files there")
    root = path if path.is_dir() else path.parent
    entries = [entry for file in files for entry in _entries(file, root)]
    drawn = [_boxes(item, where) for item, where, _ in entries]
    names = class_names(given, sorted({label for boxes in drawn for label, *_ in boxes}), path)
    folder = images or root
    pictures = []
    for (item, where, stem), boxes in zip(entries, drawn, strict=True):
        found = picture_called(folder, stem) if stem else None
        found = found or find_picture(folder, fields.text(item, "image", where), where)
        size = fields.size(item, "width", "height", where)
        name = found.relative_to(folder).as_posix()
        rows = as_rows(boxes, size, names)
        pictures.append(Marked(name, where, found.read_bytes, rows, size))
    return Foreign(names, len(pictures), pictures)


def _entries(file: Path, root: Path) -> Iterator[tuple[object, str, Path | None]]:
    """The pictures of a file, LabelMe's names translated, each with what errors call it.

    The third is the file's own name below ``root`` when it holds one picture only.
    """
    raw = fields.read_json(file)
    several = isinstance(raw, list)
    stem = None if several else file.relative_to(root).with_suffix("")
    for number, item in enumerate(raw if isinstance(raw, list) else [raw]):
        if isinstance(item, dict):
            item = {LABELME.get(key, key): value for key, value in item.items()}
        yield item, f"{file}: [{number}]" if several else str(file), stem


def _boxes(item: object, where: str) -> list[Drawn]:
    return [
        (fields.text(drawn, "label", at), *_corners(drawn, at))
        for drawn, at in fields.elements(item, "objects", where)
    ]


def _corners(drawn: object, where: str) -> tuple[float, float, float, float]:
    if isinstance(drawn, dict) and "points" not in drawn:
        x1, y1, x2, y2 = (fields.number(drawn, key, where) for key in ("x1", "y1", "x2", "y2"))
        return x1, y1, x2, y2
    points = [
        fields.numbers({"points": point}, "points", 2, at)
        for point, at in fields.elements(drawn, "points", where)
    ]
    if len(points) < 2:
        raise DataError(f"{where}: 'points' must be two corners or more")
    shape = drawn.get("shape_type") if isinstance(drawn, dict) else None
    if shape not in SHAPES:
        raise DataError(f"{where}: a {shape} is no box; draw a rectangle, a polygon or a circle")
    if shape == "circle":  # its centre, and a point on it
        (x, y), rim = points[0], points[1]
        radius = math.dist((x, y), rim)
        return x - radius, y - radius, x + radius, y + radius
    across, down = zip(*points, strict=True)
    return min(across), min(down), max(across), max(down)
