"""What scenes are composed of: cut-out fruit, things that are not for sale, empty surfaces."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import yaml

from model.data.dataset import PICTURES, DataError, read_picture, read_table
from model.data.surfaces import plain_surfaces

SIZES_FILE = Path(__file__).with_name("sizes_cm.yaml")
CUTOUT_PX, BACKGROUND_PX = 512, 1024  # longest sides kept: scenes show no more, memory is finite
BONUS = "cutouts_bonus"  # the folder of things that are not for sale
DISTRACTOR = -1  # the class id of things that get no box
HELD_BACK = 6  # of so many things that are not for sale one is for validation


@dataclass(frozen=True)
class Cutout:
    """A fruit without its background: uint8 (H, W, 4) BGRA; class id; mean width in cm.

    Colours are premultiplied by alpha, so that scaling mixes no background into the edge.
    """

    image: np.ndarray
    class_id: int
    size_cm: float


@dataclass(frozen=True)
class SceneLibrary:
    """What scenes are made of; ``by_class`` holds cut-outs for sale, ``distractors`` the rest.

    others: names of the rest, whose class ids follow those for sale; without them the rest has none
    and gets no boxes.
    """

    by_class: dict[int, list[Cutout]]
    distractors: list[Cutout]
    backgrounds: list[np.ndarray]
    others: tuple[str, ...] = ()

    def kin(self, cutout: Cutout) -> list[Cutout]:
        """All cut-outs of the same name, itself too; itself alone where the name is not known."""
        if cutout.class_id == DISTRACTOR:
            return [cutout]
        group = self.by_class.get(cutout.class_id, self.distractors)
        return [c for c in group if c.class_id == cutout.class_id]


def load_library(
    folder: Path, names: tuple[str, ...], split: str, others: bool = False
) -> SceneLibrary:
    """Read ``cutouts/NAME/*.png`` (or ``cutouts/NAME_*.png``), ``cutouts_bonus/NAME`` and
    ``backgrounds/SPLIT`` (or ``backgrounds``) of a folder.

    A ``manifest.csv`` with columns file and split keeps the splits apart; without one every
    cut-out serves. Of things not for sale it may keep none for validation: then the last sixth of
    each name is. others: give those things class ids after the names', and boxes. A
    ``sizes_cm.yaml`` goes before the shipped one. Without backgrounds plain surfaces are
    generated. Lines on stderr say so, and which names have no cut-outs. Raises DataError when no
    name has any.
    """
    allowed = _manifest(folder, split)
    sizes = _sizes(SIZES_FILE) | _sizes(folder / SIZES_FILE.name)
    by_class = {
        class_id: cutouts
        for class_id, name in enumerate(names)
        if (cutouts := _cutouts(folder / "cutouts" / name, class_id, sizes, allowed, folder))
    }
    if not by_class:
        raise DataError(
            f"{folder}: needs cutouts/NAME/*.png for at least one of {', '.join(names)}"
        )
    _say_missing(folder, [name for number, name in enumerate(names) if number not in by_class])
    bonus = [d for d in sorted((folder / BONUS).glob("*")) if d.name not in names and d.is_dir()]
    known: list[str] = []
    distractors: list[Cutout] = []
    for place in bonus:
        number = len(names) + len(known) if others else DISTRACTOR
        found = _cutouts(place, number, sizes, allowed, folder)
        known += [place.name] if found and others else []
        distractors += found
    surfaces = _backgrounds(folder / "backgrounds", split)
    return SceneLibrary(by_class, distractors, surfaces, tuple(known))


def _say_missing(folder: Path, missing: list[str]) -> None:
    """A misspelt folder, or a table that leaves a fruit out, would else be found after hours."""
    if missing:
        seen = ", ".join(sorted(p.name for p in (folder / "cutouts").glob("*") if p.is_dir()))
        print(
            f"{folder}: scenes show no {', '.join(missing)}: no cut-outs that may serve (pictures "
            f"with an outline, in the manifest if there is one) in cutouts/NAME; there are {seen}",
            file=sys.stderr,
        )


def _sizes(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    try:
        sizes = dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (UnicodeDecodeError, yaml.YAMLError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected lines 'name: centimetres' ({error})") from error
    for name, size in sizes.items():
        if not isinstance(size, (int, float)) or not 0 < size < 1000:
            raise DataError(f"{path}: {name} needs a size in centimetres, got {size!r}")
    return sizes


def _backgrounds(folder: Path, split: str) -> list[np.ndarray]:
    found = _pictures(folder / split) or _pictures(folder)
    if not found:
        print(f"{folder}: no pictures there; scenes lie on plain generated tables", file=sys.stderr)
        return plain_surfaces(split)
    return [_at_most(read_picture(path), BACKGROUND_PX) for path in found]


def _manifest(folder: Path, split: str) -> set[str] | None:
    path = folder / "manifest.csv"
    if not path.exists():
        if split == "val":
            print(
                f"{folder}: no manifest.csv keeps cut-outs for validation; its scenes show those "
                "of the training",
                file=sys.stderr,
            )
        return None
    splits = {row["file"]: row["split"] for row in read_table(path, "file", "split")}
    return {file for file, own in (splits | _held_back(splits)).items() if own == split}


def _held_back(splits: dict[str, str]) -> dict[str, str]:
    """Of things not for sale, where a manifest keeps none for validation: the last of each name."""
    rest = sorted(file for file in splits if file.startswith(f"{BONUS}/"))
    if any(splits[file] == "val" for file in rest):
        return {}
    names = [list(files) for _, files in groupby(rest, lambda file: file.split("/")[1])]
    kept = [len(files) - len(files) // HELD_BACK for files in names]
    return {file: "val" for n, files in zip(kept, names, strict=True) for file in files[n:]}


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURES)


def _cutouts(
    folder: Path, class_id: int, sizes: dict[str, float], allowed: set[str] | None, root: Path
) -> list[Cutout]:
    size_cm = sizes.get(folder.name, sizes["default"])
    found = []
    flat = re.compile(rf"{re.escape(folder.name)}_\d+\.png")
    beside = sorted(p for p in folder.parent.glob("*.png") if flat.fullmatch(p.name))
    for path in _pictures(folder) or beside:
        if allowed is not None and path.relative_to(root).as_posix() not in allowed:
            continue
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is not None and image.ndim == 3 and image.shape[2] == 4:
            found.append(Cutout(_cutout_image(image, path), class_id, size_cm))
    return found


def _cutout_image(image: np.ndarray, path: Path) -> np.ndarray:
    if image.dtype != np.uint8:
        raise DataError(f"{path}: has {8 * image.itemsize} bits a colour; save it with 8")
    trimmed = trim(image)
    if not trimmed.size:
        raise DataError(f"{path}: is transparent all over; delete it")
    return _at_most(premultiply(trimmed), CUTOUT_PX)


def _at_most(image: np.ndarray, longest_px: int) -> np.ndarray:
    scale = longest_px / max(image.shape[:2])
    if scale >= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def trim(image: np.ndarray) -> np.ndarray:
    """Cut away the fully transparent borders of a uint8 (H, W, 4) picture."""
    x, y, w, h = cv2.boundingRect((image[:, :, 3] > 16).astype(np.uint8))
    return np.ascontiguousarray(image[y : y + h, x : x + w])


def premultiply(image: np.ndarray) -> np.ndarray:
    """Multiply the colours of a uint8 (H, W, 4) BGRA picture by its alpha."""
    alpha = cv2.merge([image[:, :, 3]] * 3)
    return np.dstack((cv2.multiply(image[:, :, :3].copy(), alpha, scale=1 / 255), image[:, :, 3]))
