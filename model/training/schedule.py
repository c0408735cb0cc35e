"""How the learning rate goes, and when patience ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.training.settings import TrainConfig


@dataclass
class Patience:
    """Counts how often in a row a score (higher is better) did not improve."""

    best: float = -math.inf
    waited: int = 0

    def improves(self, score: float) -> bool:
        """Whether the score is the best so far; it is remembered."""
        better = score > self.best
        self.best, self.waited = (score, 0) if better else (self.best, self.waited + 1)
        return better


class Schedule:
    """The factor on every learning rate at each moment of a run.

    Warm-up rises in a line. "cosine" (Loshchilov & Hutter, ICLR 2017) falls to 1 % at the last
    epoch, "step" is multiplied by ``drop`` after given epochs, "plateau" when the score has not
    improved for more than ``plateau_patience`` epochs.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.patience = Patience()
        self.drops = 0

    def factor(self, epochs: float) -> float:
        """The factor in (0, 1] after so many epochs, fractions included."""
        # not quite 0 at first: the first batch should count
        warm = min(1.0, (epochs + 0.01) / max(self.config.warmup_epochs, 0.01))
        return warm * self._fall(epochs)

    def _fall(self, epochs: float) -> float:
        if self.config.schedule == "cosine":
            return 0.01 + 0.99 * (1 + math.cos(math.pi * epochs / self.config.epochs)) / 2
        if self.config.schedule == "step":
            return self.config.drop ** sum(epochs >= end for end in self.config.step_epochs)
        return self.config.drop**self.drops

    def epoch_ended(self, score: float) -> None:
        """Learn an epoch's score, which only "plateau" heeds."""
        if not self.patience.improves(score) and (
            self.patience.waited > self.config.plateau_patience
        ):
            self.drops, self.patience.waited = self.drops + 1, 0

    def state_dict(self) -> dict[str, float]:
        """What ``load_state_dict`` needs to go on."""
        return {"drops": self.drops, "best": self.patience.best, "waited": self.patience.waited}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on where another schedule stood."""
        self.drops = int(state["drops"])
        self.patience = Patience(state["best"], int(state["waited"]))
