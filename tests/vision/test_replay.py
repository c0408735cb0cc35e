import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from app.errors import SourceError
from app.replay import Row, main, replay
from app.vision.settle_config import SettleConfig
from model.detector import Detection

GRAPES = Path(__file__).parents[1] / "data" / "images" / "lddniupi_02001.jpg"
BARE = 100
APPLE = Detection("apple", 0.8, (20.0, 20.0, 60.0, 60.0))


class Recording:
    """A source of grey pictures whose shade says what lies in them: 0 nothing, 1 an apple."""

    label = "recording"
    rate_fps = 10.0
    loops = False

    def __init__(self, shown: Sequence[int], step_s: float = 0.1):
        self._pictures = [np.full((90, 160, 3), BARE + n, np.uint8) for n in shown]
        self._step_s = step_s
        self._next = 0
        self.closed = False

    def read(self):
        if self._next == len(self._pictures):
            return None
        self._next += 1
        return self._pictures[self._next - 1], 5.0 + (self._next - 1) * self._step_s

    def close(self):
        self.closed = True


class Slides(Recording):
    """Shows the same picture object for as long as it is shown, as a folder does."""

    def read(self):
        shown = super().read()
        return shown and (self._pictures[0], shown[1])


class AppleDetector:
    names = ("apple",)
    confidence = 0.4
    image_size = 64
    calibrated = False
    runtime = "fake"

    def __init__(self):
        self.asked = []

    def detect(self, image, confidence=None):
        self.asked.append(confidence)
        return [APPLE] if image[0, 0, 0] > BARE else []


def test_every_frame_has_a_row_with_its_number_and_time():
    rows = list(replay(Recording([0] * 12), AppleDetector()))
    assert [r.frame for r in rows] == list(range(12))
    assert [r.t_s for r in rows] == [round(5.0 + n / 10, 3) for n in range(12)]


def test_the_basket_fills_and_empties_at_the_sources_own_pace():
    rows = list(replay(Recording([0] * 10 + [1] * 15 + [0] * 40), AppleDetector()))
    assert rows[9] == Row(9, 5.9, True, {})
    assert rows[24] == Row(24, 7.4, True, {"apple": 1})
    assert rows[40].counts == {"apple": 1}
    assert rows[-1] == Row(64, 11.4, True, {})


def test_an_empty_recording_has_no_rows():
    assert list(replay(Recording([]), AppleDetector())) == []


def test_the_detector_is_asked_for_all_that_a_fruit_may_be_called():
    detector = AppleDetector()
    list(replay(Recording([1]), detector))
    assert detector.asked == [SettleConfig().name_score]


def test_a_picture_that_stays_is_looked_at_once():
    detector = AppleDetector()
    rows = list(replay(Slides([1] * 15), detector))
    assert rows[-1].counts == {"apple": 1}
    assert len(detector.asked) == 1


def test_a_lane_that_skips_frames_numbers_them_as_the_source_does():
    rows = list(replay(Recording([1] * 30), AppleDetector(), every=4))
    assert [r.frame for r in rows] == list(range(0, 30, 4))
    assert rows[-1].counts == {"apple": 1}


@pytest.fixture
def recording(monkeypatch):
    source = Recording([1] * 20)
    monkeypatch.setattr("app.replay.open_source", lambda spec, loop: source)
    monkeypatch.setattr(
        "app.replay.load_detector", lambda weights, runtime, image_size: AppleDetector()
    )
    return source


def test_the_command_writes_one_json_line_a_frame(recording, tmp_path):
    out = tmp_path / "rows.jsonl"
    main(["video.mp4", "--json", str(out)])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 20
    assert list(rows[0]) == ["frame", "t_s", "settled", "counts"]
    assert rows[-1] == {"frame": 19, "t_s": 6.9, "settled": True, "counts": {"apple": 1}}
    assert recording.closed


def test_a_dash_writes_to_standard_output_and_nothing_else_does(recording, capsys):
    main(["video.mp4", "--json", "-", "--every", "5"])
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 5, 10, 15]


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as refused:
        main(list(arguments))
    assert refused.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err.splitlines()


def test_a_source_that_is_not_there_is_one_line_and_status_2(capsys):
    (line,) = refusal(capsys, "no/such/video.mp4", "--json", "-")
    assert line.startswith("error: ")
    assert "no/such/video.mp4" in line


def test_weights_that_are_not_there_are_one_line_and_status_2(capsys, monkeypatch):
    monkeypatch.setattr("app.replay.open_source", lambda spec, loop: Recording([1]))
    (line,) = refusal(capsys, "video.mp4", "--json", "-", "--weights", "no/such.safetensors")
    assert line.startswith("error: the detector cannot be loaded: ")


def test_a_recording_that_breaks_off_is_one_line_and_status_2(recording, capsys, monkeypatch):
    def broken():
        raise SourceError("no picture can be read from 'video.mp4'")

    monkeypatch.setattr(recording, "read", broken)
    assert refusal(capsys, "video.mp4", "--json", "-") == [
        "error: no picture can be read from 'video.mp4'"
    ]


def test_a_live_camera_is_refused_because_it_never_ends(recording, capsys):
    recording.rate_fps = None
    (line,) = refusal(capsys, "0", "--json", "-")
    assert "never ends" in line


def test_an_output_that_cannot_be_written_is_one_line_and_status_2(recording, capsys, tmp_path):
    (line,) = refusal(capsys, "video.mp4", "--json", str(tmp_path / "no" / "rows.jsonl"))
    assert line.startswith("error: ")


@pytest.mark.parametrize("every", ["0", "-1", "1.5", "x"])
def test_every_must_be_a_whole_number_above_zero(capsys, every):
    assert "whole number" in refusal(capsys, "v.mp4", "--json", "-", f"--every={every}")[-1]


def test_a_photograph_of_grapes_is_a_basket_of_grapes_with_the_shipped_weights(capsys):
    main([str(GRAPES), "--json", "-"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (len(rows), rows[-1]["settled"], rows[-1]["counts"]) == (40, True, {"grapes": 1})
