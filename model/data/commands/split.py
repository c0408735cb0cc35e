"""``model.dataset split``: lists of pictures for train, val and test."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from model.cli import existing_file, whole
from model.data.commands import Commands, add_data, splits_of
from model.data.dataset import SPLITS, DataError, Labelled, read_config, read_split, write_config
from model.data.split import divide, groups_by_pattern, groups_by_table


def add(commands: Commands) -> None:
    """Its arguments."""
    p = commands.add_parser("split", help="divide pictures into train, val and test; copies none")
    add_data(p)
    p.add_argument(
        "--ratios",
        type=float,
        nargs="+",
        default=(0.8, 0.1, 0.1),
        metavar="SHARE",
        help="shares of train, val and, if given, test; default 0.8 0.1 0.1",
    )
    p.add_argument("--seed", type=whole, default=0)
    by = p.add_mutually_exclusive_group()
    by.add_argument(
        "--group-by",
        metavar="REGEX",
        help="pictures whose paths have the same match stay together, e.g. '([^/]+)_[0-9]+[.]jpg$'",
    )
    by.add_argument(
        "--groups", type=existing_file, metavar="CSV", help="table with columns file and group"
    )
    p.add_argument("--group-column", default="group", help="column of --groups (default group)")
    p.add_argument("--out", type=Path, required=True, help="folder for data.yaml and the lists")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write train.txt, val.txt, test.txt and the data.yaml that names them."""
    if not 2 <= len(args.ratios) <= 3 or min(args.ratios) < 0 or abs(sum(args.ratios) - 1) > 1e-6:
        raise DataError(f"--ratios needs two or three shares that sum to 1, got {args.ratios}")
    ratios = {split: share for split, share in zip(SPLITS, args.ratios, strict=False) if share}
    if (args.out / "data.yaml").resolve() == args.data.resolve():
        raise DataError(f"{args.out}: {args.data} would be overwritten; choose another folder")
    config = read_config(args.data)
    found = [sample for split in splits_of(args, config) for sample in read_split(config, split)]
    samples = list({sample.path: sample for sample in found}.values())
    parts = divide(samples, _groups(samples, args), len(config.names), ratios, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    for split, part in parts.items():
        lines = [f"./{Path(os.path.relpath(s.path, args.out)).as_posix()}\n" for s in part]
        (args.out / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
        boxes = sum(len(sample.boxes) for sample in part)
        print(f"{split}: {len(part)} pictures ({len(part) / len(samples):.1%}), {boxes} boxes")
    print(write_config(args.out, config.names, {split: f"{split}.txt" for split in parts}))


def _groups(samples: Sequence[Labelled], args: argparse.Namespace) -> list[str]:
    if args.groups:
        return groups_by_table(samples, args.groups, args.group_column)
    if args.group_by:
        return groups_by_pattern(samples, args.group_by)
    return [str(sample.path) for sample in samples]
