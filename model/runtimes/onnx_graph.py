"""The detector as an ONNX graph: written by torch's exporter, put into int8 by NNCF."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import numpy as np
import onnx
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from model.portable import INPUT, OUTPUTS, Portable, description
from model.weights import WeightsInfo
from model.yolov3 import YoloV3


def to_onnx(model: YoloV3, info: WeightsInfo) -> onnx.ModelProto:
    """Convert to the graph of model.portable, its description in the file's metadata."""
    image = torch.zeros(1, info.image_size, info.image_size, 3, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # torchvision is not missed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the exporter's own use of torch
        program = torch.onnx.export(
            Portable(model, info).eval(),
            (image,),
            input_names=[INPUT],
            output_names=OUTPUTS,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    ClearMetadataAndDocStringPass()(program.model)  # the exporter writes its stack traces there
    program.model.metadata_props.update(description(info))
    return program.model_proto


def quantised(graph: onnx.ModelProto, pictures: Sequence[np.ndarray]) -> onnx.ModelProto:
    """The graph in int8, its ranges measured on pictures as it takes them, but for its ends.

    Decoding needs exact numbers; depthwise convolutions lose most by rounding, and ONNX Runtime is
    slower at them in int8. ImportError without NNCF, which is for x86.
    """
    import nncf

    nodes = list(graph.graph.node)
    ends = 1 + max(i for i, node in enumerate(nodes) if node.op_type == "Conv")
    exact = [node.name for i, node in enumerate(nodes) if i >= ends or _is_depthwise(node)]
    nncf.set_log_level(logging.WARNING)
    return nncf.quantize(
        graph,
        nncf.Dataset(pictures, lambda picture: {INPUT: picture}),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(pictures),
        ignored_scope=nncf.IgnoredScope(names=exact),
    )


def _is_depthwise(node: onnx.NodeProto) -> bool:
    return any(a.name == "group" and a.i > 1 for a in node.attribute)
