"""Everything that is wrong with a data set, without stopping at the first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cv2.utils import logging
from tqdm import tqdm

from model.data.dataset import (
    PICTURES,
    DataConfig,
    DataError,
    decode_picture,
    label_path,
    list_pictures,
    unreadable,
)
from model.data.labels import FATAL, Problem, read_label_file

NO_LABELS = {"classes.txt", "train.txt", "val.txt", "test.txt"}  # lists that lie beside labels


def check_split(
    config: DataConfig, split: str, seen: dict[str, Path] | None = None
) -> list[Problem]:
    """Every problem of a split, in the order of its pictures; every picture is decoded.

    seen: the pictures of splits checked before, by SHA-256; this split's are added, so that a
    picture in two splits is found. Raises DataError only when there are no pictures at all.
    """
    seen = {} if seen is None else seen
    pictures = list_pictures(config, split)
    problems: list[Problem] = []
    with _quiet_opencv():
        for path in tqdm(pictures, unit="img", desc=f"check {split}", disable=None):
            problems += check_picture(path, seen)
            problems += read_label_file(label_path(path), len(config.names)).problems
    return problems + orphans(pictures)


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from telling stderr what the table will say."""
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def check_picture(path: Path, seen: dict[str, Path]) -> list[Problem]:
    """Whether a picture can be decoded whole, and whether the same bytes were seen before."""
    try:
        content = path.read_bytes()
        decode_picture(content, path)
    except (OSError, DataError):
        return [unreadable(path)]
    first = seen.setdefault(hashlib.sha256(content).hexdigest(), path)
    if first == path:
        return []
    return [Problem(path, 0, "repeated picture", f"the same picture as {first}")]


def orphans(pictures: Sequence[Path]) -> list[Problem]:
    """Label files in the folders of these pictures' labels that have no picture."""
    folders = {label_path(path).parent: path.parent for path in pictures}
    problems = []
    for labels, images in folders.items():
        stems = {p.stem for p in images.iterdir() if p.suffix.lower() in PICTURES}
        for path in sorted(labels.glob("*.txt")):
            if path.stem not in stems and path.name not in NO_LABELS:
                text = f"no picture {images / path.stem}.* for it"
                problems.append(Problem(path, 0, "label without picture", text))
    return problems


def as_table(problems: Mapping[str, Sequence[Problem]]) -> str:
    """Kinds of problem × splits as an aligned text table, then the first three of each kind."""
    lines = ["kind".ljust(24) + "".join(f"{split:>8}" for split in problems) + "   fatal"]
    for kind, fatal in FATAL.items():
        counts = [sum(p.kind == kind for p in found) for found in problems.values()]
        cells = "".join(f"{count:>8}" for count in counts)
        lines.append(f"{kind:<24}{cells}   {'yes' if fatal else 'no'}")
    for kind in FATAL:
        of_kind = [p for found in problems.values() for p in found if p.kind == kind]
        lines += [f"{kind}: {problem}" for problem in of_kind[:3]]
    return "\n".join(lines)
