import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from model import benchmark, dataset, detect, evaluate, train
from model.data.dataset import read_config, read_split
from tests.model.helpers import ROOT, SAMPLE, random_weights

NAMES = read_config(SAMPLE / "data.yaml").names
PICTURE = sorted((SAMPLE / "images").glob("*.jpg"))[0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(random_weights(tmp_path_factory.mktemp("weights"), names=NAMES))


@pytest.mark.parametrize("name", ["train", "evaluate", "detect", "benchmark", "dataset"])
def test_every_command_explains_itself(name):
    done = subprocess.run(
        [sys.executable, "-m", f"model.{name}", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert f"python -m model.{name}" in done.stdout


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
    ],
)
def test_a_mistake_gets_one_line_and_exit_status_two(main, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "error:" in capsys.readouterr().err.strip().splitlines()[-1]


def test_detect_writes_a_json_line_for_each_picture_in_order(weights, tmp_path):
    out = tmp_path / "out.jsonl"
    pictures = [str(p) for p in sorted((SAMPLE / "images").glob("*.jpg"))[:3]]
    # an untrained network is sure of nothing: ask for nearly everything
    options = f"--conf 0.0002 --json {out} --save {tmp_path / 'drawn'}".split()
    detect.main(["--weights", weights, *pictures, *options])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["source"] for row in rows] == pictures
    height, width = cv2.imread(pictures[0]).shape[:2]
    assert (rows[0]["width"], rows[0]["height"], rows[0]["frame"]) == (width, height, 0)
    found = rows[0]["detections"][0]
    assert set(found) == {"name", "score", "box_xyxy"}
    assert found["name"] in NAMES
    assert len(list((tmp_path / "drawn").iterdir())) == 3


def test_detect_numbers_the_frames_of_a_video(weights, tmp_path):
    path = tmp_path / "v.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(4):
        video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    detect.main(["--weights", weights, str(path), "--json", str(tmp_path / "out")])
    rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [row["frame"] for row in rows] == [0, 1, 2, 3]


@pytest.mark.parametrize("source", ["gone.jpg", "empty", "broken.mp4", "broken.jpg"])
def test_detect_refuses_a_source_it_cannot_read_by_name(weights, tmp_path, capfd, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(SystemExit) as stop:
        detect.main(["--weights", weights, str(tmp_path / source)])
    assert stop.value.code == 2
    assert f"{source}:" in capfd.readouterr().err


def test_detect_refuses_a_confidence_outside_its_range(weights, capsys):
    with pytest.raises(SystemExit):
        detect.main(["--weights", weights, str(PICTURE), "--conf", "1.5"])
    assert "between 0 and 1" in capsys.readouterr().err


def test_evaluate_writes_every_figure_that_was_promised(weights, tmp_path, capsys):
    out = tmp_path / "out.json"
    evaluate.main(["--weights", weights, "--data", str(SAMPLE / "data.yaml"), "--json", str(out)])
    summary = json.loads(out.read_text())
    assert {"images", "map50", "map", "per_class", "cacc", "acd", "mccd", "mciou", "conf"} <= set(
        summary
    )
    assert summary["images"] == 55
    assert set(summary["per_class"]["apple"]) == {"ap50", "ap", "precision", "recall"}
    assert "mAP50" in capsys.readouterr().out


def test_evaluate_refuses_data_with_other_names(tmp_path, capsys):
    other = random_weights(tmp_path, names=("nail", "screw"))
    with pytest.raises(SystemExit):
        evaluate.main(["--weights", str(other), "--data", str(SAMPLE / "data.yaml")])
    assert "differ from the weights'" in capsys.readouterr().err


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


def test_benchmark_times_every_runtime_beside_the_machines_peak(
    weights, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.json"
    benchmark.main(
        ["--weights", weights, "--image-size", "64", "96", "--rounds", "2", "--json", str(out)]
    )
    figures = json.loads(out.read_text())
    assert figures["gemm_gflops"] > 0
    runtimes = {(row["runtime"], row["image_size"]) for row in figures["timings"]}
    assert {("torch", 64), ("torch", 96), ("opencv", 64)} <= runtimes
    assert all(row["median_ms"] > 0 for row in figures["timings"])
    assert "GFLOP/s" in capsys.readouterr().out
