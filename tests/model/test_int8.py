"""Computing in int8: what is measured, where it is kept, and when it is used."""

import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13
from safetensors import safe_open

from model.data.dataset import read_config, read_split
from model.quantise import main
from model.runtimes.base import load_fused
from model.runtimes.int8 import quantise, with_int8
from model.runtimes.openvino_runtime import OpenVinoDetector, compiled, graph_of
from model.runtimes.torch_runtime import TorchDetector
from model.training.int8 import _harm as harm
from model.training.int8 import measured, said, teach_int8, without_worst
from model.training.validation import Validation, some_training
from model.weights import describe, load_weights, read_info, read_int8, write_int8
from tests.model.helpers import NAMES, SAMPLE, lively_weights, random_weights

SIDE = 96


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return lively_weights(tmp_path_factory.mktemp("int8") / "lively.safetensors")


@pytest.fixture(scope="module")
def graph(weights):
    return graph_of(load_fused(weights)[0], (1, 3, SIDE, SIDE))


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32) for _ in range(6)]


@pytest.fixture(scope="module")
def int8(graph, inputs):
    return quantise(graph, inputs)


@pytest.fixture
def taught(weights, int8, tmp_path):
    """The weights with what was measured, in a file of their own."""
    path = copied(weights, tmp_path)
    write_int8(path, int8)
    return path


LITTLE = {"backbone": "darknet_tiny", "neck": "tiny"}  # is compiled in a third of the time
OF_ONE_LAYER = {
    "__module.scale32.head.1/aten::_convolution/Convolution:0": np.array([[-1.0], [1.0]])
}


def copied(weights, folder):
    return Path(shutil.copy(weights, folder / "copy.safetensors"))


def maps(graph, x):
    return [np.array(m) for m in compiled(graph)([x]).to_tuple()]


def test_the_rounded_graph_computes_in_int8_and_stays_close(graph, int8, inputs):
    rounded = with_int8(graph, int8)
    kinds = [node.get_type_name() for node in rounded.get_ops()]
    layers = sum(kind in ("Convolution", "GroupConvolution") for kind in kinds)
    assert kinds.count("FakeQuantize") >= 2 * layers - 10  # weights and what goes in
    for exact, near in zip(maps(graph, inputs[0]), maps(rounded, inputs[0]), strict=True):
        assert not np.array_equal(exact, near)
        # a network of chance is far more delicate than a trained one, but follows its picture
        assert told_apart(exact) > 1
        seen = [m - m.mean((-2, -1), keepdims=True) for m in (exact, near)]
        assert np.corrcoef(*map(np.ravel, seen))[0, 1] > 0.4


def told_apart(found):
    """How much a map's values differ between the places of a picture, in the mean."""
    return found.std(axis=(-2, -1)).mean()


def test_the_graph_that_was_measured_stays_as_it_is(graph, int8):
    before = len(graph.get_ops())
    with_int8(graph, int8)
    assert len(graph.get_ops()) == before


def test_limits_that_share_a_value_are_rounded_once(graph, int8):
    rounded = with_int8(graph, int8)
    sources = [
        node.input_value(0).get_node().get_friendly_name()
        for node in rounded.get_ops()
        if node.get_type_name() == "FakeQuantize"
    ]
    assert len(set(sources)) == len(sources)


def test_numbers_of_another_network_are_refused(graph):
    with pytest.raises(KeyError):
        with_int8(graph, {"of.another.network:0": np.zeros((2, 1), np.float32)})


def test_a_file_keeps_the_numbers_beside_a_network_that_is_unchanged(weights, taught, int8):
    found = read_int8(taught)
    assert found.keys() == int8.keys()
    assert all(np.array_equal(found[place], int8[place]) for place in int8)
    assert read_info(taught) == read_info(weights)
    mine, theirs = (load_weights(path)[0].state_dict() for path in (taught, weights))
    assert all(mine[name].equal(theirs[name]) for name in theirs)
    describe(taught, read_info(taught))
    assert read_int8(taught).keys() == int8.keys()
    write_int8(taught, {})
    assert not read_int8(taught)
    with safe_open(taught, "pt") as file, safe_open(weights, "pt") as first:
        assert list(file.keys()) == list(first.keys())


