"""Scores as probabilities: the lines, their fit, and where they are stored."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calibrate import calibrate, fit, main
from model.calibration import Calibration, logit
from model.data.dataset import read_config, read_split
from model.runtimes import load
from model.training.validation import Validation
from model.weights import describe, load_weights, read_info
from tests.model.helpers import DEFAULT_WEIGHTS, NAMES, SAMPLE, info, random_weights
from tests.model.small_run import small_data

SCORES = st.floats(0.001, 0.999)
LINES = st.tuples(st.floats(0.3, 5), st.floats(-3, 3))


def drawn(slope, shift, count, seed):
    """Scores, and whether each is right, as often as a line says."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.02, 0.98, count)
    chance = 1 / (1 + np.exp(-(slope * logit(scores) + shift)))
    return scores, rng.random(count) < chance


@given(LINES, st.lists(SCORES, min_size=2, max_size=20))
def test_a_better_score_stays_a_better_score(line, scores):
    calibration = Calibration((line[0],), (line[1],))
    ordered = np.sort(np.array(scores))
    assert (np.diff(calibration.apply(ordered, np.zeros(len(scores), int))) >= 0).all()


@given(st.lists(LINES, min_size=1, max_size=4), SCORES)
def test_no_raw_score_below_the_least_reaches_a_calibrated_one(lines, score):
    calibration = Calibration(*zip(*lines, strict=True))
    least = calibration.least_raw(score)
    below = np.full(len(lines), least * 0.999)
    assert (calibration.apply(below, np.arange(len(lines))) <= score + 1e-6).all()


@pytest.mark.parametrize(
    ("slopes", "shifts"),
    [((0.0,), (0.0,)), ((1.0,), (float("nan"),)), ((1.0, 1.0), (0.0,)), ((-1.0,), (0.0,))],
)
def test_lines_that_are_none_are_refused(slopes, shifts):
    with pytest.raises(ValueError, match=r"calibration|shape"):
        Calibration(slopes, shifts)


def test_the_fit_finds_the_lines_that_the_scores_were_drawn_from():
    lines = [(2.0, 1.0), (0.5, -1.0)]
    parts = [drawn(*line, count=4000, seed=seed) for seed, line in enumerate(lines)]
    scores, right = (np.concatenate(column) for column in zip(*parts, strict=True))
    found = fit(scores, np.repeat([0, 1], 4000), right, 2)
    assert np.allclose(found.slopes, [2.0, 0.5], atol=0.2)
    assert np.allclose(found.shifts, [1.0, -1.0], atol=0.2)


def test_a_class_without_boxes_takes_the_line_of_all():
    scores, right = drawn(1.0, 2.0, 3000, 0)
    found = fit(scores, np.zeros(3000, int), right, 3)
    assert found.slopes[1] == pytest.approx(found.slopes[2])
    assert found.shifts[1] == pytest.approx(found.shifts[0], abs=0.2)


def test_without_boxes_nothing_changes():
    nothing = np.zeros(0)
    found = fit(nothing, nothing.astype(int), nothing.astype(bool), 2)
    assert np.allclose(found.apply(np.array([0.1, 0.7]), np.array([0, 1])), [0.1, 0.7], atol=1e-6)


def test_boxes_that_are_all_right_are_believed_without_losing_their_order():
    scores = np.linspace(0.1, 0.9, 50)
    found = fit(scores, np.zeros(50, int), np.ones(50, bool), 1)
    calibrated = found.apply(scores, np.zeros(50, int))
    assert (calibrated > 0.8).all()
    assert (np.diff(calibrated) > 0).all()


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_a_detector_gives_calibrated_scores_down_to_the_confidence_asked_for(runtime, tmp_path):
    path = random_weights(tmp_path)
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    raw = load(path, runtime, None).detect(picture, 0.001)
    lines = Calibration(tuple(0.5 + 0.5 * i for i in range(len(NAMES))), (0.3,) * len(NAMES))
    describe(path, replace(read_info(path), calibration=lines))

    found = load(path, runtime, None).detect(picture, 0.02)

    wanted = {
        (d.key, d.box_xyxy): lines.apply(np.array([d.score]), np.array([NAMES.index(d.key)]))[0]
        for d in raw
    }
    assert found == sorted(found, key=lambda d: -d.score)
    assert found
    assert all(d.score >= 0.02 for d in found)
    shared = [d for d in found if (d.key, d.box_xyxy) in wanted]
    assert shared
    for d in shared:
        assert d.score == pytest.approx(wanted[d.key, d.box_xyxy], abs=1e-3)


def test_a_description_changes_and_the_tensors_stay(tmp_path):
    path = random_weights(tmp_path)
    before, _ = load_weights(path)
    lines = Calibration((2.0,) * len(NAMES), (0.5,) * len(NAMES))
    describe(path, replace(read_info(path), calibration=lines, confidence=0.7))
    after, said = load_weights(path)
    assert (said.calibration, said.confidence) == (lines, 0.7)
    for name, tensor in before.state_dict().items():
        assert (after.state_dict()[name] == tensor).all()


def test_a_calibration_for_other_classes_is_refused():
    with pytest.raises(ValueError, match="a line for each class"):
        replace(info(), calibration=Calibration((1.0,), (0.0,)))


def test_calibrating_again_starts_from_the_bare_scores(tmp_path):
    path = shutil.copy(DEFAULT_WEIGHTS, tmp_path / "copy.safetensors")
    data = read_config(SAMPLE / "data.yaml")
    validation = Validation(read_split(data, "val")[:8], data.names, "", 0)
    first = calibrate(path, validation), read_info(path).calibration
    assert first[1] is not None
    assert read_info(path).confidence == 0.5
    assert (calibrate(path, validation), read_info(path).calibration) == first


def test_the_command_says_how_far_off_the_scores_were(tmp_path, capsys):
    path = shutil.copy(DEFAULT_WEIGHTS, tmp_path / "copy.safetensors")
    main(["--weights", str(path), "--data", small_data(tmp_path, val=8)])
    assert "expected calibration error" in capsys.readouterr().out
