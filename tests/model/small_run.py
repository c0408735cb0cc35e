"""A training that takes seconds: twelve pictures, a small input, nothing drawn at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
import yaml

from model.data.dataset import read_config
from model.trainer import Trainer
from model.training.settings import TrainConfig, updated
from tests.model.helpers import ROOT, SAMPLE

SMALL = {
    "image_size": 64,
    "epochs": 2,
    "batch": 4,
    "frozen_epochs": 1,
    "workers": 0,
    "device": "cpu",
    "val_scenes": 2,
}


def small_data(folder: Path, train: int = 12, val: int = 2) -> str:
    """A data.yaml of the first sample pictures, as lists."""
    pictures = [str(path) for path in sorted((SAMPLE / "images").glob("*.jpg"))]
    for name, part in (("train", pictures[:train]), ("val", pictures[train : train + val])):
        (folder / f"{name}.txt").write_text("\n".join(part))
    names = list(read_config(SAMPLE / "data.yaml").names)
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({"names": names, "train": "train.txt", "val": "val.txt"}))
    return str(path)


def small_config(folder: Path, **changes: object) -> TrainConfig:
    return updated(TrainConfig(), SMALL | {"data": small_data(folder)} | changes)


def trained(config: TrainConfig, folder: Path, kind: type[Trainer] = Trainer) -> Trainer:
    """A run to its end in a folder, going on with what is there."""
    folder.mkdir(exist_ok=True)
    trainer = kind(config, folder)
    trainer.load()
    trainer.run()
    return trainer


def same_weights(first: Trainer, second: Trainer) -> bool:
    return all(
        torch.equal(a, b)
        for one, other in (
            (first.model, second.model),
            (first.average.module, second.average.module),
        )
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def started(arguments: list[str], folder: Path, module: str = "model.train") -> subprocess.Popen:
    """A command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
