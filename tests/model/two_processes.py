"""Run by torchrun in two processes: a small training whose BatchNorm rests."""

from __future__ import annotations

import sys
from pathlib import Path

import model.trainer
from model.trainer import Trainer
from model.training.processes import joined
from model.training.settings import TrainConfig, read_settings, updated


class StillNorms(Trainer):
    """BatchNorm's statistics are a batch's own, so only resting ones can be compared."""

    def _freeze(self) -> None:
        super()._freeze()
        self.model.eval()


def main(settings: str, folder: str) -> None:
    """Train in this process, one of several; nothing is drawn."""
    model.trainer.report = lambda *_: None  # type: ignore[assignment]
    config = updated(TrainConfig(), read_settings(Path(settings)))
    with joined(config.device) as place:
        trainer = StillNorms(config, Path(folder), place)
        trainer.load()
        trainer.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
