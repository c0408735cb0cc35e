import json

import cv2
import numpy as np
import pytest

from model import detect
from model.data.dataset import read_config
from model.detector import Detection
from tests.model.helpers import SAMPLE, random_weights

NAMES = read_config(SAMPLE / "data.yaml").names
PICTURE = sorted((SAMPLE / "images").glob("*.jpg"))[0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(random_weights(tmp_path_factory.mktemp("weights"), names=NAMES))


class Seeing:
    """A detector that finds a fruit of every score in every picture."""

    names, confidence, image_size, runtime = NAMES, 0.5, 96, "none"

    def detect(self, image, confidence=None):
        scores = (0.9, 0.5, 0.1, 0.01, 0.002, 0.0002)
        return [Detection("apple", s, (1.0, 2.0, 30.0, 40.0)) for s in scores if s >= confidence]


SEEING = ["--weights", __file__, "--conf", "0.001"]


@pytest.fixture
def seeing(monkeypatch):
    monkeypatch.setattr(detect, "load_detector", lambda weights, runtime: Seeing())


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


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


def test_detect_numbers_the_frames_of_a_video(seeing, tmp_path):
    path = tmp_path / "v.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(4):
        video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    detect.main([*SEEING, str(path), "--json", str(tmp_path / "out")])
    rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [row["frame"] for row in rows] == [0, 1, 2, 3]


@pytest.mark.parametrize("source", ["gone.jpg", "empty", "broken.mp4", "broken.jpg"])
def test_detect_refuses_a_source_it_cannot_read_by_name(seeing, tmp_path, capfd, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(SystemExit) as stop:
        detect.main([*SEEING, str(tmp_path / source)])
    assert stop.value.code == 2
    assert f"{source}:" in capfd.readouterr().err


def test_detect_refuses_a_confidence_outside_its_range(seeing, capsys):
    with pytest.raises(SystemExit):
        detect.main([*SEEING, str(PICTURE), "--conf", "1.5"])
    assert "between 0 and 1" in capsys.readouterr().err


def test_a_picture_that_cannot_be_read_costs_the_others_nothing(seeing, tmp_path, capfd):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.jpg", "c.jpg"):
        (folder / name).write_bytes(PICTURE.read_bytes())
    (folder / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(SystemExit) as stop:
        detect.main([*SEEING, str(folder), "--json", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert [row["source"][-5:] for row in rows_of(tmp_path / "out")] == ["a.jpg", "c.jpg"]
    said = [line for line in capfd.readouterr().err.splitlines() if "error:" in line]
    assert len(said) == 1
    assert "b.jpg" in said[0]


@pytest.mark.parametrize("name", ["사과 1.jpg", "pomme-été.PNG", "a'b\"c.jpg", "a\nb.jpg"])
def test_any_file_name_is_read_reported_and_written(seeing, tmp_path, name):
    suffix = name[-4:].lower()
    (tmp_path / name).write_bytes(cv2.imencode(suffix, cv2.imread(str(PICTURE)))[1].tobytes())
    out, drawn = tmp_path / "도착" / "줄.jsonl", tmp_path / "그림"
    options = ["--json", str(out), "--save", str(drawn)]
    detect.main([*SEEING, str(tmp_path / name), *options])
    assert [row["source"] for row in rows_of(out)] == [str(tmp_path / name)]
    assert [p.name for p in drawn.iterdir()] == [f"000000_{name[:-4]}.jpg"]


def test_pictures_of_one_name_in_two_folders_are_both_drawn(seeing, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jpg").write_bytes(PICTURE.read_bytes())
    sources = [str(tmp_path / "a"), str(tmp_path / "b")]
    out = ["--json", str(tmp_path / "out"), "--save", str(tmp_path / "drawn")]
    detect.main([*SEEING, *sources, *out])
    assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == [
        "000000_x.jpg",
        "000001_x.jpg",
    ]


def test_a_low_confidence_gives_all_that_a_precision_recall_curve_needs(seeing, tmp_path):
    detect.main([*SEEING, str(PICTURE), "--json", str(tmp_path / "out")])
    scores = [d["score"] for d in rows_of(tmp_path / "out")[0]["detections"]]
    assert scores == [0.9, 0.5, 0.1, 0.01, 0.002]


def test_a_missing_source_is_said_before_anything_is_written(seeing, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        detect.main([*SEEING, str(PICTURE), "gone.jpg", "--json", str(out)])
    assert stop.value.code == 2
    assert "gone.jpg: no such file" in capsys.readouterr().err
    assert not out.exists()


def test_an_output_that_cannot_be_written_is_one_line(seeing, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        detect.main([*SEEING, str(PICTURE), "--json", str(tmp_path)])
    assert stop.value.code == 2
    assert f"error: {tmp_path}: " in capsys.readouterr().err
