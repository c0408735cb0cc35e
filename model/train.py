"""Train a detector.

    python -m model.train --data DATA.yaml [--scenes FOLDER] [--epochs N] [--resume RUN]

Real pictures come from a data.yaml; with ``--scenes`` half of what the network sees is composed on
the fly from cut-outs and backgrounds. The trunk is frozen at first, so that a new head cannot spoil
its ImageNet features, and then fine-tuned more slowly than the head.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import yaml

from model.backbones import BACKBONES
from model.cli import existing_file, existing_folder, refusing
from model.data.dataset import DataError
from model.trainer import TrainConfig, Trainer
from model.yolov3 import NECKS

# glibc gives large blocks back after every step; without these, the kernel pages them in anew.
MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_ARENA_MAX": "2",
    "THP_MEM_ALLOC_ENABLE": "1",
}


def parser() -> argparse.ArgumentParser:
    """The command line; defaults are TrainConfig's."""
    default = TrainConfig(data="")
    p = argparse.ArgumentParser(prog="python -m model.train", description=__doc__.split("\n")[0])
    p.add_argument("--data", type=existing_file, help="data.yaml (needed unless --resume)")
    p.add_argument(
        "--scenes",
        type=existing_folder,
        help="folder with cutouts/, backgrounds/ to compose scenes from",
    )
    p.add_argument(
        "--weights", type=existing_file, help="start from these weights, not from ImageNet"
    )
    p.add_argument(
        "--resume", type=existing_folder, metavar="RUN", help="go on with this run's folder"
    )
    p.add_argument("--name", default="", help="name of the run (default: the next free number)")
    p.add_argument("--backbone", choices=sorted(BACKBONES), default=default.backbone)
    p.add_argument("--neck", choices=sorted(NECKS), default=default.neck)
    for name in (
        "image_size",
        "epochs",
        "frozen_epochs",
        "frozen_stages",
        "batch",
        "lr",
        "trunk_lr",
        "weight_decay",
        "composed",
        "val_scenes",
        "ema",
        "workers",
        "seed",
    ):
        value = getattr(default, name)
        p.add_argument(
            f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default {value}"
        )
    p.add_argument("--device", default="auto", help="cpu, cuda or auto")
    return p


def settings(args: argparse.Namespace) -> tuple[TrainConfig, Path]:
    """The run's settings and folder from the command line, or from a run to go on with."""
    if args.resume:
        saved = yaml.safe_load((args.resume / "args.yaml").read_text(encoding="utf-8"))
        return TrainConfig(**saved), args.resume
    if not args.data:
        raise DataError("--data DATA.yaml is needed (or --resume RUN)")
    if args.image_size % 32:
        raise DataError(f"--image-size must be a multiple of 32, got {args.image_size}")
    fields = {name: getattr(args, name) for name in TrainConfig.__dataclass_fields__}
    fields |= {name: str(fields[name] or "") for name in ("data", "scenes", "weights")}
    if fields["device"] == "auto":
        fields["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    folder = Path("runs/train") / (args.name or next(free_names()))
    folder.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(**fields)
    (folder / "args.yaml").write_text(yaml.safe_dump(asdict(config)), encoding="utf-8")
    return config, folder


def free_names() -> Iterator[str]:
    """Run names that are not taken: run1, run2, …"""
    number = 1
    while True:
        if not (Path("runs/train") / f"run{number}").exists():
            yield f"run{number}"
        number += 1


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    config, folder = settings(parser().parse_args(argv))
    trainer = Trainer(config, folder)
    trainer.load()
    print(f"training into {folder}", flush=True)
    trainer.run()
    print(f"done: {folder}/weights/best.safetensors (mAP50:95 {trainer.best:.4f})")


def reexec_with_malloc() -> None:
    """Start again with the allocator settings above: glibc reads them only at start."""
    if sys.platform == "linux" and any(
        os.environ.get(key) != value for key, value in MALLOC.items()
    ):
        os.environ.update(MALLOC)
        os.execv(sys.executable, [sys.executable, "-m", "model.train", *sys.argv[1:]])


if __name__ == "__main__":
    reexec_with_malloc()
    main()
