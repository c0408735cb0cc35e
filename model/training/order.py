"""Which pictures make up each batch: a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from model.cli import SettingsError
from model.data.trainset import SHAPES, TrainSet


class Key(NamedTuple):
    """A picture at a time, in a batch of a shape: it always gives the same augmented picture."""

    epoch: int
    picture: int
    shape: tuple[int, int]


class Order(Sampler[list[Key]]):
    """The batches of all epochs from a given place on, shuffled anew in each, and their shapes.

    A whole run is one pass over this sampler, so that the processes that prepare pictures live as
    long as the run and work on while an epoch is validated, and so that a resumed run finds its
    place without reading what came before. Of every ``world`` batches this process (``rank``) gets
    its own; those that do not fill the last step are left out, differing ones in each epoch. Fewer
    pictures than a batch make one smaller batch; SettingsError for fewer than processes.
    """

    def __init__(
        self, length: int, batch: int, seed: int, epochs: int, rank: int = 0, world: int = 1
    ) -> None:
        self.length, self.seed, self.epochs = length, seed, epochs
        self.rank, self.world = rank, world
        self.batch = min(batch, length // world)
        if not self.batch:
            raise SettingsError(f"{length} pictures are too few for {world} processes")
        self.steps = length // (self.batch * world)  # batches of each process in an epoch
        self.start = 0, 0

    def __len__(self) -> int:
        epoch, step = self.start
        return max(0, (self.epochs - epoch) * self.steps - step)

    def __iter__(self) -> Iterator[list[Key]]:
        first, skipped = self.start
        for epoch in range(first, self.epochs):
            chance = np.random.default_rng((self.seed, epoch))
            shuffled = chance.permutation(self.length)
            shapes = chance.integers(len(SHAPES), size=self.steps)
            for step in range(skipped if epoch == first else 0, self.steps):
                begin = (step * self.world + self.rank) * self.batch
                shape = SHAPES[shapes[step]]
                yield [Key(epoch, int(i), shape) for i in shuffled[begin : begin + self.batch]]


class Keyed(Dataset[tuple[Tensor, Tensor]]):
    """A training set asked by Key."""

    def __init__(self, items: TrainSet) -> None:
        self.items = items

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        self.items.epoch, self.items.shape = key.epoch, key.shape
        return self.items[key.picture]
