"""``model.dataset check``: everything that is wrong, and pages to inspect labels by eye."""

from __future__ import annotations

import argparse
from pathlib import Path

from model.cli import positive
from model.data.check import as_table, check_split
from model.data.commands import Commands, add_data, splits_of
from model.data.dataset import DataConfig, Labelled, label_path, list_pictures, read_config
from model.data.labels import Problem, read_label_file
from model.data.sheets import contact_sheets


def add(commands: Commands) -> None:
    """Its arguments."""
    p = commands.add_parser("check", help="name everything that is wrong; exit status 1 if fatal")
    add_data(p)
    p.add_argument("--out", type=Path, metavar="DIR", help="write problems.txt and pages here")
    p.add_argument("--per-page", type=positive, default=30, help="pictures a page (default 30)")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the table, write the pages; exit status 1 when a picture cannot be trained on."""
    config = read_config(args.data)
    seen: dict[str, Path] = {}
    problems = {split: check_split(config, split, seen) for split in splits_of(args, config)}
    print(as_table(problems))
    if args.out:
        _write(config, problems, args.out, args.per_page)
    if any(problem.fatal for found in problems.values() for problem in found):
        raise SystemExit(1)


def _write(
    config: DataConfig, problems: dict[str, list[Problem]], out: Path, per_page: int
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"{p.kind}: {p}\n" for found in problems.values() for p in found]
    (out / "problems.txt").write_text("".join(lines), encoding="utf-8")
    for split in problems:
        samples = [
            Labelled(path, read_label_file(label_path(path), len(config.names)).boxes)
            for path in list_pictures(config, split)
        ]
        pages = contact_sheets(samples, config.names, out / split, per_page)
        print(f"{len(samples)} pictures of '{split}' on {len(pages)} pages in {out / split}")
