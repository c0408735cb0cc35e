import csv
import os
import signal
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from model.cli import SettingsError
from model.train import main
from model.trainer import Trainer
from model.training.settings import write_settings
from model.training.state import FILE, load_state
from model.weights import load_weights, read_info
from tests.model.small_run import same_weights, small_config, started, trained

MEASURED = {"images_per_s", "data_wait", "rss_mib", "cuda_mib"}  # differ from run to run


@pytest.fixture(autouse=True)
def _nothing_drawn(monkeypatch):
    monkeypatch.setattr("model.trainer.report", lambda *_: None)


def scores(folder):
    with (folder / "results.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in MEASURED} for row in csv.DictReader(file)]


def stored(folder):
    """The description and the bytes of every tensor of a run's best weights."""
    path = folder / "weights" / "best.safetensors"
    tensors = load_file(path)
    return read_info(path), {name: t.numpy().tobytes() for name, t in tensors.items()}


def killed_within_an_epoch(config, folder):
    """Run the command and kill it without warning once it has saved its state."""
    write_settings(folder / "settings.yaml", config)
    process = started(["--config", "settings.yaml", "--name", str(folder / "run")], folder)
    deadline = time.monotonic() + 120
    while not (folder / "run" / FILE).exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return load_state(folder / "run")


def test_a_run_killed_within_an_epoch_and_resumed_ends_like_one_that_was_not(tmp_path):
    changes = {"batch": 2, "frozen_epochs": 0, "save_minutes": 0, "multi_scale": 0.5, "workers": 1}
    config = small_config(tmp_path, **changes)
    stopped = killed_within_an_epoch(config, tmp_path)
    assert stopped["progress"]["epoch"] == 0
    assert 0 < stopped["progress"]["batch"] < 6
    resumed = trained(config, tmp_path / "run")
    straight = trained(config, tmp_path / "straight")
    assert same_weights(resumed, straight)
    assert scores(tmp_path / "run") == scores(tmp_path / "straight")
    assert [row["epoch"] for row in scores(tmp_path / "run")] == ["1", "2"]
    assert stored(tmp_path / "run") == stored(tmp_path / "straight")


def test_two_deterministic_runs_give_the_same_losses_and_the_same_bytes(tmp_path):
    config = small_config(tmp_path, deterministic=True, epochs=1)
    for name in ("first", "second"):
        trained(config, tmp_path / name)
    assert scores(tmp_path / "first") == scores(tmp_path / "second")
    assert stored(tmp_path / "first") == stored(tmp_path / "second")


def test_another_seed_gives_other_weights(tmp_path):
    runs = [
        trained(small_config(tmp_path, epochs=1, seed=seed), tmp_path / str(seed))
        for seed in (1, 2)
    ]
    assert not same_weights(*runs)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    config = small_config(folder, epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.trainer.report", lambda *_: None)
        trained(config, folder / "run")
    return config, folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lr": 0.5}, "began with another lr; start a new run"),
        ({"loss": "paper"}, "began with another loss;"),
        ({"seed": 3, "batch": 2}, "began with another batch, seed;"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(finished, change, said):
    _, folder = finished
    with pytest.raises(SettingsError, match=said):
        Trainer(small_config(folder, epochs=1, **change), folder / "run").load()


def test_a_run_does_not_go_on_with_other_data(finished, tmp_path):
    config, folder = finished
    names, kept = folder / "train.txt", (folder / "train.txt").read_text()
    names.write_text("\n".join(kept.splitlines()[1:]))
    try:
        with pytest.raises(SettingsError, match="the data has changed since"):
            Trainer(config, folder / "run").load()
    finally:
        names.write_text(kept)


def test_a_run_does_not_go_on_from_weights_with_other_anchors(finished, tmp_path):
    config, folder = finished
    trainer = Trainer(config, tmp_path)
    anchors = trainer.identity.start
    trainer.identity = replace(trainer.identity, start=[2 * anchors[0], *anchors[1:]])
    trainer.folder = folder / "run"
    with pytest.raises(SettingsError, match="weights or anchors has changed since"):
        trainer.load()


def test_a_run_does_not_go_on_with_classes_in_another_order(finished):
    config, folder = finished
    trainer = Trainer(config, folder / "run")
    trainer.identity = replace(trainer.identity, names=trainer.identity.names[::-1])
    with pytest.raises(SettingsError, match=r"its classes were .*start a new run for others"):
        trainer.load()


def test_a_run_does_not_go_on_with_another_number_of_processes(finished):
    config, folder = finished
    trainer = Trainer(config, folder / "run")
    state = load_state(folder / "run")
    other = folder / "other"
    other.mkdir()
    state["identity"]["processes"] = 2
    torch.save(state, other / FILE)
    trainer.folder = other
    with pytest.raises(SettingsError, match="began with 2 processes, not 1"):
        trainer.load()


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04 half"])
def test_a_damaged_state_gets_one_line(finished, tmp_path, content, capsys):
    config, _ = finished
    write_settings(tmp_path / "args.yaml", config)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        main(["--resume", str(tmp_path)])
    assert stop.value.code == 2
    assert "not a readable state" in capsys.readouterr().err


def test_a_run_may_go_on_for_longer_on_another_number_of_workers(finished, tmp_path):
    config, folder = finished
    write_settings(folder / "run" / "args.yaml", config)
    main(["--resume", str(folder / "run"), "--epochs", "2", "--workers", "1"])
    assert [row["epoch"] for row in scores(folder / "run")] == ["1", "2"]


def test_patience_ends_a_run_early_and_it_stays_ended(tmp_path):
    config = small_config(tmp_path, epochs=9, patience=2, lr=0)
    assert trained(config, tmp_path / "run").progress.epoch == 3
    assert trained(config, tmp_path / "run").progress.epoch == 3


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(tmp_path, capsys):
    write_settings(tmp_path / "a.yaml", small_config(tmp_path, epochs=1, frozen_epochs=0))
    good = ["--config", str(tmp_path / "a.yaml"), "--name", str(tmp_path / "run")]
    main([*good, "--lr", "1e-3"])
    write_settings(tmp_path / "b.yaml", small_config(tmp_path, epochs=2, frozen_epochs=0))
    with pytest.raises(SystemExit) as stop:
        main([*good[:1], str(tmp_path / "b.yaml"), "--name", str(tmp_path / "bad"), "--lr", "1e30"])
    assert stop.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "epoch 1, batch 2: the loss is not finite" in line
    load_weights(tmp_path / "run" / "weights" / "best.safetensors")
