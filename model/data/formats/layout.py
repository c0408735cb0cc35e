"""A foreign set written as ``images/``, ``labels/`` and ``data.yaml``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tqdm import tqdm

from model.data.dataset import (
    DataError,
    decode_picture,
    label_path,
    write_config,
    write_labels,
)
from model.data.formats.foreign import Foreign, Marked
from model.data.labels import Labels, parse_labels


def write_layout(foreign: Foreign, out: Path, split: str = "train") -> Counter[str]:
    """Write a foreign set into a folder that has none yet; how many pictures each split got.

    split: for pictures whose format knows none. Files are taken over byte by byte. DataError names
    the picture that cannot be decoded, has another size than its labels state, or a bad box.
    """
    if (out / "data.yaml").exists():
        raise DataError(f"{out}: has a data.yaml already; choose another folder")
    written: Counter[str] = Counter()
    files: list[Path] = []
    try:
        for marked in tqdm(
            foreign.pictures, total=foreign.count, unit="img", desc="convert", disable=None
        ):
            content = marked.read()
            labels = _labels(marked, content, len(foreign.names))
            folder = marked.split or split
            path = out / "images" / folder / marked.name
            for file in (path, label_path(path)):  # a.jpg and a.png would share a label file
                if file.exists():
                    raise DataError(f"{marked.where}: a second picture called {path.stem}")
            files += [path, label_path(path)]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            write_labels(path, labels.boxes)
            written[folder] += 1
    except BaseException:  # so that the command can be repeated once the mistake is mended
        for file in files:
            file.unlink(missing_ok=True)
        raise
    if not written:
        raise DataError("there is no picture to convert")
    write_config(out, foreign.names, {name: f"images/{name}" for name in written})
    return written


def _labels(marked: Marked, content: bytes, classes: int) -> Labels:
    """A picture's labels, after looking at the picture itself."""
    height, width = decode_picture(content, Path(marked.where)).shape[:2]
    if marked.size and marked.size != (width, height):
        stated = "{}×{}".format(*marked.size)
        raise DataError(f"{marked.where}: the labels say {stated}, the picture is {width}×{height}")
    labels = parse_labels(marked.rows, classes, Path(marked.where))
    for problem in labels.problems:
        if problem.fatal:
            text = f"{marked.where}: box {problem.line}: {problem.text}"
            raise DataError(text)
    return labels
