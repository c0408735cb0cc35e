import csv

import pytest
import torch

from model.training.settings import write_settings
from model.training.state import load_state
from tests.model.small_run import ROOT, small_config, started, trained
from tests.model.two_processes import StillNorms

SETTINGS = {"epochs": 1, "frozen_epochs": 0, "optimizer": "sgd", "lr": 0.02, "warmup_epochs": 0}


def weights(folder):
    state = load_state(folder)
    return {f"{part} {k}": v for part in ("model", "average") for k, v in state[part].items()}


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """One process with batches of four."""
    monkeypatch.setattr("model.trainer.report", lambda *_: None)
    trained(small_config(tmp_path, **SETTINGS, batch=4), tmp_path / "alone", StillNorms)
    return weights(tmp_path / "alone")


def test_two_processes_train_like_one_with_twice_the_batch(tmp_path, alone):
    write_settings(tmp_path / "a.yaml", small_config(tmp_path, **SETTINGS, batch=2))
    (tmp_path / "two").mkdir()
    script = ROOT / "tests" / "model" / "two_processes.py"
    torchrun = ["--nproc-per-node", "2", "--standalone", str(script)]
    process = started([*torchrun, "a.yaml", "two"], tmp_path, "torch.distributed.run")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    for name, theirs in weights(tmp_path / "two").items():
        torch.testing.assert_close(theirs, alone[name], rtol=1e-4, atol=1e-6, msg=name)
    with (tmp_path / "two" / "results.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1"]


def test_gathered_batches_train_like_a_large_one(tmp_path, alone):
    """With a loss that divides by the pictures; dividing by positives weighs batches alike."""
    small = SETTINGS | {"loss": {"reduction": "pictures"}}
    runs = {"gathered": {"batch": 2, "accumulate": 2}, "whole": {"batch": 4}}
    for name, change in runs.items():
        trained(small_config(tmp_path, **small, **change), tmp_path / name, StillNorms)
    gathered, whole = (weights(tmp_path / name) for name in runs)
    for name, value in gathered.items():
        torch.testing.assert_close(value, whole[name], rtol=1e-4, atol=1e-6, msg=name)
    assert any(not torch.equal(value, alone[name]) for name, value in whole.items())
