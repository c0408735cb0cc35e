"""``model.dataset cutout``: cut fruit out of photographs, so that scenes can show it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from model.data.commands import Commands
from model.data.cutout import CannotCut, cut_out
from model.data.dataset import PICTURES, DataError, read_picture
from model.data.sheets import TILE, sheet

SQUARE = 13  # pixels of the checkerboard


def add(commands: Commands) -> None:
    """Its arguments."""
    p = commands.add_parser("cutout", help="cut fruit out of photos on a plain ground")
    p.add_argument("photos", type=Path, nargs="+", help="photos of one kind of fruit, or folders")
    p.add_argument("--out", type=Path, required=True, help="FOLDER/cutouts/NAME, for synthesize")
    p.add_argument(
        "--plain-ground",
        action="store_true",
        help="the ground is one colour all over: whatever is unlike it is fruit",
    )
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the cut-outs and a sheet of them beside their folder; name what could not be cut."""
    photos, out = _photos(args.photos), args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    cuts: list[np.ndarray] = []
    failed: list[str] = []
    for path in tqdm(photos, unit="img", desc="cut", disable=None):
        try:
            found = cut_out(read_picture(path), args.plain_ground)
        except (CannotCut, DataError) as error:
            failed.append(f"{path.name}: {str(error).removeprefix(f'{path}: ')}")
            continue
        for number, cut in enumerate(found, 1):
            cv2.imwrite(str(args.out / f"{path.stem}_{number}.png"), cut)
        cuts += found
    for line in failed:
        print(f"not cut: {line}", file=sys.stderr)
    if not cuts:
        raise DataError(f"none of {len(photos)} photos could be cut; see docs/new_fruit.md")
    page = out.with_name(f"{out.name}.jpg")
    cv2.imwrite(str(page), sheet([on_checkerboard(cut) for cut in cuts]))
    done = len(photos) - len(failed)
    print(f"{len(cuts)} cut-outs from {done} of {len(photos)} photos in {args.out}; look at {page}")


def _photos(given: Sequence[Path]) -> list[Path]:
    """The files given and the pictures in folders given, each name once."""
    photos: list[Path] = []
    for path in given:
        if not path.exists():
            raise DataError(f"{path}: no such photo or folder")
        inside = path.rglob("*") if path.is_dir() else ()
        photos += sorted(p for p in inside if p.suffix.lower() in PICTURES) or [path]
    stems = [path.stem for path in photos]
    twice = next((path for path in photos if stems.count(path.stem) > 1), None)
    if twice:
        raise DataError(f"{twice}: another photo has this name too, and their cut-outs would mix")
    return photos


def on_checkerboard(cut: np.ndarray) -> np.ndarray:
    """A uint8 (h, w, 4) BGRA cut-out on grey and white squares, uint8 (TILE, TILE, 3)."""
    scale = (TILE - 8) / max(cut.shape[:2])
    shrunk = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    y, x = np.indices((TILE, TILE)) // SQUARE
    board = np.where((x + y) % 2, 255, 170).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    h, w = shrunk.shape[:2]
    top, left = (TILE - h) // 2, (TILE - w) // 2
    alpha = shrunk[:, :, 3:] / 255
    under = board[top : top + h, left : left + w]
    under[:] = (under * (1 - alpha) + shrunk[:, :, :3] * alpha).astype(np.uint8)
    return board
