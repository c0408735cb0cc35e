import csv
import json

import numpy as np
import pytest

from model import evaluate
from model.data.dataset import Labelled, read_config, read_split
from model.drawing import save_jpeg
from model.report import save_report
from tests.model.helpers import SAMPLE, random_weights

NAMES = read_config(SAMPLE / "data.yaml").names
PROMISED = {
    "metrics.json",
    "per_class.csv",
    "confusion_matrix.png",
    "confusion_matrix_normalized.png",
    "PR_curve.png",
    "F1_curve.png",
    "reliability.png",
    "mistakes_01.jpg",
}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The folder of one real evaluation of an untrained detector."""
    folder = tmp_path_factory.mktemp("evaluated")
    weights = random_weights(folder, names=NAMES)
    data, out = str(SAMPLE / "data.yaml"), str(folder / "new" / "out.json")
    more = ["--json", out, "--save", str(folder / "report"), "--conf", "0.0003"]
    evaluate.main(["--weights", str(weights), "--data", data, *more])
    return folder


class Blind:
    """A detector that finds nothing."""

    names, confidence, image_size, runtime = NAMES, 0.5, 96, "none"

    def detect(self, image, confidence=None):
        return []


def test_evaluate_refuses_data_with_other_names(capsys, monkeypatch):
    other = Blind()
    other.names = ("nail", "screw")
    monkeypatch.setattr(evaluate, "load_detector", lambda weights, runtime: other)
    with pytest.raises(SystemExit):
        evaluate.main(["--weights", __file__, "--data", str(SAMPLE / "data.yaml")])
    assert "differ from the weights'" in capsys.readouterr().err


def test_evaluate_writes_every_figure_that_was_promised(evaluated):
    summary = json.loads((evaluated / "new" / "out.json").read_text())
    assert {"images", "map50", "map", "per_class", "cacc", "acd", "mccd", "mciou", "conf"} <= set(
        summary
    )
    assert {"ap_small", "ap_medium", "ap_large", "top3", "mistakes", "images_per_s"} < set(summary)
    assert set(summary["zones"]) == {"border", "centre"}
    assert (summary["images"], summary["conf"]) == (55, 0.0003)
    assert set(summary["per_class"]["apple"]) == {"ap50", "ap", "precision", "recall"}
    assert np.array(summary["confusion"]).shape == (len(NAMES) + 1,) * 2


def test_evaluate_saves_plots_and_the_worst_mistakes(evaluated):
    report = evaluated / "report"
    assert {p.name for p in report.iterdir()} >= PROMISED
    assert (report / "metrics.json").read_text() == (evaluated / "new" / "out.json").read_text()
    with (report / "per_class.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(NAMES)
    boxes = sum(int(row["boxes"]) for row in rows)
    assert boxes == sum(len(s.boxes) for s in read_split(read_config(SAMPLE / "data.yaml"), "val"))


@pytest.mark.parametrize("boxes", [np.zeros((0, 5)), np.array([[1, 0.5, 0.5, 0.2, 0.2]])])
def test_a_detector_that_finds_nothing_can_be_measured_and_reported(boxes, tmp_path):
    picture = np.zeros((60, 80, 3), np.uint8)
    measured = evaluate.evaluate(Blind(), [(picture, boxes)])
    path = tmp_path / "a.jpg"
    save_jpeg(path, picture)
    save_report(measured.summary, measured.results, [Labelled(path, boxes)], Blind.names, tmp_path)
    assert (measured.summary["map50"], measured.summary["top3"]) == (0, None)
    assert measured.summary["cacc"] == (0 if len(boxes) else 1)
    assert (tmp_path / "mistakes_01.jpg").exists() == bool(len(boxes))
    assert (tmp_path / "PR_curve.png").exists()


def test_no_picture_at_all_can_be_measured():
    summary = evaluate.evaluate(Blind(), []).summary
    assert (summary["images"], summary["cacc"], summary["images_per_s"]) == (0, 1, None)


def test_bad_pictures_are_refused_or_left_out_as_asked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "load_detector", lambda weights, runtime: Blind())
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        save_jpeg(tmp_path / "images" / f"{name}.jpg", np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "images" / "b.jpg").write_bytes(b"no picture")
    data = tmp_path / "data.yaml"
    data.write_text(f"val: images\nnames: {list(NAMES)}\n", encoding="utf-8")
    command = ["--weights", __file__, "--data", str(data)]
    with pytest.raises(SystemExit):
        evaluate.main(command)
    assert "b.jpg" in capsys.readouterr().err
    evaluate.main([*command, "--bad", "skip"])
    assert "images 1 " in capsys.readouterr().out
