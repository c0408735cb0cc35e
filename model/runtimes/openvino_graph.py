"""The detector as an OpenVINO graph that decodes its own maps, for files that others read."""

from __future__ import annotations

import warnings

import openvino as ov
import torch
from openvino._offline_transformations import compress_quantize_weights_transformation

from model.portable import INPUT, OUTPUTS, Decoding, description
from model.weights import WeightsInfo

FACTS = "detector"  # where the description stands in the graph's rt_info


def with_decoding(maps: ov.Model, info: WeightsInfo) -> ov.Model:
    """Give to_openvino's graph, which is used up, the outputs of model.portable.

    Weights that are rounded to int8 become int8.
    """
    shapes = [list(output.shape) for output in maps.outputs]
    decoding = _decoding(shapes, info)
    for parameter, result in zip(decoding.get_parameters(), maps.get_results(), strict=True):
        for edge in parameter.output(0).get_target_inputs():
            edge.replace_source_output(result.input_value(0))
    whole = ov.Model(decoding.get_results(), maps.get_parameters(), "detector")
    whole.input().set_names({INPUT})
    for output, name in zip(whole.outputs, OUTPUTS, strict=True):
        output.set_names({name})
    for name, fact in description(info).items():
        whole.set_rt_info(fact, [FACTS, name])
    compress_quantize_weights_transformation(whole)
    return whole


def _decoding(shapes: list[list[int]], info: WeightsInfo) -> ov.Model:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own use of torch.jit is deprecated
        maps = tuple(torch.zeros(shape) for shape in shapes)
        traced = torch.jit.trace(Decoding(info).eval(), maps, check_trace=False)
        return ov.convert_model(traced, input=shapes)
