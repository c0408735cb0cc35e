"""Data sets in the Ultralytics layout: a ``data.yaml`` and normalised txt labels."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

from model.data.labels import Problem, as_rows, read_label_file

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
SPLITS = ("train", "val", "test")
ADVICE = "; run 'python -m model.dataset check DATA.yaml' to see all"


class DataError(Exception):
    """A data set that cannot be used; the message names the file and says what to do."""


@dataclass(frozen=True)
class DataConfig:
    """A read ``data.yaml``: the folder, the class names in order, each split's folders or lists."""

    root: Path
    names: tuple[str, ...]
    splits: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Labelled:
    """One picture with its boxes: ``boxes`` float32 (N, 5): class id, then cxcywh in [0, 1]."""

    path: Path
    boxes: np.ndarray


def read_config(path: Path) -> DataConfig:
    """Read a ``data.yaml``: ``names`` a list or a mapping from ids; ``train``, ``val``, ``test``
    a folder, a txt file that lists pictures, or a list of these, relative to ``path``, which is
    relative to the file. DataError names what is missing.
    """
    try:
        raw = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise DataError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(raw, dict) or not raw.get("names"):
        raise DataError(f"{path}: needs a list 'names' and the folders 'train' and 'val'")
    names = _names(raw, path)
    root = (path.parent / str(raw.get("path") or ".")).resolve()
    splits = {}
    for key in SPLITS:
        entries = raw.get(key) or ()
        entries = entries if isinstance(entries, list | tuple) else (entries,)
        if entries:
            splits[key] = tuple(map(str, entries))
    return DataConfig(root, names, splits)


def same_names(path: Path, names: Sequence[str], theirs: Sequence[str]) -> None:
    """DataError unless a data.yaml has the classes of some weights, in the same order."""
    if tuple(names) != tuple(theirs):
        raise DataError(f"{path}: names {tuple(names)} differ from the weights' {tuple(theirs)}")


def _names(raw: dict, path: Path) -> tuple[str, ...]:
    names, count = raw["names"], raw.get("nc")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f"{path}: 'names' needs the ids 0…{len(names) - 1}, got {list(names)}")
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list):
        raise DataError(f"{path}: 'names' must be a list or a mapping from ids, got {names!r}")
    if count is not None and count != len(names):
        raise DataError(f"{path}: 'nc' says {count}, but 'names' has {len(names)}")
    names = tuple(map(str, names))
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise DataError(f"{path}: 'names' has {', '.join(twice)} more than once")
    return names


def write_config(folder: Path, names: Sequence[str], splits: Mapping[str, str]) -> Path:
    """Write ``data.yaml`` into a folder; ``splits`` are relative to it. Returns its path."""
    path = folder / "data.yaml"
    config = {"path": ".", **splits, "nc": len(names), "names": list(names)}
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def list_pictures(config: DataConfig, split: str) -> list[Path]:
    """The pictures of a split, each once, in name order; DataError when there is none."""
    if split not in config.splits:
        raise DataError(f"data.yaml names no '{split}' folder; it has {', '.join(config.splits)}")
    found = set()
    for entry in config.splits[split]:
        place = _resolve(config.root, entry)
        inside = _listed(place) if place.is_file() else place.rglob("*")
        pictures = {path for path in inside if path.suffix.lower() in PICTURES}
        if not pictures:
            raise DataError(f"{place}: no pictures there; check 'path' and '{split}' in data.yaml")
        found |= pictures
    labels: dict[Path, Path] = {}
    for picture in sorted(found):
        other = labels.setdefault(label_path(picture), picture)
        if other != picture and label_path(picture).is_file():
            raise DataError(f"{picture}: shares its labels with {other.name}; rename one of them")
    return sorted(found)


def _resolve(root: Path, entry: str) -> Path:
    """Where an entry lies. Roboflow writes ``../train/images`` for a folder beside data.yaml."""
    place = (root / entry).resolve()
    beside = (root / entry.removeprefix("../")).resolve()
    return beside if not place.exists() and beside.exists() else place


