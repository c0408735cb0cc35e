from dataclasses import fields, replace

import pytest
import yaml

from model.cli import SettingsError
from model.loss import LOSS_PRESETS, LossConfig
from model.train import best_weights, main, nobody_else, parser, plan
from model.training.settings import TrainConfig, settled, updated, write_settings
from tests.model.helpers import SAMPLE, random_weights

DATA = str(SAMPLE / "data.yaml")


def planned(*arguments):
    [(config, _)] = plan(parser().parse_args(["--data", DATA, *arguments]))
    return config


def test_without_any_flag_a_run_has_the_defaults():
    assert planned() == TrainConfig(data=DATA)


@pytest.mark.parametrize("config", [TrainConfig(), LossConfig()])
def test_every_setting_has_a_flag(config):
    flags = parser().format_help()
    prefix = "--loss-" if isinstance(config, LossConfig) else "--"
    for field in fields(config):
        assert prefix + field.name.replace("_", "-") in flags or field.name in ("loss", "augment")


def test_flags_win_over_yaml_and_yaml_over_defaults(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 7\nlr: 1e-2\nloss: {preset: original, box: 3}\naugment: {mosaic: 0.5}")
    config = planned("--config", str(path), "--lr", "0.5", "--loss-classes", "4", "--mixup", "0.1")
    assert (config.epochs, config.lr, config.batch) == (7, 0.5, TrainConfig().batch)
    assert config.loss == replace(LOSS_PRESETS["original"], box=3, classes=4)
    assert (config.augment.mosaic, config.augment.mixup) == (0.5, 0.1)


def test_a_recipe_of_several_steps_starts_each_from_the_best_of_the_one_before(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("lr: 1e-2\nsteps:\n- {image_size: 320}\n- {epochs: 3}\n- {weights: imagenet}")
    args = parser().parse_args(
        ["--data", DATA, "--config", str(path), "--name", "r", "--batch", "4"]
    )
    configs, folders = zip(*plan(args), strict=True)
    assert [folder.name for folder in folders] == ["step1", "step2", "step3"]
    assert [c.weights for c in configs] == ["imagenet", str(best_weights(folders[0])), "imagenet"]
    assert [(c.image_size, c.epochs) for c in configs] == [(320, 30), (416, 3), (416, 30)]
    assert {(c.lr, c.batch) for c in configs} == {(0.01, 4)}


def test_what_a_recipe_starts_from_is_for_its_first_step_alone(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("weights: random\nsteps: [{}, {}]")
    for more, first in (((), "random"), (("--weights", "w.safetensors"), "w.safetensors")):
        args = parser().parse_args(["--data", DATA, "--config", str(path), "--name", "r", *more])
        (one, folder), (two, _) = plan(args)
        assert (one.weights, two.weights) == (first, str(best_weights(folder)))


def test_two_trainings_do_not_write_into_one_folder(tmp_path):
    run, refused = tmp_path / "run", pytest.raises(SettingsError, match="another training runs")
    with nobody_else(run), refused, nobody_else(run):
        pass
    with nobody_else(run):
        pass


@pytest.mark.parametrize("steps", ["3", "[]", "[lr]"])
def test_steps_that_are_none_are_refused(steps, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"steps: {steps}")
    with pytest.raises(SettingsError, match="list of mappings"):
        planned("--config", str(path))


def test_a_preset_is_changed_by_the_flags_beside_it():
    assert planned("--loss-box", "5", "--loss", "paper").loss == replace(
        LOSS_PRESETS["paper"], box=5
    )
    assert planned("--augment", "original", "--mosaic", "1").augment.preset == "original"


def test_what_is_saved_with_a_run_is_complete_and_reads_back_the_same(tmp_path):
    config = planned("--loss", "original", "--step-epochs", "3,4.5", "--deterministic")
    write_settings(tmp_path / "args.yaml", config)
    saved = yaml.safe_load((tmp_path / "args.yaml").read_text())
    assert set(saved) == {field.name for field in fields(TrainConfig)}
    assert set(saved["loss"]) == {field.name for field in fields(LossConfig)}
    assert updated(TrainConfig(), saved) == config


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epoch": 3}, "unknown setting epoch"),
        ({"loss": {"boxes": 3}}, "unknown setting loss.boxes"),
        ({"loss": "mine"}, "loss: unknown 'mine'; choose one of default, original, paper"),
        ({"loss": 3}, "loss is a preset's name or a mapping"),
        ({"epochs": "many"}, "epochs: expected a whole number, got 'many'"),
        ({"epochs": 2.5}, "epochs: expected a whole number, got 2.5"),
        ({"epochs": True}, "epochs: expected a whole number, got True"),
        ({"epochs": None}, "epochs: expected a whole number, got None"),
        ({"lr": "fast"}, "lr: expected a number"),
        ({"lr": "nan"}, "lr must be at least 0"),
        ({"lr": float("nan")}, "lr: expected a number"),
        ({"deterministic": "yes"}, "deterministic: expected true or false"),
        ({"schedule": "linear"}, "choose one of cosine, plateau, step"),
        ({"step_epochs": 3}, "step_epochs: expected a list"),
        ({"step_epochs": ["x"]}, "step_epochs: expected a number"),
        ({"image_size": 100}, "image_size must be a multiple of 32"),
        ({"image_size": 0}, "image_size must be a multiple of 32"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"lr": -1}, "lr must be at least 0"),
        ({"momentum": 1}, "momentum must be below 1"),
        ({"distractors": 1.5}, "distractors must lie in 0…1"),
        ({"distractors": -0.5}, "distractors must be at least 0"),
        ({"variety": 1.01}, "variety must lie in 0…1"),
        ({"blend": 1.5}, "blend must lie in 0…1"),
        ({"variety": -1}, "variety must be at least 0"),
        ({"backbone": "resnet"}, "backbone: unknown 'resnet'"),
    ],
)
def test_a_wrong_setting_is_named(changes, said):
    with pytest.raises(SettingsError) as error:
        updated(TrainConfig(), changes)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--config", "{bad}"],
        ["--config", "{list}"],
        ["--data", DATA, "--epochs", "0"],
        ["--data", DATA, "--normalisation", "1,2/3"],
        ["--data", DATA, "--normalisation", "0,0,0/1,1,0"],
        ["--data", DATA, "--anchors", "{list}"],
        ["--data", DATA, "--anchors", "{two}"],
        ["--data", DATA, "--weights", "gone.safetensors"],
        ["--data", DATA, "--weights", "imagenet", "--backbone", "darknet_tiny"],
        ["--data", DATA, "--device", "gpu"],
        ["--data", DATA, "--weights", "{own}", "--backbone", "darknet53"],
        ["--resume", "{folder}"],
        ["--resume", "{folder}", "--name", "other"],
    ],
)
def test_a_mistake_gets_one_line_and_no_folder(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = {"bad": "epochs: [", "list": "[1, 2]", "two": "anchors: [[[0.1, 0.1]]]"}
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    places = {name: tmp_path / f"{name}.yaml" for name in files} | {"folder": tmp_path}
    places["own"] = random_weights(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([a.format(**places) for a in arguments])
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_random_trunk_never_rests():
    config = settled(TrainConfig(weights="random"))
    assert (config.frozen_epochs, config.trunk_lr, config.trunk_bn) == (0, 1, "trainable")
    assert settled(TrainConfig()) == TrainConfig()
