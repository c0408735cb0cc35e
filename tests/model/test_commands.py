import json
import subprocess
import sys

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
