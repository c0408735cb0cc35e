"""``model.dataset stats``: what a data set is made of."""

from __future__ import annotations

import argparse
from pathlib import Path

from model.data.commands import Commands, add_data, splits_of
from model.data.dataset import read_config, read_split
from model.data.stats import as_table, measure
from model.plots import plot_labels


def add(commands: Commands) -> None:
    """Its arguments."""
    p = commands.add_parser("stats", help="boxes a class, their sizes, colours, plots")
    add_data(p)
    p.add_argument("--out", type=Path, metavar="DIR", help="write stats.txt and labels.png here")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the table; with ``--out`` write it and the plots."""
    config = read_config(args.data)
    splits = splits_of(args, config)
    samples = [sample for split in splits for sample in read_split(config, split)]
    table = as_table(measure(samples, len(config.names)), config.names)
    print(table)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "stats.txt").write_text(f"{table}\n", encoding="utf-8")
        plot_labels([s.boxes for s in samples], config.names, args.out / "labels.png")
        print(f"{args.out / 'labels.png'}: classes, sizes, places")
