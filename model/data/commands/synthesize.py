"""``model.dataset synthesize``: compose labelled counter scenes onto the disk."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from model.cli import chance, existing_file, existing_folder, positive, whole
from model.data.commands import Commands
from model.data.dataset import DataError, read_config, write_config, write_labels
from model.data.library import load_library
from model.data.synthesize import SceneConfig, compose


def add(commands: Commands) -> None:
    """Its arguments."""
    p = commands.add_parser("synthesize", help="compose labelled scenes from cut-outs")
    p.add_argument("folder", type=existing_folder, help="has cutouts/NAME, perhaps backgrounds")
    p.add_argument("--data", type=existing_file, required=True, help="data.yaml with the names")
    p.add_argument("--split", default="val", choices=("train", "val"))
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--pictures", type=positive, default=60)
    p.add_argument("--fruits", type=int, nargs=2, default=(1, 15), metavar=("FEWEST", "MOST"))
    p.add_argument(
        "--size", type=positive, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT")
    )
    p.add_argument(
        "--variety",
        type=chance,
        default=0.0,
        help="chance that a fruit gets another build and skin",
    )
    p.add_argument("--seed", type=whole, default=0)
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write composed scenes with labels and a data.yaml into ``args.out``."""
    names = read_config(args.data).names
    low, high = args.fruits
    if not 0 <= low <= high:
        raise DataError(f"--fruits needs two numbers, fewest and most, got {low} {high}")
    if (args.out / "data.yaml").exists():
        raise DataError(f"{args.out}: has a data.yaml already; choose another folder")
    library = load_library(args.folder, names, args.split)
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    config = SceneConfig(fruits=(low, high), variety=args.variety)
    rng = np.random.default_rng(args.seed)
    for number in tqdm(range(args.pictures), unit="img", desc="compose"):
        image, boxes = compose(library, config, rng, *args.size)
        path = args.out / "images" / f"{number:05d}.jpg"
        cv2.imwrite(str(path), image)
        write_labels(path, boxes)
    write_config(args.out, names, {"train": "images", "val": "images"})
