"""Label files: rows "class cx cy w h" as shares of the picture, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# What can be wrong with a data set, and whether a picture can still be trained on.
# A row that is left out teaches "no fruit here": then the whole picture is not to be trusted.
FATAL = {
    "unreadable picture": True,
    "no box": True,
    "unknown class": True,
    "not finite": True,
    "no area": True,
    "outside": True,
    "two names": True,  # the same box under two classes: one of them is wrong
    "partly outside": False,  # clipped
    "duplicate box": False,  # taken once
    "label without picture": False,  # never read in training
    "repeated picture": False,
}
SLACK = 1e-3  # of a picture's side: what labelling tools round away is no problem
LEAST_SIDE = 1e-6  # of a picture's side: less is no area, and nothing in float32


@dataclass(frozen=True)
class Problem:
    """Something wrong in a data set; ``kind`` is a key of FATAL, ``line`` 0 the file as a whole."""

    path: Path
    line: int
    kind: str
    text: str

    @property
    def fatal(self) -> bool:
        """Whether the picture cannot be trained on."""
        return FATAL[self.kind]

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{where}: {self.text}"


@dataclass(frozen=True)
class Labels:
    """The good rows of a label file, float32 (N, 5) clipped to the picture, and its problems."""

    boxes: np.ndarray
    problems: tuple[Problem, ...] = ()


class BadRow(ValueError):
    """A row that is no box: the kind of problem and what to say."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind, self.text = kind, text


def read_label_file(path: Path, classes: int) -> Labels:
    """Read a label file; a missing or empty one has no boxes, which makes its picture a background.

    Never raises on bad content: every bad row is a problem.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Labels(np.zeros((0, 5), np.float32))
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(path, 0, "no box", f"cannot be read as text ({error})")
        return Labels(np.zeros((0, 5), np.float32), (problem,))
    return parse_labels(text, classes, path)


def parse_labels(text: str, classes: int, path: Path) -> Labels:
    """Read the rows of a label file's text; ``path`` names it in the problems."""
    rows: dict[tuple[float, ...], tuple[float, ...]] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = parse_row(line, classes)
            clipped = clip_row(row)
            if np.abs(np.subtract(row, clipped)).max() > SLACK:
                text = f"reaches outside the picture and is clipped, {line.strip()!r}"
                problems.append(Problem(path, number, "partly outside", text))
            _add(rows, clipped)
        except BadRow as bad:
            problems.append(Problem(path, number, bad.kind, bad.text))
    return Labels(np.array(list(rows.values()), np.float32).reshape(-1, 5), tuple(problems))


def parse_row(line: str, classes: int) -> tuple[float, ...]:
    """One row to class, cx, cy, w, h as they are written; BadRow when it is no box."""
    try:
        class_id, *box = map(float, line.split())
        _, _, w, h = box
    except ValueError:
        text = f"expected 'class cx cy w h', got {line.strip()!r}"
        raise BadRow("no box", text) from None
    if not np.isfinite((class_id, *box)).all():
        raise BadRow("not finite", f"a box needs finite numbers, got {line.strip()!r}")
    if not class_id.is_integer() or not 0 <= class_id < classes:
        raise BadRow("unknown class", f"class {class_id:g} is not in 0…{classes - 1}")
    if w < LEAST_SIDE or h < LEAST_SIDE:
        raise BadRow("no area", f"a box needs an area, got {line.strip()!r}")
    return class_id, *box


def clip_row(row: tuple[float, ...]) -> tuple[float, ...]:
    """The part of a row's box inside the picture; BadRow when there is none."""
    class_id, cx, cy, w, h = row
    low = np.clip([cx - w / 2, cy - h / 2], 0, 1)
    high = np.clip([cx + w / 2, cy + h / 2], 0, 1)
    if (high - low < LEAST_SIDE).any():
        raise BadRow("outside", f"the box {cx:g} {cy:g} {w:g} {h:g} lies outside the picture")
    return class_id, *((low + high) / 2), *(high - low)


def _add(rows: dict[tuple[float, ...], tuple[float, ...]], row: tuple[float, ...]) -> None:
    """Remember a row under its rounded box; BadRow when that box is there already."""
    key = tuple(round(value, 4) for value in row[1:])
    if key not in rows:
        rows[key] = row
    elif rows[key][0] == row[0]:
        raise BadRow("duplicate box", "the same box and class as a row above, taken once")
    else:
        names = f"{rows[key][0]:g} and {row[0]:g}"
        raise BadRow("two names", f"one box has two classes, {names}: remove the wrong row")


def as_rows(boxes: np.ndarray) -> str:
    """Boxes (N, 5) as the text of a label file; no boxes give an empty text."""
    return "".join(f"{int(c)} {x:.7g} {y:.7g} {w:.7g} {h:.7g}\n" for c, x, y, w, h in boxes)
