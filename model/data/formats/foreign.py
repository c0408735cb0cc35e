"""The one form that every foreign format is read to, and what the readers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model.data.dataset import PICTURES, DataError

Drawn = tuple[str, float, float, float, float]  # a box: its label, then x1 y1 x2 y2 in pixels


@dataclass(frozen=True)
class Marked:
    """One picture of a foreign set.

    name: its path below the split's folder. where: what errors call it. read: gives its file's
    bytes. rows: its boxes as the text of a label file. size: width and height in pixels as the
    labels state them, None when they do not. split: None where the format knows none.
    """

    name: str
    where: str
    read: Callable[[], bytes]
    rows: str
    size: tuple[int, int] | None = None
    split: str | None = None


@dataclass(frozen=True)
class Foreign:
    """A foreign set: class names in order, how many pictures there are, the pictures, read once.

    left_out: pictures whose labels cannot be said in rows (crowd regions); they are not among the
    pictures, since without those labels they would teach "no fruit here".
    """

    names: tuple[str, ...]
    count: int
    pictures: Iterable[Marked]
    left_out: tuple[str, ...] = ()


def safe_name(name: str, where: str) -> str:
    """A picture's path below a folder, as it came; DataError when it would lead elsewhere."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\:\0\n"):
        raise DataError(f"{where}: the path {name!r} leads out of the folder")
    if path.suffix.lower() not in PICTURES:
        raise DataError(f"{where}: {name!r} is no picture's name ({', '.join(sorted(PICTURES))})")
    return path.as_posix()


def find_picture(folder: Path, name: str, where: str) -> Path:
    """The file of a picture; DataError when it is not there."""
    path = folder / safe_name(name, where)
    if not path.is_file():
        raise DataError(f"{where}: no picture {path}; name the pictures' folder with --images")
    return path


def picture_called(images: Path, stem: Path) -> Path | None:
    """The picture that is called as its label file, ``stem`` relative to ``images``, or None."""
    for suffix in sorted(PICTURES):
        for spelled in (suffix, suffix.upper()):
            path = images / stem.with_name(stem.name + spelled)
            if path.is_file():
                return path
    return None


def class_names(given: Sequence[str], found: Iterable[str], where: Path) -> tuple[str, ...]:
    """The names given, which must hold every one that was found, or those found when none is."""
    found = tuple(found)
    unknown = sorted(set(found) - set(given))
    if given and unknown:
        raise DataError(f"{where}: classes {unknown} are not among the names {list(given)}")
    if len(set(found)) < len(found):
        raise DataError(f"{where}: a class name stands twice in {list(found)}")
    return tuple(given) or found


def as_rows(boxes: Sequence[Drawn], size: tuple[int, int], names: Sequence[str]) -> str:
    """Boxes in pixels of a picture of this width and height as the text of a label file."""
    width, height = size
    lines = []
    for label, x1, y1, x2, y2 in boxes:
        cx, cy, w, h = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, x2 - x1, y2 - y1
        lines.append(f"{names.index(label)} {cx:.8g} {cy:.8g} {w / width:.8g} {h / height:.8g}\n")
    return "".join(lines)
