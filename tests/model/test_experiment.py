import json

import pytest
import yaml

from model import experiment
from model.experiment import STUDIES, Outcome, Study, as_markdown, main, read_study, variant_config
from tests.model.helpers import SAMPLE
from tests.model.small_run import small_data

PAIR = Study("pair", "Which?", {"epochs": 1}, {"one": {}, "two": {"batch": 2}}, (0, 1))


class FakeTraining:
    """Leaves what a training leaves, without training; breaks off where it is told to."""

    def __init__(self, scores, breaks=()):
        self.scores, self.breaks, self.trained = scores, breaks, []

    def __call__(self, folder, config):
        self.trained.append((config.batch, config.seed))
        if (config.batch, config.seed) in self.breaks:
            return False
        folder.mkdir(parents=True)
        scores = zip(("map50", "map", "cacc"), self.scores[config.batch, config.seed], strict=True)
        (folder / "metrics.json").write_text(json.dumps(dict(scores)))
        return True


SCORES = {
    (16, 0): (0.5, 0.3, 0.1),
    (16, 1): (0.6, 0.3, 0.1),
    (2, 0): (0.7, 0.4, 0.2),
    (2, 1): (0.7, 0.4, 0.2),
}


def test_every_variant_is_trained_with_every_seed_and_averaged(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "train", training := FakeTraining(SCORES))
    table = as_markdown(PAIR, experiment.run_study(PAIR, {}, tmp_path))
    assert training.trained == [(16, 0), (16, 1), (2, 0), (2, 1)]
    assert "| one | 55.0 ± 7.1 | 30.0 ± 0.0 | 10.0 ± 0.0 | 2 |" in table
    assert "| two | 70.0 ± 0.0 | 40.0 ± 0.0 | 20.0 ± 0.0 | 2 |" in table


def test_what_was_trained_is_not_trained_again_even_for_another_study(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "train", FakeTraining(SCORES))
    first = experiment.run_study(PAIR, {}, tmp_path)
    monkeypatch.setattr(experiment, "train", again := FakeTraining(SCORES))
    other = Study("other", "", {"epochs": 1}, {"the same as one": {"batch": 16}}, (0, 1))
    assert experiment.run_study(PAIR, {}, tmp_path) == first
    assert experiment.run_study(other, {}, tmp_path)["the same as one"] == first["one"]
    assert again.trained == []


def test_a_table_of_what_is_there_trains_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "train", FakeTraining(SCORES))
    experiment.run_study(Study(**(vars(PAIR) | {"variants": {"one": {}}})), {}, tmp_path)
    monkeypatch.setattr(experiment, "train", none := FakeTraining(SCORES))
    outcomes = experiment.run_study(PAIR, {}, tmp_path, training=False)
    assert none.trained == []
    assert [len(o.scores["map"]) for o in outcomes.values()] == [2, 0]
    assert [o.failed for o in outcomes.values()] == [0, 0]


def test_a_run_that_breaks_off_is_counted_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "train", FakeTraining(SCORES, breaks={(16, 1), (2, 0), (2, 1)}))
    table = as_markdown(PAIR, experiment.run_study(PAIR, {}, tmp_path))
    assert "| one | 50.0 | 30.0 | 10.0 | 1, 1 failed |" in table
    assert "| two | – | – | – | 0, 2 failed |" in table


def test_a_variant_wins_over_what_all_share_and_that_over_the_studys_base():
    study = Study("s", "", {"epochs": 9, "batch": 9}, {"v": {"epochs": 7}}, (3,))
    config = variant_config(study, "v", 3, {"epochs": 8, "batch": 8, "lr": 0.1})
    assert (config.epochs, config.batch, config.lr, config.seed) == (7, 8, 0.1, 3)


def test_a_wrong_variant_is_refused_before_anything_is_trained(tmp_path, capsys):
    study = tmp_path / "s.yaml"
    study.write_text(yaml.safe_dump({"variants": {"good": {}, "bad": {"colour": 1}}}))
    with pytest.raises(SystemExit) as stop:
        main([str(study), "--data", str(SAMPLE / "data.yaml"), "--out", str(tmp_path / "o")])
    assert stop.value.code == 2
    assert "unknown setting colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("variants: {}", "needs 'variants'"),
        ("variant: {a: {}}", "needs 'variants'"),
        ("[", "cannot be read"),
        ("variants: {a: {}}\nseeds: 3", "'seeds' must be a list of whole numbers, got 3"),
        ("variants: {a: {}}\nbase: [1]", "must be settings"),
        ("variants: {a: 3}", "must be settings"),
    ],
)
def test_a_file_that_is_no_study_is_refused(tmp_path, capsys, text, reason):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit) as stop:
        main([str(path), "--data", str(SAMPLE / "data.yaml")])
    assert stop.value.code == 2
    assert reason in capsys.readouterr().err


def test_an_unknown_study_is_answered_with_those_that_exist(capsys):
    with pytest.raises(SystemExit):
        main(["nosuch", "--data", str(SAMPLE / "data.yaml")])
    assert "anchors, backbone" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_study_has_valid_variants(path):
    study = read_study(path.stem)
    assert study.question
    assert len(study.variants) > 1
    configs = [variant_config(study, variant, 0, {"data": "d"}) for variant in study.variants]
    assert len(set(configs)) == len(configs)


def test_no_run_at_all_leaves_a_dash():
    study = Study("s", "", {}, {"v": {}}, (0,))
    outcome = Outcome({"map50": [], "map": [], "cacc": []}, 1)
    assert "| v | – | – | – | 0, 1 failed |" in as_markdown(study, {"v": outcome})


def test_a_study_is_trained_for_real_and_leaves_table_and_plot(tmp_path):
    study, small = tmp_path / "tiny.yaml", tmp_path / "small.yaml"
    study.write_text(yaml.safe_dump({"question": "Batch?", "variants": {"4": {"batch": 4}}}))
    settings = "{epochs: 1, image_size: 64, frozen_epochs: 1, workers: 0, device: cpu}"
    small.write_text(settings)
    data = ["--data", small_data(tmp_path)]
    main([str(study), *data, "--config", str(small), "--seeds", "5", "--out", str(tmp_path / "o")])
    assert "| 4 |" in (tmp_path / "o" / "tiny.md").read_text()
    assert (tmp_path / "o" / "tiny.png").stat().st_size > 5000
    assert len(list((tmp_path / "o" / "runs").iterdir())) == 1
