"""The network in int8: what NNCF measures on pictures, kept as numbers and put into the graph.

A quantised graph differs from the graph it was made of in two things: values are rounded to 256
levels of a range on their way into a layer (FakeQuantize, which OpenVINO turns into int8
arithmetic), and biases are shifted by what rounding moves the means of a layer's outputs. Both are
small, so the weights file holds them beside its tensors and needs no second copy of the network.

Source: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference" (2018),
sections 2 and 3; Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction" (ICCV 2019), section 4.2 for the biases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import openvino as ov
from openvino import opset13

from model.weights import Int8

LAYERS = ("Convolution", "GroupConvolution")
HANDING_ON = ("Concat", "Interpolate", "MaxPool", "Pad")  # give values as they get them
LEVELS = 256  # of a value; weights use one less, so that zero lies in the middle


def quantise(graph: ov.Model, inputs: Sequence[np.ndarray]) -> Int8:
    """Measure where a float32 graph may compute in int8.

    inputs: float32 arrays of shapes that the graph takes, some hundreds of the kind that it will
    see. The graph stays as it is. ImportError without NNCF (requirements.txt, training only).
    """
    import nncf

    quantised = nncf.quantize(
        graph,
        nncf.Dataset(inputs),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        target_device=nncf.TargetDevice.CPU,
    )
    return _ranges(quantised) | _changed_biases(graph, quantised)


def with_int8(graph: ov.Model, int8: Int8) -> ov.Model:
    """A copy of a graph that computes in int8 where ``quantise`` said so.

    Raises KeyError when the numbers were measured on another network.
    """
    graph = graph.clone()
    nodes = {node.get_friendly_name(): node for node in graph.get_ops()}
    edges = defaultdict(list)  # those that lead out of one value share its rounding
    for place, numbers in int8.items():
        name, port = place.rsplit(":", 1)
        edge = nodes[name].input(int(port))
        source = edge.get_source_output()
        if numbers.ndim == 1:
            edge.replace_source_output(_constant(numbers.reshape(source.get_shape())))
        else:
            edges[source.get_node().get_friendly_name()].append((edge, numbers))
    for group in edges.values():
        (first, (low, high)), *_ = group
        shape = (1, -1, 1, 1) if len(low) > 1 else ()
        rounded = _rounded(first.get_source_output(), low.reshape(shape), high.reshape(shape))
        for edge, _ in group:
            edge.replace_source_output(rounded)
    for node in graph.get_ops():
        if node.get_type_name() in LAYERS and _is_rounded(node.input_value(0).get_node()):
            _round_weights(node)
    return graph


def _is_rounded(node: ov.Node) -> bool:
    """Whether all that a node gives was rounded, also before it was only chosen or joined."""
    kind = node.get_type_name()
    sources = node.inputs() if kind == "Concat" else node.inputs()[:1]
    return kind == "FakeQuantize" or (
        kind in HANDING_ON and all(_is_rounded(s.get_source_output().get_node()) for s in sources)
    )


def _rounded(
    value: ov.Output, low: np.ndarray, high: np.ndarray, levels: int = LEVELS
) -> ov.Output:
    ends = [opset13.constant(end.astype(np.float32)) for end in (low, high)]
    return opset13.fake_quantize(value, *ends, *ends, levels).output(0)


def _constant(numbers: np.ndarray) -> ov.Output:
    return opset13.constant(numbers.astype(np.float32)).output(0)


def _round_weights(layer: ov.Node) -> None:
    """To ±127 steps of each output channel's largest weight."""
    edge = layer.input(1)
    weights = edge.get_source_output()
    numbers = _value(weights.get_node())
    inner = tuple(range(numbers.ndim - 3, numbers.ndim))  # c_in, k, k of (C, …) or (G, C/G, …)
    high = np.maximum(np.abs(numbers).max(inner, keepdims=True), 1e-12)
    edge.replace_source_output(_rounded(weights, -high, high, LEVELS - 1))


def _value(node: ov.Node) -> np.ndarray:
    """A constant's numbers, through the reshaping that stands before grouped convolutions."""
    if node.get_type_name() == "Constant":
        return np.array(node.data)
    return _value(node.input_value(0).get_node()).reshape(tuple(node.get_output_shape(0)))


def _ranges(quantised: ov.Model) -> Int8:
    """ "layer:input" → (2, 1) or (2, channels), lowest and highest of what may go in there."""
    found = {}
    for node in quantised.get_ops():
        if node.get_type_name() == "FakeQuantize" and not _holds_weights(node):
            ends = [np.ravel(_value(node.input_value(i).get_node())) for i in (1, 2)]
            for edge in node.output(0).get_target_inputs():
                place = f"{edge.get_node().get_friendly_name()}:{edge.get_index()}"
                found[place] = np.stack(ends).astype(np.float32)
    return found


def _holds_weights(node: ov.Node) -> bool:
    return any(
        edge.get_node().get_type_name() in LAYERS and edge.get_index() == 1
        for edge in node.output(0).get_target_inputs()
    )


def _changed_biases(graph: ov.Model, quantised: ov.Model) -> Int8:
    """ "sum:input" → (channels,), where it is no longer what it was."""
    before, after = _biases(graph), _biases(quantised)
    return {place: after[place] for place in before if not np.allclose(before[place], after[place])}


def _biases(graph: ov.Model) -> Int8:
    return {
        f"{node.get_friendly_name()}:1": np.ravel(_value(node.input_value(1).get_node()))
        for node in graph.get_ops()
        if node.get_type_name() == "Add"
        and node.input_value(0).get_node().get_type_name() in LAYERS
        and node.input_value(1).get_node().get_type_name() == "Constant"
    }
