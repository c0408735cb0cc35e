"""The detector on OpenVINO: the network compiled for this CPU, normalisation in the graph."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import openvino as ov
import torch
from openvino.preprocess import ColorFormat, PrePostProcessor

from model.boxes import SHAPES, Letterbox
from model.runtimes import has_vnni
from model.runtimes.base import BaseDetector, load_fused
from model.runtimes.int8 import with_int8
from model.weights import Int8, WeightsInfo, read_int8

ANY = -1  # side of a picture
TRIES = 10  # pictures to tell how fast a number of threads is

Shape = tuple[int, ...]  # (H, W, 3) of a letterboxed picture
Way = tuple[int, int]  # threads, and requests at once that share them


class Requests(threading.local):
    """The calling thread's own requests, one a shape."""

    def __init__(self) -> None:
        self.of: dict[Shape, ov.InferRequest] = {}


class OpenVinoDetector(BaseDetector):
    """Takes the letterboxed uint8 BGR picture as it is; colour order and scale are in the graph.

    The network is compiled for a webcam's shape at once, for another when its first picture comes.
    """

    runtime = "openvino"

    def __init__(
        self,
        weights: Path,
        threads: int | None = None,
        at_once: int = 1,
        image_size: int | None = None,
        int8: bool | None = None,
    ) -> None:
        """int8: round to it where the weights file says how; None: if the CPU has VNNI, too.

        Else all is computed in float32. Without VNNI rounding saves no time, see ``compiled``.
        """
        model, info = load_fused(weights, image_size)
        super().__init__(info)
        numbers = read_int8(weights) if (has_vnni() if int8 is None else int8) else {}
        self.precision = "int8" if numbers else "float32"
        self._graph = to_openvino(model, info, numbers)
        ways = [(threads, at_once)] if threads else ways_to_share(torch.get_num_threads(), at_once)
        width, height = Letterbox(*SHAPES[0], info.image_size, tight=True).outer
        usual = height, width, 3
        network, self._way = fastest(shaped(self._graph, usual), ways)
        self.at_once = self._way[1]
        self._networks: dict[Shape, ov.CompiledModel] = {usual: network}
        self._compiling = threading.Lock()
        self._own = Requests()
        self._scales = model.scales

    def raw_maps(self, fitted: np.ndarray) -> Sequence[np.ndarray]:
        """See BaseDetector; the maps are the calling thread's until it asks again."""
        request = self._request(fitted.shape)
        request.infer([fitted[None]], share_inputs=True)
        return [request.get_output_tensor(i).data[0] for i in range(self._scales)]

    def _request(self, shape: Shape) -> ov.InferRequest:
        if shape not in self._own.of:
            self._own.of[shape] = self._network(shape).create_infer_request()
        return self._own.of[shape]

    def _network(self, shape: Shape) -> ov.CompiledModel:
        """The network for letterboxed pictures of a shape, compiled once for all threads."""
        with self._compiling:
            if shape not in self._networks:
                self._networks[shape] = compiled(shaped(self._graph, shape), *self._way)
            return self._networks[shape]


def to_openvino(model: torch.nn.Module, info: WeightsInfo, int8: Int8) -> ov.Model:
    """Convert to a graph from uint8 (1, S, S, 3) BGR to the raw maps.

    int8: what model.runtimes.int8 measured on this network; empty leaves it in float32.
    """
    graph = graph_of(model, (1, 3, info.image_size, info.image_size))
    steps = PrePostProcessor(with_int8(graph, int8) if int8 else graph)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(
        ov.Layout("NHWC")
    ).set_color_format(ColorFormat.BGR)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).convert_color(
        ColorFormat.RGB
    ).mean([m * 255 for m in info.mean]).scale([s * 255 for s in info.std])
    return steps.build()


def graph_of(model: torch.nn.Module, shape: tuple[int, int, int, int]) -> ov.Model:
    """Convert a network on pictures (B, 3, H, W), the sides multiples of 32, or ANY such."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own use of torch.jit is deprecated
        # a small example and no second run to check the trace: the shape is set below
        traced = torch.jit.trace(model.eval(), torch.zeros(1, 3, 64, 64), check_trace=False)
        return ov.convert_model(traced, input=list(shape))


def shaped(graph: ov.Model, shape: Shape) -> ov.Model:
    """A copy of to_openvino's graph for letterboxed pictures (H, W, 3), multiples of 32."""
    copy = graph.clone()
    copy.reshape([1, *shape])
    return copy


def compiled(graph: ov.Model, threads: int | None = None, at_once: int = 1) -> ov.CompiledModel:
    """A graph made ready for this CPU, to answer so many requests as soon as it can.

    It computes in float32, and in int8 where values are rounded to it; on a CPU without VNNI, whose
    sums in int8 are wrong, with the rounded values in float32. threads: for all requests together.
    """
    config: dict[str, object] = {
        "NUM_STREAMS": at_once,
        # A thread bound to a core waits there for whoever else is, a second program's first of all.
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",  # bf16 is slower on small CPUs and moves boxes
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    if not has_vnni():
        config["LP_TRANSFORMS_MODE"] = False
    return core().compile_model(graph, "CPU", config)


@cache
def core() -> ov.Core:
    """The one Core of this process.

    Each brings a CPU plugin of its own, which gives the thread a stack for signals and puts back at
    its end what was there before. Of two that end in the order they began, the second puts back the
    first one's, which is gone, and the next signal kills the process.
    """
    return ov.Core()


def ways_to_share(cores: int, at_once: int) -> list[Way]:
    """Threads and how many pictures they share, from the least threads on."""
    some = sorted({1, max(1, cores // 2), cores})
    return [(threads, n) for threads in some for n in sorted({1, min(at_once, threads)})]


def fastest(graph: ov.Model, ways: Sequence[Way]) -> tuple[ov.CompiledModel, Way]:
    """A graph made ready in the way that answers most pictures a second here, and that way.

    Threads beyond the real cores, or on slow ones beside fast ones, make an answer later; two
    pictures on a core each are answered sooner than one after the other on both, mostly. What a
    machine has is told best by trying.
    """
    tried = [compiled(graph, threads, at_once) for threads, at_once in ways]
    spent_s = [
        _seconds_a_picture(network, at_once)
        for network, (_, at_once) in zip(tried, ways, strict=True)
    ]
    best = best_way(ways, spent_s)
    return tried[best], ways[best]


def best_way(ways: Sequence[Way], spent_s: Sequence[float]) -> int:
    """Which of the ways to take, by what a picture takes in each; see ``fastest``.

    More threads must save a twentieth, as they are taken from camera and browsers. More pictures on
    the same threads take nothing from anyone, and what else a picture needs is then done meanwhile.
    """
    best = 0
    for i, (threads, _) in enumerate(ways):
        least = 0.95 if threads > ways[best][0] else 1.0
        if spent_s[i] < least * spent_s[best]:
            best = i
    return best


def _seconds_a_picture(network: ov.CompiledModel, at_once: int) -> float:
    requests = [network.create_infer_request() for _ in range(at_once)]

    def all_of_them() -> float:
        began = time.perf_counter()
        list(pool.map(lambda request: request.infer(), requests))
        return time.perf_counter() - began

    with ThreadPoolExecutor(at_once) as pool:
        return min(all_of_them() for _ in range(TRIES)) / at_once