def test_no_sum_of_int8_products_is_cut_off():
    """The largest values and weights there are, of which 16 bits hold the products of one alone."""
    given = opset13.parameter([1, 64, 8, 8], np.float32)
    ones = opset13.constant(np.ones((8, 64, 1, 1), np.float32))
    layer = opset13.convolution(given, ones, [1, 1], [0, 0], [0, 0], [1, 1])
    layer.set_friendly_name("layer")
    graph = with_int8(ov.Model([layer], [given]), {"layer:0": np.array([[0.0], [1.0]])})
    [found] = maps(graph, np.ones((1, 64, 8, 8), np.float32))
    np.testing.assert_allclose(found, 64, rtol=1e-3)


@pytest.mark.parametrize("vnni", [True, False])
def test_int8_is_for_cpus_with_vnni_unless_it_is_asked_for(vnni, tmp_path, monkeypatch):
    monkeypatch.setattr("model.runtimes.openvino_runtime.has_vnni", lambda: vnni)
    taught = random_weights(tmp_path, **LITTLE)
    write_int8(taught, OF_ONE_LAYER)
    assert OpenVinoDetector(taught, threads=1).precision == ("int8" if vnni else "float32")
    assert OpenVinoDetector(taught, threads=1, int8=True).precision == "int8"
    assert OpenVinoDetector(taught, threads=1, int8=False).precision == "float32"


def test_a_cpu_without_vnni_computes_with_rounded_values_in_float32(monkeypatch):
    monkeypatch.setattr("model.runtimes.openvino_runtime.has_vnni", lambda: False)
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (1, 16, 8, 8)).astype(np.float32)
    factors = rng.uniform(-1, 1, (8, 16)).astype(np.float32)
    given = opset13.parameter(values.shape, np.float32)
    kernels = opset13.constant(factors[..., None, None])
    layer = opset13.convolution(given, kernels, [1, 1], [0, 0], [0, 0], [1, 1])
    layer.set_friendly_name("layer")
    graph = with_int8(ov.Model([layer], [given]), {"layer:0": np.array([[0.0], [1.0]])})

    running = compiled(graph).get_runtime_model()
    layers = [op for op in running.get_ops() if op.get_rt_info()["layerType"] == "Convolution"]
    assert {op.get_rt_info()["runtimePrecision"] for op in layers} == {"f32"}

    step = np.abs(factors).max(axis=1, keepdims=True) / 127
    rounded = np.round(factors / step) * step, np.round(values * 255) / 255
    [found] = maps(graph, values)
    np.testing.assert_allclose(found, np.einsum("oc,bcyx->boyx", *rounded), atol=1e-5)
    assert np.abs(found - np.einsum("oc,bcyx->boyx", factors, values)).max() > 1e-3


def test_openvino_computes_in_what_the_file_says_and_torch_in_float32(weights, taught, monkeypatch):
    monkeypatch.setattr("model.runtimes.openvino_runtime.has_vnni", lambda: True)
    image = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    assert OpenVinoDetector(weights).precision == "float32"
    plain = OpenVinoDetector(taught, int8=False)
    assert plain.precision == "float32"
    exact = TorchDetector(weights).raw_maps(image)
    for same in (TorchDetector(taught).raw_maps(image), plain.raw_maps(image)):
        for a, b in zip(same, exact, strict=True):
            np.testing.assert_allclose(a, b, atol=0.02)  # what is rounded differs by some units
            assert told_apart(b) > 1


def test_the_layers_that_do_half_of_the_harm_stay_in_float32(inputs, monkeypatch):
    """Four layers of harm 6, 3, 2, 1: the first does half of it."""
    harm = {"a": 6.0, "b": 3.0, "c": 2.0, "d": 1.0}
    int8 = {f"{name}:0": np.zeros((2, 1), np.float32) for name in harm}
    int8["a:1"], int8["bias:1"] = int8["a:0"], np.zeros(3, np.float32)
    monkeypatch.setattr("model.training.int8.with_int8", lambda _graph, places: next(iter(places)))
    monkeypatch.setattr("model.training.int8._maps", lambda graph, _inputs: graph)
    monkeypatch.setattr("model.training.int8._harm", lambda place, _true: harm[place[0]])
    kept = without_worst("graph", int8, inputs)
    assert kept.keys() == {"b:0", "c:0", "d:0", "bias:1"}


