"""``model.dataset convert``: other people's formats to this layout, and this layout to COCO."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from model.cli import existing_file, existing_folder
from model.data.commands import Commands
from model.data.dataset import SPLITS, DataError, read_config
from model.data.formats import READERS, write_coco, write_layout


def add(commands: Commands) -> None:
    """Its arguments."""
    p = commands.add_parser("convert", help="from CVAT, COCO, Pascal VOC, corner JSON; to COCO")
    p.add_argument("source", type=Path, help="zip, JSON or folder (--from); data.yaml (--to)")
    way = p.add_mutually_exclusive_group(required=True)
    way.add_argument("--from", dest="reader", choices=READERS, help="what the source is")
    way.add_argument("--to", choices=["coco"], help="write a split of a data.yaml as this")
    p.add_argument("--out", type=Path, required=True, help="new folder (--from) or file (--to)")
    p.add_argument("--images", type=existing_folder, help="pictures, if not beside the labels")
    p.add_argument("--names", type=existing_file, help="data.yaml whose class names and ids to use")
    p.add_argument("--split", choices=SPLITS, default="train", help="default train")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Convert one way or the other."""
    if not args.source.exists():
        raise DataError(f"{args.source}: no such file or folder")
    if args.to:
        if args.images or args.names:
            raise DataError("--images and --names belong to --from")
        _to_coco(args.source, args.split, args.out)
        return
    given = read_config(args.names).names if args.names else ()
    foreign = READERS[args.reader](args.source, args.images, given)
    written = write_layout(foreign, args.out, args.split)
    if foreign.left_out:
        print(f"left out {len(foreign.left_out)} with crowd regions, first {foreign.left_out[0]}")
    counts = ", ".join(f"{count} in '{split}'" for split, count in written.items())
    print(f"{args.out / 'data.yaml'}: {len(foreign.names)} classes, pictures: {counts}")


def _to_coco(source: Path, split: str, out: Path) -> None:
    content, folder = write_coco(read_config(source), split)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    print(f"{out}: {len(content['images'])} pictures, their names are relative to {folder}")
