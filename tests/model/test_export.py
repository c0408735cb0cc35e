import re
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from model import export
from model.boxes import iou_xyxy
from model.calibration import Calibration
from model.data.dataset import read_picture
from model.decode import CLASS_SCORES, decode
from model.detector import Detection, load_detector
from model.export import Agreement, agreement
from model.portable import Decoding
from model.runtimes.exported import ExportedDetector, onnx_session
from model.runtimes.onnx_graph import quantised
from model.training import int8
from model.weights import describe, read_info, write_int8
from model.yolov3 import NECKS
from tests.model.helpers import DEFAULT_WEIGHTS, ROOT, SAMPLE, info, random_weights
from tests.model.small_run import small_data

PICTURES = sorted((SAMPLE / "images").glob("*.jpg"))
ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}
both_formats = pytest.mark.parametrize("format", ["onnx", "openvino"])


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch):
    """A file tells nothing that is not for sale, so no score in it is lowered by such a thing."""
    monkeypatch.setattr("model.decode.shared_with_others", lambda boxes, scores, *_: scores)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The shipped network at a smaller size, which is quicker, and without its int8 numbers."""
    path = tmp_path_factory.mktemp("export") / "small.safetensors"
    shutil.copyfile(DEFAULT_WEIGHTS, path)
    describe(path, replace(read_info(path), image_size=160))
    write_int8(path, {})
    return path


@pytest.fixture(scope="module")
def exported(weights):
    """The file of a format, written once."""
    for name in ENDINGS:
        export.main(["--weights", str(weights), "--format", name])
    return {name: weights.with_suffix(ending) for name, ending in ENDINGS.items()}


@pytest.fixture(scope="module")
def pictures():
    """Squares, as a file takes them: a detector leaves away the bars of others."""
    return [export.fitted(read_picture(path), 160) for path in PICTURES[:20]]


@both_formats
def test_an_exported_file_finds_what_the_weights_find(exported, weights, pictures, format):
    known, file = load_detector(weights, "torch"), ExportedDetector(exported[format])
    compared = agreement(known, file, pictures)
    assert compared.both > len(pictures) / 2
    assert (compared.missed, compared.added) == (0, 0)
    assert compared.score_difference < 0.001
    for a, b in zip(known.detect(pictures[0]), file.detect(pictures[0]), strict=True):
        assert iou_xyxy(np.array([a.box_xyxy]), np.array([b.box_xyxy]))[0, 0] > 0.99


@both_formats
def test_an_exported_file_says_what_a_program_needs_to_know(exported, weights, format):
    file, described = ExportedDetector(exported[format]), read_info(weights)
    assert file.names == described.names
    assert file.image_size == 160
    assert file.confidence == described.confidence
    assert file.calibrated


def test_an_onnx_file_is_valid_and_holds_nothing_of_the_machine_that_wrote_it(exported):
    graph = onnx.load(exported["onnx"])
    onnx.checker.check_model(graph, full_check=True)
    assert b"stack_trace" not in graph.SerializeToString()
    assert str(ROOT).encode() not in graph.SerializeToString()


@pytest.mark.parametrize("neck", ["slim", "tiny"])
@pytest.mark.parametrize("class_score", sorted(CLASS_SCORES))
@pytest.mark.parametrize("lines", [None, Calibration((0.5, 1.0, 2.0), (-1.0, 0.0, 1.0))])
@pytest.mark.parametrize("others", [(), ("peach", "lime")])
def test_the_graph_decodes_as_the_runtimes_do(neck, class_score, lines, others):
    described = info(
        image_size=64, neck=neck, class_score=class_score, calibration=lines, others=others
    )
    rng = np.random.default_rng(0)
    grids = [8, 4, 2][-len(NECKS[neck][0]) :]
    channels = 3 * (5 + len(described.classes))
    maps = [rng.normal(0, 3, (channels, g, g)).astype(np.float32) for g in grids]
    boxes, scores = Decoding(described)(*(torch.from_numpy(m)[None] for m in maps))
    each = decode(maps, described.anchor_array, 64, 0.0, class_score)
    each = tuple(column[each[2] < 3] for column in each)  # every box under its three names
    expected = lines.apply(each[1], each[2]) if lines else each[1]
    np.testing.assert_allclose(boxes[0].numpy().repeat(3, axis=0), each[0], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(scores[0].numpy().ravel(), expected, atol=1e-5)


def test_an_onnx_file_in_int8_is_small_and_finds_nearly_the_same(
    exported, weights, pictures, tmp_path, capsys
):
    out = tmp_path / "int8.onnx"
    where = ["--weights", str(weights), "--format", "onnx", "--out", str(out)]
    data = small_data(tmp_path)
    export.main([*where, "--int8", "--data", data, "--count", "8", "--scenes", str(SAMPLE)])
    assert re.search(r"2 pictures: \d+ boxes found by both", capsys.readouterr().out)
    assert out.stat().st_size < 0.4 * exported["onnx"].stat().st_size
    assert sum(node.op_type == "QuantizeLinear" for node in onnx.load(out).graph.node) > 30
    compared = agreement(ExportedDetector(exported["onnx"]), ExportedDetector(out), pictures)
    assert compared.both > 2 * (compared.missed + compared.added)
    assert compared.score_difference > 0


@pytest.mark.parametrize("vnni", [True, False])
def test_onnx_runtime_cuts_no_sum_of_int8_products_off(vnni, tmp_path, monkeypatch):
    """The largest values and weights there are, of which 16 bits hold the products of one alone."""
    if not vnni:
        monkeypatch.setattr("model.runtimes.exported.has_vnni", lambda: False)
    layers = [("image", "inner"), ("inner", "found")]
    shapes = {"image": [1, 64, 8, 8], "found": [1, 1, 8, 8]}
    given, found = (onnx.helper.make_tensor_value_info(n, 1, s) for n, s in shapes.items())
    ones = [np.ones(sides, np.float32) for sides in [(8, 64, 1, 1), (1, 8, 1, 1)]]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", [a, f"{a}_ones"], [b], name=b) for a, b in layers],
        "sums",
        [given],
        [found],
        [onnx.numpy_helper.from_array(ones[i], f"{a}_ones") for i, (a, _) in enumerate(layers)],
    )
    opset = onnx.helper.make_opsetid("", 18)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    image = np.ones((1, 64, 8, 8), np.float32)
    onnx.save(quantised(model, [image]), tmp_path / "sums.onnx")
    session = onnx_session(tmp_path / "sums.onnx")
    [sums] = session.run(["found"], {"image": image})
    if not vnni:
        options = session.get_session_options()
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    np.testing.assert_allclose(sums, 8 * 64, rtol=1e-3)


def test_openvino_in_int8_takes_the_weights_own_numbers_or_measures_them(tmp_path, monkeypatch):
    weights = random_weights(tmp_path, backbone="darknet_tiny", neck="tiny", image_size=64)
    measured, real = {}, int8.measured

    def noted(*arguments):
        measured.update(real(*arguments))
        return measured

    monkeypatch.setattr(int8, "measured", noted)
    monkeypatch.setattr(int8, "without_worst", lambda _graph, numbers, _inputs: numbers)  # slow
    command = ["--format", "openvino", "--weights", str(weights)]
    export.main(command)
    here = ["--out", str(tmp_path / "measured.xml"), "--data", small_data(tmp_path)]
    export.main([*command, "--int8", "--count", "8", *here])
    write_int8(weights, measured)
    export.main([*command, "--int8"])
    exact, first, second = (
        tmp_path / f"{name}.xml" for name in ("random", "measured", "random-int8")
    )
    assert first.with_suffix(".bin").read_bytes() == second.with_suffix(".bin").read_bytes()
    assert size_of(second) < 0.4 * size_of(exact)
    image = cv2.resize(read_picture(PICTURES[0]), (64, 64))[None]
    scores = [ExportedDetector(path).answer(image)[1].ravel() for path in (exact, second)]
    assert np.corrcoef(*scores)[0, 1] > 0.98


def size_of(path: Path) -> int:
    weights = path.with_suffix(".bin")  # OpenVINO's second file
    return path.stat().st_size + (weights.stat().st_size if path.suffix == ".xml" else 0)


def test_pairs_are_boxes_of_one_name_that_overlap_and_each_counts_once():
    def apple(x: float, score: float = 0.9, key: str = "apple") -> Detection:
        return Detection(key, score, (x, 0, x + 10, 10))

    class Fake:
        def __init__(self, *found: Detection):
            self.found = list(found)

        def detect(self, image):
            return self.found

    weights = Fake(apple(0), apple(1), apple(50), apple(80, 0.5))
    file = Fake(apple(0, 0.7), apple(50, key="pear"), apple(82, 0.45))
    compared = agreement(weights, file, [np.zeros((9, 9, 3), np.uint8)])
    assert compared == Agreement(1, 2, 2, 1, pytest.approx(0.2))
    assert agreement(Fake(), Fake(), []) == Agreement(0, 0, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "onnx", "--int8"], "--int8 needs --data"),
        (["--format", "openvino", "--int8"], "--int8 needs --data"),
        (["--format", "onnx", "--out", "x.xml"], "ends in .onnx"),
        (["--format", "openvino", "--out", "x"], "ends in .xml"),
        (["--format", "onnx", "--out", "file/x.onnx"], "file"),
        (["--format", "onnx", "--weights", "file"], "file: cannot be read as safetensors"),
        (["--format", "onnx", "--weights", "gone"], "gone: no such file"),
        (["--format", "onnx", "--int8", "--data", "file"], "file: needs a list 'names'"),
        (["--format", "caffe"], "--format"),
    ],
)
def test_a_mistake_gets_one_line_and_nothing_is_written(
    weights, tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no weights")
    with pytest.raises(SystemExit) as stop:
        export.main(["--weights", str(weights), *arguments])
    assert stop.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "error:" in line
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_missing_package_is_named_with_the_command_that_brings_it(weights, monkeypatch, capsys):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(SystemExit) as stop:
        export.main(["--weights", str(weights), "--format", "onnx"])
    assert stop.value.code == 2
    expected = "error: ONNX needs onnxscript: pip install -r requirements-export.txt\n"
    assert capsys.readouterr().err == expected


def test_what_stops_halfway_leaves_the_old_file_as_it_was(weights, tmp_path, capsys):
    out = tmp_path / "old.onnx"
    out.write_text("old")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "train.txt").write_text("broken.jpg")
    (tmp_path / "data.yaml").write_text("names: [apple]\ntrain: train.txt\n")
    before = sorted(tmp_path.iterdir())
    where = ["--weights", str(weights), "--format", "onnx", "--out", str(out)]
    with pytest.raises(SystemExit):
        export.main([*where, "--int8", "--data", str(tmp_path / "data.yaml")])
    assert "broken.jpg" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == before


def test_the_manuals_example_prints_what_the_detector_finds(
    exported, weights, pictures, tmp_path, monkeypatch
):
    manual = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import json.*?)```", manual, re.DOTALL)
    detector = load_detector(weights, "torch")
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(exported["onnx"], "default.onnx")
    for picture in pictures[:5]:
        cv2.imwrite("picture.png", picture)
        with redirect_stdout(StringIO()) as printed:
            exec(compile(example.replace(".jpg", ".png"), "training.md", "exec"), {})
        found = detector.detect(picture, detector.confidence)
        expected = [f"{d.key} {d.score:.2f}" for d in found]
        assert [re.sub(r" \[.*", "", line) for line in printed.getvalue().splitlines()] == expected
