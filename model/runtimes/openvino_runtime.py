"""The detector on OpenVINO: the network compiled for this CPU, normalisation in the graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import torch
from openvino.preprocess import ColorFormat, PrePostProcessor

from model.boxes import Letterbox
from model.runtimes.base import BaseDetector, load_fused
from model.weights import WeightsInfo


class OpenVinoDetector(BaseDetector):
    """Takes the letterboxed uint8 BGR picture as it is; colour order and scale are in the graph."""

    runtime = "openvino"

    def __init__(self, weights: Path, threads: int | None = None) -> None:
        model, info = load_fused(weights)
        super().__init__(info)
        graph = to_openvino(model, info)
        config: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # bf16 is slower on small CPUs and moves boxes
        }
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        self._request = ov.Core().compile_model(graph, "CPU", config).create_infer_request()
        self._scales = model.scales

    def raw_maps(self, image: np.ndarray) -> Sequence[np.ndarray]:
        """See BaseDetector."""
        fit = Letterbox(image.shape[1], image.shape[0], self.image_size)
        self._request.infer([fit.apply(image)[None]], share_inputs=True)
        return [self._request.get_output_tensor(i).data[0] for i in range(self._scales)]


def to_openvino(model: torch.nn.Module, info: WeightsInfo) -> ov.Model:
    """Convert to a graph from uint8 (1, S, S, 3) BGR to the raw maps."""
    size = info.image_size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own use of torch.jit is deprecated
        # a small example and no second run to check the trace: the shape is set below
        traced = torch.jit.trace(model.eval(), torch.zeros(1, 3, 64, 64), check_trace=False)
        graph = ov.convert_model(traced, input=[1, 3, size, size])
    steps = PrePostProcessor(graph)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(
        ov.Layout("NHWC")
    ).set_color_format(ColorFormat.BGR)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).convert_color(
        ColorFormat.RGB
    ).mean([m * 255 for m in info.mean]).scale([s * 255 for s in info.std])
    return steps.build()
