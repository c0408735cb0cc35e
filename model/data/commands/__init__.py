"""The subcommands of ``python -m model.dataset``: a module each, with ``add`` and ``run``."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from model.cli import existing_file
from model.data.dataset import SPLITS, DataConfig, DataError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_data(p: argparse.ArgumentParser) -> None:
    """The arguments of every command that reads a data set: DATA.yaml and --split."""
    p.add_argument("data", type=existing_file, metavar="DATA.yaml")
    p.add_argument("--split", nargs="+", choices=SPLITS, help="default: all that DATA.yaml names")


def splits_of(args: argparse.Namespace, config: DataConfig) -> list[str]:
    """The splits a command was asked for, by default every one there is, at least one."""
    if not config.splits:
        raise DataError(f"{args.data}: names no {', '.join(SPLITS)}")
    return args.split or list(config.splits)
