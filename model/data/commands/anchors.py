"""``model.dataset anchors``: anchors fitted to a data set's boxes, beside COCO's."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from model.anchors import anchor_fit, coco_anchors, fit_anchors
from model.cli import existing_file, positive, whole
from model.data.commands import Commands
from model.data.dataset import SPLITS, DataError, read_config, read_split
from model.data.stats import input_sizes
from model.plots import plot_anchors


def add(commands: Commands) -> None:
    """Its arguments."""
    p = commands.add_parser("anchors", help="fit anchors to the boxes, for model.train --anchors")
    p.add_argument("data", type=existing_file, metavar="DATA.yaml")
    p.add_argument("--split", choices=SPLITS, default="train", help="default train")
    p.add_argument("--image-size", type=positive, default=416, help="for the printed pixels")
    p.add_argument("--method", choices=("kmeans", "genetic"), default="kmeans")
    p.add_argument("--scales", type=int, choices=(2, 3), default=3, help="2 for yolov3-tiny")
    p.add_argument("--seed", type=whole, default=0)
    p.add_argument("--out", type=Path, default=Path("anchors.yaml"), help="and a .png beside it")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print how well COCO's and the fitted anchors fit, and write the fitted ones."""
    config = read_config(args.data)
    sizes = input_sizes(read_split(config, args.split))
    try:
        anchors, history = fit_anchors(sizes, args.scales, args.method, args.seed)
    except ValueError as error:
        raise DataError(f"{args.data}: {error}") from None
    before = coco_anchors(args.scales)
    for name, of_name in (("COCO's", before), (args.method, anchors)):
        iou, recall = anchor_fit(sizes, of_name)
        pixels = np.round(of_name * args.image_size).astype(int).reshape(-1, 2)
        print(f"{name:<8} mean best IoU {iou:.3f}, over 0.5 {recall:.1%} of {len(sizes)} boxes")
        print(f"         at {args.image_size} px: {', '.join(f'{w}×{h}' for w, h in pixels)}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"anchors": np.round(anchors.astype(float), 5).tolist()}
    args.out.write_text(yaml.safe_dump(content, default_flow_style=None), encoding="utf-8")
    plot_anchors(sizes, before, anchors, history, args.out.with_suffix(".png"))
    print(f"python -m model.train --anchors {args.out}")
