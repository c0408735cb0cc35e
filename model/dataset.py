"""Look after data sets.

    python -m model.dataset synthesize FOLDER --data DATA.yaml --split val --out DIR --pictures 60

Composes labelled counter scenes from the cut-outs and backgrounds in FOLDER.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import yaml
from tqdm import tqdm

from model.cli import existing_file, existing_folder, refusing
from model.data.dataset import DataError, read_config
from model.data.synthesize import SceneConfig, compose, load_library


def synthesize(args: argparse.Namespace) -> None:
    """Write composed scenes with labels and a data.yaml into ``args.out``."""
    names = read_config(args.data).names
    low, high = args.fruits
    if not 0 <= low <= high:
        raise DataError(f"--fruits needs two numbers, fewest and most, got {low} {high}")
    library = load_library(args.folder, names, args.split)
    images, labels = args.out / "images", args.out / "labels"
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    for number in tqdm(range(args.pictures), unit="img", desc="compose"):
        image, boxes = compose(library, SceneConfig(fruits=(low, high)), rng, *args.size)
        cv2.imwrite(str(images / f"{number:05d}.jpg"), image)
        rows = [f"{int(c)} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for c, x, y, w, h in boxes]
        (labels / f"{number:05d}.txt").write_text("".join(rows), encoding="utf-8")
    config = {"path": ".", "train": "images", "val": "images", "names": list(names)}
    (args.out / "data.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m model.dataset", description=__doc__.split("\n")[0])
    commands = p.add_subparsers(required=True, metavar="COMMAND")
    s = commands.add_parser("synthesize", help="compose labelled scenes from cut-outs")
    s.add_argument("folder", type=existing_folder, help="has cutouts/NAME and backgrounds/SPLIT")
    s.add_argument("--data", type=existing_file, required=True, help="data.yaml with the names")
    s.add_argument("--split", default="val", choices=("train", "val"))
    s.add_argument("--out", type=Path, required=True)
    s.add_argument("--pictures", type=int, default=60)
    s.add_argument("--fruits", type=int, nargs=2, default=(1, 15), metavar=("FEWEST", "MOST"))
    s.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"))
    s.add_argument("--seed", type=int, default=0)
    s.set_defaults(run=synthesize)
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    args.run(args)


if __name__ == "__main__":
    main()
