"""Data sets in the Ultralytics layout: a ``data.yaml`` and normalised txt labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


class DataError(Exception):
    """A data set that cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True)
class DataConfig:
    """A read ``data.yaml``: the folder, the class names in order, the splits by name."""

    root: Path
    names: tuple[str, ...]
    splits: dict[str, str]


@dataclass(frozen=True)
class Labelled:
    """One picture with its boxes: ``boxes`` float32 (N, 5): class id, then cxcywh in [0, 1]."""

    path: Path
    boxes: np.ndarray


def read_config(path: Path) -> DataConfig:
    """Read a ``data.yaml``; DataError names what is missing."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(raw, dict) or not raw.get("names"):
        raise DataError(f"{path}: needs a list 'names' and the folders 'train' and 'val'")
    names = raw["names"]
    names = [names[i] for i in sorted(names)] if isinstance(names, dict) else names
    root = (path.parent / str(raw.get("path", "."))).resolve()
    splits = {key: str(raw[key]) for key in ("train", "val", "test") if raw.get(key)}
    return DataConfig(root, tuple(map(str, names)), splits)


def read_split(config: DataConfig, split: str) -> list[Labelled]:
    """Read a split's labels; a missing or empty label file makes its picture a background.

    Raises DataError for a missing split or folder, and with file and line for a bad label.
    """
    if split not in config.splits:
        raise DataError(f"data.yaml names no '{split}' folder; it has {', '.join(config.splits)}")
    folder = config.root / config.splits[split]
    pictures = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    if not pictures:
        raise DataError(f"{folder}: no pictures there; check 'path' and '{split}' in data.yaml")
    return [Labelled(path, read_labels(label_path(path), len(config.names))) for path in pictures]


def label_path(picture: Path) -> Path:
    """Where a picture's labels lie: the last folder named ``images`` becomes ``labels``."""
    parts = list(picture.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def read_labels(path: Path, classes: int) -> np.ndarray:
    """Read one txt: rows "class cx cy w h" → float32 (N, 5); a missing file gives (0, 5).

    Boxes are clipped to the picture. Raises DataError on a row that is no box.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [
        _parse(line, f"{path}:{number}", classes)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    return np.array(rows, np.float32).reshape(-1, 5)


def _parse(line: str, where: str, classes: int) -> tuple[float, ...]:
    try:
        class_id, cx, cy, w, h = map(float, line.split())
    except ValueError:
        raise DataError(f"{where}: expected 'class cx cy w h', got {line.strip()!r}") from None
    if not class_id.is_integer() or not 0 <= class_id < classes:
        raise DataError(f"{where}: class {class_id:g} is not in 0…{classes - 1}")
    if not np.isfinite([cx, cy, w, h]).all() or w <= 0 or h <= 0:
        raise DataError(f"{where}: a box needs finite numbers and an area, got {line.strip()!r}")
    low = np.clip([cx - w / 2, cy - h / 2], 0, 1)
    high = np.clip([cx + w / 2, cy + h / 2], 0, 1)
    return class_id, *((low + high) / 2), *(high - low)


def read_picture(path: Path) -> np.ndarray:
    """Read a picture as uint8 (H, W, 3) BGR; DataError when it is no picture."""
    image = (
        cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
    )
    if image is None:
        raise DataError(f"{path}: not a readable picture; remove or replace it")
    return image


def data_hash(samples: list[Labelled]) -> str:
    """SHA-256 over names and sizes of the pictures and over the boxes, in order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.path.name} {sample.path.stat().st_size}".encode())
        digest.update(sample.boxes.tobytes())
    return digest.hexdigest()
