"""COCO's detection JSON: images, annotations (bbox: x, y, width, height in pixels), categories.

Source: cocodataset.org, "Data format". Read, and written.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Sequence
from pathlib import Path

from tqdm import tqdm

from model.data.dataset import DataConfig, DataError, read_picture, read_split
from model.data.formats import fields
from model.data.formats.foreign import (
    Drawn,
    Foreign,
    Marked,
    as_rows,
    class_names,
    find_picture,
    safe_name,
)


def read_coco(path: Path, images: Path | None = None, given: Sequence[str] = ()) -> Foreign:
    """Read a detection JSON; classes in the order of their ids, pictures from ``images``.

    A picture with a crowd region is left out: rows cannot say that some fruit there has no box.
    """
    raw = fields.read_json(path)
    categories: dict[float, str] = {}
    for item, where in fields.elements(raw, "categories", str(path)):
        number = fields.number(item, "id", where)
        _once(number, categories, where)
        categories[number] = fields.text(item, "name", where)
    names = class_names(given, (categories[i] for i in sorted(categories)), path)
    boxes, crowds = _annotations(raw, categories, path)
    pictures, left_out = [], []
    seen: set[float] = set()
    for item, where in fields.elements(raw, "images", str(path)):
        number, name = fields.number(item, "id", where), fields.text(item, "file_name", where)
        _once(number, seen, where)
        seen.add(number)
        drawn = boxes.pop(number, [])
        if number in crowds:
            left_out.append(safe_name(name, where))
            continue
        size = fields.size(item, "width", "height", where)
        found = find_picture(images or path.parent, name, where)
        rows = as_rows(drawn, size, names)
        pictures.append(Marked(safe_name(name, where), where, found.read_bytes, rows, size))
    if boxes:
        raise DataError(f"{path}: annotations name image_id {min(boxes):g}, which no image has")
    return Foreign(names, len(pictures), pictures, tuple(left_out))


def _once(number: float, seen: Container[float], where: str) -> None:
    """Two exports laid into one file have ids twice, and boxes would change their owners."""
    if number in seen:
        raise DataError(f"{where}: id {number:g} is there twice; convert each export by itself")


def _annotations(
    raw: object, categories: dict[float, str], path: Path
) -> tuple[dict[float, list[Drawn]], set[float]]:
    """The boxes by picture, and the pictures that have a crowd region."""
    boxes: dict[float, list[Drawn]] = defaultdict(list)
    crowds = set()
    for item, where in fields.elements(raw, "annotations", str(path)):
        picture = fields.number(item, "image_id", where)
        category = fields.number(item, "category_id", where)
        if category not in categories:
            raise DataError(f"{where}: category_id {category:g} is not in 'categories'")
        x, y, w, h = fields.numbers(item, "bbox", 4, where)
        boxes[picture].append((categories[category], x, y, x + w, y + h))
        if isinstance(item, dict) and item.get("iscrowd"):
            crowds.add(picture)
    return dict(boxes), crowds


def write_coco(config: DataConfig, split: str) -> tuple[dict, Path]:
    """A split as a detection JSON's content, and the folder that its file names are relative to.

    Category ids are class ids + 1, as in COCO, where no id is 0.
    """
    samples = read_split(config, split)
    folder = Path(os.path.commonpath([sample.path.parent for sample in samples]))
    images: list[dict] = []
    annotations: list[dict] = []
    for number, sample in enumerate(tqdm(samples, unit="img", desc="convert", disable=None), 1):
        height, width = read_picture(sample.path).shape[:2]
        name = sample.path.relative_to(folder).as_posix()
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for class_id, cx, cy, w, h in sample.boxes.tolist():
            x, y = (cx - w / 2) * width, (cy - h / 2) * height
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(class_id) + 1,
                    "bbox": [x, y, w * width, h * height],
                    "area": w * width * h * height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(config.names, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}, folder
