"""What an epoch cost: losses, pictures a second, time spent waiting for data, memory."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

import torch

Item = TypeVar("Item")


@dataclass
class Meter:
    """Sums over the batches of an epoch; ``state`` of them is what a resumed run goes on with."""

    sums: dict[str, float] = field(default_factory=dict)
    batches: int = 0
    images: int = 0
    busy_s: float = 0.0
    waiting_s: float = 0.0

    def add(self, losses: dict[str, float], images: int, wait_s: float, busy_s: float) -> None:
        """Count one batch: its losses, pictures, seconds waited for data, seconds of work."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.batches += 1
        self.images += images
        self.waiting_s += wait_s
        self.busy_s += busy_s

    def row(self) -> dict[str, float]:
        """Mean losses, images_per_s, data_wait in [0, 1], and the memory in MiB."""
        total_s = max(self.busy_s + self.waiting_s, 1e-9)
        return {name: value / self.batches for name, value in self.sums.items()} | {
            "images_per_s": self.images / total_s,
            "data_wait": self.waiting_s / total_s,
            **memory_mib(),
        }

    def __str__(self) -> str:
        row = self.row()
        return (
            f"loss {row['loss']:.3f}, {row['images_per_s']:.1f} img/s, "
            f"waits {row['data_wait']:.0%}, {row['rss_mib']:.0f} MiB"
            + (f" + {row['cuda_mib']:.0f} on the card" if row["cuda_mib"] else "")
        )


def timed(items: Iterable[Item]) -> Iterator[tuple[Item, float]]:
    """Each item with the seconds that it was waited for."""
    iterator = iter(items)
    while True:
        begin = perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        yield item, perf_counter() - begin


def memory_mib() -> dict[str, float]:
    """The most that this process (without its workers) has held so far, and its tensors on CUDA."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    cuda = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {"rss_mib": peak / 2**20, "cuda_mib": cuda / 2**20}
