"""Look after data sets.

    python -m model.dataset check DATA.yaml --out pages
    python -m model.dataset convert export.zip --from cvat --out set
    python -m model.dataset split DATA.yaml --ratios 0.8 0.1 0.1 --out lists
    python -m model.dataset stats|anchors DATA.yaml
    python -m model.dataset cutout PHOTOS… --out FOLDER/cutouts/NAME
    python -m model.dataset synthesize FOLDER --data DATA.yaml --split val --out DIR --pictures 60

``COMMAND --help`` says what each does; the commands live in ``model/data/commands``.
"""

from __future__ import annotations

import argparse

from model.cli import refusing
from model.data.commands import anchors, check, convert, cutout, split, stats, synthesize

COMMANDS = (check, stats, convert, split, anchors, cutout, synthesize)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m model.dataset", description=__doc__.split("\n")[0])
    commands = p.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    args.run(args)


if __name__ == "__main__":
    main()
