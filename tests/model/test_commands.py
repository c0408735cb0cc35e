import io
import json
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from model import benchmark, dataset, detect, evaluate, train
from model.boxes import Letterbox
from model.data.dataset import read_config, read_split
from model.runtimes import has_vnni, openvino_fits
from model.runtimes.base import load_fused
from tests.model.helpers import ROOT, SAMPLE, info, random_weights

IN_INT8 = openvino_fits() and has_vnni()
NAMES = read_config(SAMPLE / "data.yaml").names
PICTURE = sorted((SAMPLE / "images").glob("*.jpg"))[0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(random_weights(tmp_path_factory.mktemp("weights"), names=NAMES))


COMMANDS = {p.stem for p in (ROOT / "model").glob("*.py") if "def parser(" in p.read_text()}


@pytest.mark.parametrize("name", sorted(COMMANDS - {"train"}))
def test_every_command_explains_itself(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "model" / f"{name}.py"), run_name="__main__")
    assert stop.value.code == 0
    assert f"python -m model.{name}" in capsys.readouterr().out


def test_the_training_which_begins_anew_with_its_environment_explains_itself():
    done = subprocess.run(
        [sys.executable, "-m", "model.train", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "python -m model.train" in done.stdout


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (train.main, ["--data", "gone.yaml"]),
        (train.main, []),
        (train.main, ["--data", str(SAMPLE / "data.yaml"), "--image-size", "100"]),
        (train.main, ["--data", str(SAMPLE / "data.yaml"), "--backbone", "resnet"]),
        (evaluate.main, ["--weights", "gone", "--data", str(SAMPLE / "data.yaml")]),
        (detect.main, ["--weights", str(PICTURE), str(PICTURE)]),
        (detect.main, []),
        (dataset.main, []),
        (dataset.main, ["synthesize", "gone", "--data", "gone", "--out", "x"]),
        (benchmark.main, ["--weights", "gone"]),
        (benchmark.main, [*"--image-size 64 --rounds 1 --peers".split(), str(PICTURE)]),
    ],
)
def test_a_mistake_gets_one_line_and_exit_status_two(main, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("command", ["calibrate", "quantise", "scorecard", "evaluate"])
def test_weights_are_not_changed_by_data_of_other_classes(command, weights, tmp_path, capsys):
    text = (SAMPLE / "data.yaml").read_text()
    (tmp_path / "data.yaml").write_text(text.replace("apple", "cherry"))
    before = Path(weights).read_bytes()
    with pytest.raises(SystemExit) as stop:
        import_module(f"model.{command}").main(
            ["--weights", weights, "--data", str(tmp_path / "data.yaml")]
        )
    assert stop.value.code == 2
    assert "differ from the weights'" in capsys.readouterr().err
    assert Path(weights).read_bytes() == before


def test_synthesize_writes_a_set_that_can_be_read_again(tmp_path):
    dataset.main(
        [
            "synthesize",
            str(SAMPLE),
            "--data",
            str(SAMPLE / "data.yaml"),
            "--out",
            str(tmp_path),
            "--pictures",
            "3",
            "--fruits",
            "2",
            "4",
            "--split",
            "train",
        ]
    )
    config = read_config(tmp_path / "data.yaml")
    samples = read_split(config, "val")
    assert config.names == NAMES
    assert len(samples) == 3
    assert all(len(s.boxes) <= 4 for s in samples)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--seed", "-1"], "-1: needs a whole number, 0 or above"),
        (["--variety", "1.5"], "1.5: must lie in 0…1"),
        (["--variety", "some"], "some: must lie in 0…1"),
        ([], "has a data.yaml already; choose another folder"),
    ],
)
def test_scenes_are_not_composed_from_wrong_numbers_or_over_others(tmp_path, more, said, capsys):
    (tmp_path / "data.yaml").touch()
    of = [str(SAMPLE), "--data", str(SAMPLE / "data.yaml"), "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        dataset.main(["synthesize", *of, *more])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def timed(weights, tmp_path_factory):
    """What the benchmark finds and prints: two sizes, and a peer, which is the own network."""
    folder = tmp_path_factory.mktemp("timed")
    out, peers = folder / "out.json", []
    if openvino_fits():
        import openvino

        from model.runtimes.openvino_runtime import graph_of

        peers = ["--peers", str(folder / "network.xml")]
        openvino.save_model(graph_of(load_fused(Path(weights))[0], (1, 3, 64, 64)), peers[1])
    few = "--image-size 64 96 --rounds 1".split()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as said:
        patch.chdir(folder)
        benchmark.main(["--weights", weights, *few, *peers, "--json", str(out)])
    return json.loads(out.read_text()), said.getvalue()


def test_benchmark_times_every_runtime_beside_the_machines_peak(timed):
    figures, said = timed
    assert all(peak > 0 for peak in figures["peak_gops"].values())
    runtimes = {(row["runtime"], row["image_size"]) for row in figures["timings"]}
    assert {("torch float32", 64), ("torch float32", 96), ("opencv", 64)} <= runtimes
    assert all(row["median_ms"] > 0 for row in figures["timings"])
    networks = {row["step"] for row in figures["timings"] if row["step"].startswith("network ")}
    assert networks == {"network 64×64", "network 96×64"}
    assert "GOP/s in float32" in said


@pytest.mark.skipif(not openvino_fits(), reason="OpenVINO is for x86")
def test_benchmark_times_somebody_elses_network_beside_its_own(timed):
    figures, said = timed
    rows = [row for row in figures["timings"] if row["step"] == "network"]
    assert ("openvino int8" in {row["runtime"] for row in rows}) == has_vnni()  # the peer's
    *own, peer = (row for row in rows if row["runtime"] == "openvino float32")
    lines = [line for line in said.splitlines() if " / network, openvino float32: " in line]
    assert lines == [
        f"network {row['image_size']} / network, openvino float32: "
        f"{row['median_ms'] / peer['median_ms']:.2f}"
        for row in own  # not of itself
    ]


def test_benchmark_times_an_untrained_network_of_another_kind(weights, tmp_path, capsys):
    out = tmp_path / "out.json"
    kind = "--backbone darknet_tiny --neck tiny --image-size 64 --rounds 1".split()
    benchmark.main(["--weights", weights, *kind, "--json", str(out)])
    said = capsys.readouterr().out
    # 8,692,976 parameters at the sample's eleven classes; 2.733 GMAC at 416, so (64 / 416)² of it
    assert "darknet_tiny, tiny neck, 64: 8.7 M parameters, 0.06 GMAC" in said
    timings = json.loads(out.read_text())["timings"]
    assert {row["image_size"] for row in timings} == {64}
    assert ("openvino int8" in {row["runtime"] for row in timings}) == IN_INT8


@pytest.mark.parametrize(
    ("size", "share"), [(416, 512 * 288 / 416**2), (320, 384 * 224 / 320**2), (64, 1.0)]
)
def test_a_720p_picture_takes_a_part_of_the_square(size, share):
    assert benchmark.frame_share(size) == pytest.approx(share)


@pytest.mark.skipif(not openvino_fits(), reason="OpenVINO is for x86")
@pytest.mark.parametrize("tight", [False, True])
def test_the_letterbox_as_a_graph_gives_the_picture_that_opencv_gives(tight):
    from model.runtimes.openvino_speed import letterbox_graph

    image = benchmark.sample_picture()
    fit = Letterbox.of(image, 416, tight=tight)
    graph = letterbox_graph(fit)
    (found,) = graph.infer([image[None]]).values()
    np.testing.assert_allclose(found[0], fit.apply(image), atol=1)


@pytest.mark.parametrize(
    ("backbone", "neck", "published"),
    [("darknet53", "full", 65.86), ("darknet_tiny", "tiny", 5.56)],
)
def test_multiply_adds_are_half_of_the_published_operations(backbone, neck, published):
    """The billions of operations at 416 that YOLOv3's authors name for their COCO networks."""
    names = tuple(map(str, range(80)))
    described = info(names=names, image_size=416, backbone=backbone, neck=neck)
    assert benchmark.network_size(described)[1] == pytest.approx(published / 2, rel=2e-3)
