"""Training in several processes (torchrun): who am I, and do as one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from model.cli import SettingsError

PATIENCE = timedelta(hours=2)  # the others wait while the first process validates


@dataclass(frozen=True)
class Place:
    """This process among those of a run: its number, how many there are, its device."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def half(self, amp: str) -> torch.dtype | None:
        """The half precision to compute in, or None: the CPU is slower with it."""
        if amp == "none" or self.device.type != "cuda":
            return None
        bf16 = amp == "bf16" or (amp == "auto" and torch.cuda.is_bf16_supported(False))
        return torch.bfloat16 if bf16 else torch.float16

    def shared(self, model: nn.Module) -> nn.Module:
        """The network, its gradients averaged over all processes.

        To be asked anew when other parameters begin to learn. BatchNorm's running statistics stay
        each process's own; the first one's are kept.
        """
        if self.world == 1:
            return model
        return DistributedDataParallel(model, forward_sync_buffers=False)

    def unshared(self, model: nn.Module) -> AbstractContextManager:
        """For the time of a backward pass, gradients are only added up in each process."""
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def together(self, row: dict[str, float]) -> dict[str, float]:
        """Means over all processes; their pictures a second are added up."""
        if self.world == 1:
            return row
        values = torch.tensor(list(row.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(values)
        mean = dict(zip(row, (values / self.world).tolist(), strict=True))
        return mean | {"images_per_s": mean["images_per_s"] * self.world}

    def agree(self, values: list[float]) -> list[float]:
        """The first process's numbers, in every process."""
        if self.world == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return shared.tolist()


def alone(device: str) -> Place:
    """The only process; device: "cpu", "cuda", or "auto"."""
    if device not in ("cpu", "cuda", "auto"):
        raise SettingsError(f"device must be cpu, cuda or auto, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device cuda: there is no such card here; use cpu or auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Place(0, 1, torch.device(device))


@contextmanager
def joined(device: str) -> Iterator[Place]:
    """Join the processes that torchrun started, for the time of a run; alone without torchrun.

    device: "cpu", "cuda", or "auto". Over nccl on CUDA, each process on its own card; over gloo
    on the CPU.
    """
    place = alone(device)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield place
        return
    cuda = place.device.type == "cuda"
    card = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else place.device
    if cuda:
        torch.cuda.set_device(card)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Place(dist.get_rank(), world, card)
    finally:
        dist.destroy_process_group()