def test_limits_are_measured_on_inputs_of_the_pictures_shapes(tmp_path, monkeypatch):
    wide, high = np.zeros((90, 160, 3), np.uint8), np.zeros((160, 90, 3), np.uint8)
    pictures = Validation([], NAMES, "", 0)
    pictures.scenes = [(picture, np.zeros((0, 5), np.float32)) for picture in (wide, high)]
    seen = []

    def noted(graph, inputs):
        seen.extend(x.shape for x in inputs)
        return quantise(graph, inputs)

    monkeypatch.setattr("model.training.int8.quantise", noted)
    monkeypatch.setattr("model.training.int8.without_worst", lambda _graph, int8, _inputs: int8)
    path = random_weights(tmp_path, image_size=128, **LITTLE)
    int8 = measured(path, pictures)

    assert seen == [(1, 3, 96, 160), (1, 3, 160, 96)]
    write_int8(path, int8)
    assert len(OpenVinoDetector(path, int8=True).raw_maps(np.zeros((128, 128, 3), np.uint8))) == 2


def test_harm_is_counted_where_there_is_something_in_maps_of_any_shape():
    true = np.full((1, 3 * 8, 2, 4), -10, np.float32)
    true.reshape(3, 8, 2, 4)[1, 4, 1, 3] = 5.0
    found = true.copy()
    found.reshape(3, 8, 2, 4)[1, 4:, 1, 3] += 2.0
    found.reshape(3, 8, 2, 4)[0, 4:, 0, 0] += 7.0  # where nothing is
    assert harm([[found]], [[true]]) == pytest.approx(4.0)


class Judged(Validation):
    """A validation that gives int8 the map it is told to."""

    def __init__(self, of_int8):
        super().__init__([], NAMES, "", 0)
        self.of = {"float32": 0.6, "int8": of_int8}

    def scores(self, detector):
        return {"map": self.of[detector.precision]}


@pytest.mark.parametrize(("of_int8", "kept"), [(0.5951, True), (0.5949, False), (0.61, True)])
def test_int8_is_kept_where_it_costs_at_most_half_a_point(tmp_path, monkeypatch, of_int8, kept):
    monkeypatch.setattr("model.training.int8.quantise", lambda _graph, _inputs: OF_ONE_LAYER)
    monkeypatch.setattr("model.training.int8.without_worst", lambda _graph, int8, _inputs: int8)
    path = random_weights(tmp_path, **LITTLE)
    pictures = some_training(read_split(read_config(SAMPLE / "data.yaml"), "train"), NAMES, "", 4)
    change = teach_int8(path, pictures, Judged(of_int8))
    assert change == pytest.approx(of_int8 - 0.6)
    assert bool(read_int8(path)) == kept
    assert ("kept" in said(change)) == kept


def test_a_file_stays_as_it_is_when_int8_cannot_be_judged(tmp_path, monkeypatch):
    monkeypatch.setattr("model.training.int8.quantise", lambda _graph, _inputs: OF_ONE_LAYER)
    monkeypatch.setattr("model.training.int8.without_worst", lambda _graph, int8, _inputs: int8)
    path = random_weights(tmp_path, **LITTLE)
    before = path.read_bytes()
    pictures = some_training(read_split(read_config(SAMPLE / "data.yaml"), "train"), NAMES, "", 4)
    judged = Judged(0.6)
    del judged.of["int8"]  # as when a picture cannot be read, or the power goes
    with pytest.raises(KeyError):
        teach_int8(path, pictures, judged)
    assert path.read_bytes() == before


def test_the_command_says_what_became_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("model.training.int8.without_worst", lambda _graph, int8, _inputs: int8)
    monkeypatch.setattr("model.quantise.VALIDATED_ON", 2)
    path = random_weights(tmp_path, names=read_config(SAMPLE / "data.yaml").names, **LITTLE)
    args = ["--data", str(SAMPLE / "data.yaml"), "--scenes", str(SAMPLE), "--count", "8"]
    main(["--weights", str(path), *args])
    assert f"{path}" in capsys.readouterr().out


def test_on_a_processor_that_openvino_is_not_installed_for_the_command_says_so(
    weights, monkeypatch, capsys
):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(SystemExit) as stop:
        main(["--weights", str(weights), "--data", str(SAMPLE / "data.yaml")])
    assert stop.value.code == 2
    assert "int8 needs OpenVINO" in capsys.readouterr().err
