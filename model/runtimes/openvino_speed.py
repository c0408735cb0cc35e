"""Graphs that are only there to be timed beside the detector's: model.benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import torch
from openvino import opset13
from openvino.preprocess import PaddingMode, PrePostProcessor, ResizeAlgorithm

from model.boxes import PAD_GREY, Letterbox
from model.runtimes import has_vnni
from model.runtimes.int8 import quantise, with_int8
from model.runtimes.openvino_runtime import compiled, core, fastest, ways_to_share

NOISE = 2  # pictures of it, to tell where a network may be rounded


def int8_product(side: int, threads: int) -> ov.InferRequest:
    """The product of two matrices (side, side) in int8: what the machine can do at most."""
    given = opset13.parameter([side, side], np.float32)
    fixed = opset13.constant(np.random.default_rng(0).uniform(-1, 1, (side, side)), np.float32)
    low, high = np.float32(-1), np.float32(1)
    a = opset13.fake_quantize(given, low, high, low, high, 256)
    b = opset13.fake_quantize(fixed, low, high, low, high, 255)
    graph = ov.Model([opset13.matmul(a, b, False, False)], [given])
    return compiled(graph, threads).create_infer_request()


def letterbox_graph(fit: Letterbox) -> ov.InferRequest:
    """``fit.apply`` as a graph from a uint8 (1, H, W, 3) picture to the input in float32."""
    (width, height), (across, down) = fit.inner, fit.outer
    given = opset13.parameter([1, down, across, 3], np.float32)
    steps = PrePostProcessor(ov.Model([opset13.result(given)], [given]))
    steps.input().model().set_layout(ov.Layout("NHWC"))
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(
        ov.Layout("NHWC")
    ).set_spatial_static_shape(fit.height, fit.width)
    before = [0, fit.top, fit.left, 0]
    after = [0, down - height - fit.top, across - width - fit.left, 0]
    steps.input().preprocess().resize(
        ResizeAlgorithm.RESIZE_LINEAR, height, width
    ).convert_element_type(ov.Type.f32).pad(before, after, float(PAD_GREY), PaddingMode.CONSTANT)
    return compiled(steps.build(), torch.get_num_threads()).create_infer_request()


def peers(path: Path, threads: int | None = None) -> dict[str, ov.InferRequest]:
    """Somebody else's network, ONNX or OpenVINO, made ready as the own one: by what it computes in.

    int8: as NNCF rounds it on noise, which does for telling how fast it is. Raises RuntimeError
    for a file that is no such network, or one without one input of a fixed shape.
    """
    graph = core().read_model(path)
    shape = tuple(graph.input().shape)
    graphs = {"float32": graph}
    if has_vnni():
        noise = np.random.default_rng(0).normal(size=(NOISE, *shape)).astype(np.float32)
        graphs["int8"] = with_int8(graph, quantise(graph, list(noise)))
    ways = [(threads, 1)] if threads else ways_to_share(torch.get_num_threads(), 1)
    return {
        precision: fastest(g, ways)[0].create_infer_request() for precision, g in graphs.items()
    }
