"""The trunk in training while its BatchNorm keeps its statistics, or all of it rests."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from model.runtimes import openvino_fits
from model.runtimes.base import BATCHNORM, fuse_batchnorm
from model.yolov3 import Trunk


def resting_trunk(trunk: nn.Module, device: torch.device) -> Trunk:
    """The fastest form of a trunk that learns nothing for now."""
    return CompiledTrunk(trunk) if device.type == "cpu" and openvino_fits() else FoldedTrunk(trunk)


class CompiledTrunk:
    """A trunk at rest on OpenVINO, which computes its maps in half of torch's time on a CPU."""

    def __init__(self, trunk: nn.Module) -> None:
        """Take the parameters as they are now."""
        self._plain = deepcopy(trunk).eval().requires_grad_(False)
        fuse_batchnorm(self._plain)
        self._queues: dict[tuple[int, int], Any] = {}  # by height and width of the pictures

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """As the trunk: (B, 3, H, W) on the CPU → the maps that it taps, without gradients."""
        sides = x.shape[2], x.shape[3]
        if sides not in self._queues:
            self._queues[sides] = self._queue(sides)
        queue, found = self._queues[sides], dict[int, tuple[np.ndarray, ...]]()

        def keep(request: Any, index: int) -> None:
            found[index] = tuple(np.array(tensor.data) for tensor in request.output_tensors)

        queue.set_callback(keep)
        for index, picture in enumerate(x.numpy()):
            queue.start_async([picture[None]], index)
        queue.wait_all()
        return tuple(
            torch.from_numpy(np.concatenate(maps)).contiguous(memory_format=torch.channels_last)
            for maps in zip(*(found[index] for index in range(len(x))), strict=True)
        )

    def _queue(self, sides: tuple[int, int]) -> Any:
        from openvino import AsyncInferQueue

        from model.runtimes.openvino_runtime import compiled, graph_of

        cores = torch.get_num_threads()  # each computes a picture of its own: they need not wait
        graph = graph_of(self._plain, (1, 3, *sides))
        return AsyncInferQueue(compiled(graph, cores, cores), cores)


class FoldedTrunk:
    """A trunk that computes as one without BatchNorm and learns as one with it.

    Resting statistics make BatchNorm a scale and a shift, which the convolution before it can do
    itself. Folded anew from the trunk's parameters at each call, it gives the same maps and the
    same gradients, BatchNorm's own two included, without passing over every map once more.
    """

    def __init__(self, trunk: nn.Module) -> None:
        """Follow the parameters of ``trunk``; each BatchNorm stands behind a bare convolution."""
        self._plain = deepcopy(trunk).eval().requires_grad_(False)
        fuse_batchnorm(self._plain)
        self._pairs = {
            name: pair
            for parent, module in trunk.named_modules()
            if isinstance(module, nn.Sequential)
            for name, pair in pairs_in(module, parent)
        }
        assert 3 * len(self._pairs) == len(list(trunk.parameters())), "a parameter would not learn"

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """As the trunk: (B, 3, H, W) → the maps that it taps."""
        parameters = {}
        for name, (conv, norm) in self._pairs.items():
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            parameters[f"{name}.weight"] = conv.weight * scale[:, None, None, None]
            parameters[f"{name}.bias"] = norm.bias - norm.running_mean * scale
        maps: tuple[Tensor, ...] = functional_call(self._plain, parameters, (x,))
        return maps


def pairs_in(
    layers: nn.Sequential, parent: str
) -> list[tuple[str, tuple[nn.Conv2d, nn.BatchNorm2d | nn.SyncBatchNorm]]]:
    """The convolutions of a Sequential that a BatchNorm follows, with their names and it."""
    named = list(layers.named_children())
    return [
        (f"{parent}.{name}", (conv, norm))
        for (name, conv), (_, norm) in pairwise(named)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, BATCHNORM)
    ]
