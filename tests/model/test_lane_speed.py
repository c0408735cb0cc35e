"""The whole lane is timed by another program: what goes in, what comes out."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.soak.__main__ import parse
from app.soak.trends import QUANTITIES
from app.vision.cells import cells_of
from app.vision.stillness import Stillness
from model import benchmark, lane_speed
from model.lane_speed import LaneSpeed, Scene, lane_table, run_scene, write_film

WEIGHTS = lane_speed.ROOT / "weights" / "default.safetensors"
SLOW = Scene("slow", fps=2, moves=True, cores=1)


def frames_of(film: Path) -> tuple[float, list[np.ndarray]]:
    capture, frames = cv2.VideoCapture(str(film)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return fps, frames


@pytest.mark.parametrize("moves", [True, False])
def test_a_film_shows_fruit_in_720p_that_moves_in_every_frame_or_in_none(
    tmp_path: Path, moves: bool
) -> None:
    film = tmp_path / "film.avi"
    write_film(film, Scene("x", fps=3, moves=moves))
    fps, frames = frames_of(film)
    assert (fps, len(frames), frames[0].shape) == (3, 12, (720, 1280, 3))
    stillness = Stillness()
    for before, after in pairwise([*frames, frames[0]]):  # it is played round and round
        stillness.remember(cells_of(before), at_s=0.0)
        assert stillness.holds(cells_of(after), at_s=0.03) is not moves


def test_the_aims_scenes_are_all_there() -> None:
    kinds = {(scene.fps, scene.moves, scene.cores) for scene in lane_speed.SCENES}
    assert kinds == {
        *(
            (120, True, 0),
            (120, True, 1),
            (60, True, 0),
            (60, True, 1),
            (30, True, 0),
            (30, False, 0),
            (0, True, 0),
        )
    }


@pytest.fixture
def soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the soak's place: tells what the file ``answer`` holds, notes its arguments."""
    program = tmp_path / "soak"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / 'arguments').write_text('\\n'.join(sys.argv[1:]))\n"
        "print(end=(here / 'answer').read_text())\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr("model.lane_speed.sys.executable", str(program))
    return tmp_path


def test_a_scene_is_run_by_the_soak_and_its_means_are_read(soak: Path) -> None:
    figures = {q.name: {"mean": float(n)} for n, q in enumerate(QUANTITIES)}
    (soak / "answer").write_text(json.dumps({"failure": None, "quantities": figures}))
    row = run_scene(SLOW, soak / "film.avi", WEIGHTS, 0.5, 320, soak)
    module, *arguments = (soak / "arguments").read_text().splitlines()[1:]
    asked = parse(arguments)
    assert (module, asked.minutes, asked.browsers, asked.cores) == ("app.soak", 0.5, 1, 1)
    assert (asked.camera, asked.weights) == (str(soak / "film.avi"), WEIGHTS)
    assert asked.image_size == 320
    assert (row.scene, row.memory_mib, row.detections_per_s) == ("slow", 0.0, 3.0)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        '{"failure": "gone", "quantities": {}}',
        '{"failure": null, "quantities": {"memory_mib": {"mean": null}}}',
    ],
)
def test_a_lane_that_cannot_run_to_its_end_ends_the_benchmark(soak: Path, answer: str) -> None:
    (soak / "answer").write_text(answer)
    with pytest.raises(SystemExit) as stop:
        run_scene(SLOW, soak / "film.avi", WEIGHTS, 0.5, 416, soak)
    assert stop.value.code == 2


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl+C as usual: who runs the tests in the background may have it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_benchmark_that_is_ended_lets_the_lane_end_in_order(tmp_path: Path) -> None:
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    program = f"""
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.3)
    pathlib.Path({str(ended)!r}).touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path({str(ready)!r}).touch()
time.sleep(60)
"""

    def interrupt() -> None:
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        lane_speed.output_of([sys.executable, "-c", program])
    assert ended.exists()


def test_the_table_gives_the_share_of_the_peak() -> None:
    row = LaneSpeed("fast", 50.0, 70.0, 0.0, 12.0, 20.0, 13.0, 25.0, 1.5, 600.0)
    last = lane_table([row], peak_gops=400.0, gmac=2.0).splitlines()[-1]
    # 50 detections of 4 billion operations are 200 of 400 a second
    assert last.split()[-3:] == ["150%", "600", "50.0%"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--lane", minutes] for minutes in ("0", "-1", "nan", "inf")),
        ["--lane", "--neck", "tiny"],
        ["--lane", "--image-size", "320", "416"],
        ["--json", "gone/figures.json"],
    ],
)
def test_what_cannot_be_timed_is_refused_at_once(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        benchmark.main(["--weights", str(WEIGHTS), *arguments])
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err
