"""CVAT's "YOLO 1.1": a zip with obj.data, obj.names, lists of pictures and obj_train_data/."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from model.data.dataset import DataError
from model.data.formats.foreign import Foreign, Marked, find_picture, safe_name

MOST_BYTES = 16 * 2**30  # of the whole content: more is a bomb or a mistake
MOST_FILE_BYTES = 256 * 2**20
SPLITS = {"train": "train", "valid": "val", "test": "test"}


def read_cvat(path: Path, images: Path | None = None, given: Sequence[str] = ()) -> Foreign:
    """Read an export; ``images`` holds the pictures of one that was saved without them.

    Members are read into memory one by one and never unpacked to their own paths; paths that lead
    out and content over MOST_BYTES or MOST_FILE_BYTES are refused before anything is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _measure(archive, path)
            data = _settings(_member(archive, "obj.data", path))
            names = _lines(_member(archive, data.get("names", "obj.names"), path))
            listed = [
                (split, place.removeprefix("data/"))
                for key, split in SPLITS.items()
                if key in data
                for place in _lines(_member(archive, data[key], path))
            ]
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: has a password
        raise DataError(f"{path}: not a zip that can be read ({error})") from error
    if given and list(given) != names:
        raise DataError(f"{path}: its names {names} differ from the given names {list(given)}")
    return Foreign(tuple(names), len(listed), _pictures(path, listed, images or path.parent))


def _pictures(path: Path, listed: list[tuple[str, str]], images: Path) -> Iterator[Marked]:
    with zipfile.ZipFile(path) as archive:
        inside = set(archive.namelist())
        for split, place in listed:
            where = f"{path}/{place}"
            name = safe_name(place.partition("/")[2] or place, where)  # below obj_train_data/
            labels = str(PurePosixPath(place).with_suffix(".txt"))
            rows = _member(archive, labels, path) if labels in inside else ""
            read: Callable[[], bytes]
            if place in inside:
                read = partial(_read, archive, place, path)
            else:
                read = find_picture(images, name, where).read_bytes
            yield Marked(name, where, read, rows, split=split)


def _measure(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse what would fill memory or disk; zipfile reads no more than the size stated here."""
    sizes = [member.file_size for member in archive.infolist()]
    if sum(sizes) > MOST_BYTES or max(sizes, default=0) > MOST_FILE_BYTES:
        raise DataError(
            f"{path}: unpacks to {sum(sizes) >> 20} MiB, its largest file to {max(sizes) >> 20} "
            f"MiB; at most {MOST_BYTES >> 20} and {MOST_FILE_BYTES >> 20} MiB are read"
        )


def _read(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        text = f"{path}: no {name} in it; is it an export in CVAT's format 'YOLO 1.1'?"
        raise DataError(text) from None
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError(f"{path}/{name}: cannot be unpacked ({error})") from error


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    try:
        return _read(archive, name.removeprefix("data/"), path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}/{name}: cannot be read as text ({error})") from error


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _settings(text: str) -> dict[str, str]:
    """The "key = value" lines of obj.data."""
    pairs = (line.partition("=") for line in _lines(text))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}