def _listed(listing: Path) -> list[Path]:
    """The pictures that a txt file lists, a path a line, relative to the file."""
    found: list[Path] = []
    for number, line in enumerate(read_text(listing).splitlines(), 1):
        if line.strip():
            found.append((listing.parent / line.strip()).resolve())
            if not found[-1].is_file():
                raise DataError(f"{listing}:{number}: no picture {found[-1]}")
    return found


def read_text(path: Path) -> str:
    """A text file's content; DataError when it cannot be read as UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error})") from error


def read_table(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV; DataError when it is none in UTF-8 or lacks one of the columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # as spreadsheets save it, too
            rows = csv.DictReader(file)
            missing = [name for name in columns if name not in (rows.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: has no column {', '.join(map(repr, missing))}")
            return list(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV in UTF-8 ({error})") from error


def label_path(picture: Path) -> Path:
    """Where a picture's labels lie: the last folder named ``images`` becomes ``labels``."""
    parts = list(picture.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def write_labels(picture: Path, boxes: np.ndarray) -> None:
    """Write the label file of a picture, boxes (N, 5) of class and cxcywh in [0, 1]."""
    path = label_path(picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_rows(boxes), encoding="utf-8")


def read_split(config: DataConfig, split: str, bad: str = "refuse") -> list[Labelled]:
    """Read a split's labels; a missing or empty label file makes its picture a background.

    bad: "refuse" raises DataError with file and line at the first picture that cannot be trusted;
    "skip" leaves such pictures out whole, since a row left out would teach "no fruit here", and
    says so in one line on stderr. Pictures are not decoded: only their first bytes are looked at.
    """
    samples, problems = [], []
    for path in list_pictures(config, split):
        labels = read_label_file(label_path(path), len(config.names))
        fatal = [problem for problem in labels.problems if problem.fatal]
        if not cv2.haveImageReader(str(path)):
            fatal.append(unreadable(path))
        if fatal:
            problems.append(fatal[0])
        else:
            samples.append(Labelled(path, labels.boxes))
    if problems and bad == "refuse":
        raise DataError(f"{problems[0]}; {len(problems)} such pictures in '{split}'{ADVICE}")
    if problems:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(p.kind for p in problems).items())
        line = f"left out {len(problems)} pictures of '{split}' ({kinds}), first {problems[0]}"
        print(f"warning: {line}{ADVICE}", file=sys.stderr)
    if not samples:
        raise DataError(f"'{split}' has no picture that can be used{ADVICE}")
    return samples


def leave_out(samples: Sequence[Labelled], listing: Path) -> list[Labelled]:
    """The samples without those that a text file names, one a line; after ``#`` is a comment.

    A name is a picture's file name, its ending left away. Raises DataError for one that no sample
    has: the list is then of other data.
    """
    lines = (line.partition("#")[0].strip() for line in read_text(listing).splitlines())
    names = {line for line in lines if line}
    unknown = names - {sample.path.stem for sample in samples}
    if unknown:
        raise DataError(f"{listing}: no picture is called {min(unknown)}; is it of other data?")
    return [sample for sample in samples if sample.path.stem not in names]


def unreadable(path: Path) -> Problem:
    """The problem of a file that is no picture."""
    return Problem(path, 0, "unreadable picture", "not a readable picture; remove or replace it")


def decode_picture(content: bytes, path: Path) -> np.ndarray:
    """Decode a file's bytes as uint8 (H, W, 3) BGR; DataError when they are no picture."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise DataError(str(unreadable(path)))
    return image


def read_picture(path: Path) -> np.ndarray:
    """Read a picture as uint8 (H, W, 3) BGR; DataError when it is no picture."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return decode_picture(content, path)


def data_hash(samples: Sequence[Labelled]) -> str:
    """SHA-256 over names and sizes of the pictures and over the boxes, in order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.path.name} {sample.path.stat().st_size}".encode())
        digest.update(sample.boxes.tobytes())
    return digest.hexdigest()
