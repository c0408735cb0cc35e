"""The soak judges what creeps, and runs a short one on the real server."""

import csv
import json
import math
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import ROOT
from app.soak.__main__ import main
from app.soak.run import Run, Sample, watch
from app.soak.server import ServerError, Usage
from app.soak.trends import QUANTITIES, Quantity, slope_of, trend
from tests.web.server import wait_until
from tests.web.test_demo import WEIGHTS

GROWING_IS_BAD = Quantity("x", "x", "MiB", worse=1, limit_per_h=8, slack=12)
FALLING_IS_BAD = Quantity("x", "x", "/s", worse=-1, limit_per_h=0.5, slack=1)
SLOW_TO_TELL = Quantity("x", "x", "ms", worse=1, limit_per_h=2, slack=4, least_h=0.5)
TWO_HOURS = [n / 60 for n in range(121)]


def line(slope: float, start: float = 500.0) -> list[float]:
    return [start + slope * h for h in TWO_HOURS]


@pytest.mark.parametrize(
    ("quantity", "values", "verdict", "bad"),
    [
        (GROWING_IS_BAD, line(0), "flat", False),
        (GROWING_IS_BAD, line(7.99), "flat", False),
        (GROWING_IS_BAD, line(8.5), "grows by 8.5 MiB an hour", True),
        (GROWING_IS_BAD, line(-8.5), "falls by 8.5 MiB an hour", False),
        (GROWING_IS_BAD, [v + 20 * (n % 2) for n, v in enumerate(line(0))], "flat", False),
        (GROWING_IS_BAD, [500.0] * 60 + [540.0] * 61, "grows by 29.8 MiB an hour", True),
        (FALLING_IS_BAD, line(-2, 30), "falls by 2 /s an hour", True),
        (FALLING_IS_BAD, line(2, 30), "grows by 2 /s an hour", False),
        (FALLING_IS_BAD, line(-0.4, 30), "flat", False),
        (GROWING_IS_BAD, [math.nan] * 121, "too short to tell", False),
        (GROWING_IS_BAD, [math.nan, *line(20)[1:]], "grows by 20 MiB an hour", True),
    ],
)
def test_two_hours_are_judged_by_slope_and_direction(
    quantity: Quantity, values: list[float], verdict: str, bad: bool
) -> None:
    judged = trend(quantity, TWO_HOURS, values)
    assert (judged.verdict, judged.bad) == (verdict, bad)


@pytest.mark.parametrize(
    ("quantity", "hours", "slope", "verdict"),
    [
        (GROWING_IS_BAD, [], 0, "too short to tell"),
        (GROWING_IS_BAD, [0], 0, "too short to tell"),
        (GROWING_IS_BAD, [0, 1], 100, "too short to tell"),
        (GROWING_IS_BAD, [1, 1, 1], 100, "flat"),
        (GROWING_IS_BAD, [0, 0.05, 0.1], 110, "flat"),  # steep, but 11 MiB in all
        (GROWING_IS_BAD, [0, 0.05, 0.1], 130, "grows by 130 MiB an hour"),
        (SLOW_TO_TELL, [0, 0.1, 0.4], 1000, "too short to tell"),
        (SLOW_TO_TELL, [0, 0.1, 0.5], 1000, "grows by 1e+03 ms an hour"),
        (SLOW_TO_TELL, [0, 0.1, 0.499], 1000, "grows by 1e+03 ms an hour"),  # a sample came late
    ],
)
def test_a_short_run_tells_only_what_it_can(
    quantity: Quantity, hours: list[float], slope: float, verdict: str
) -> None:
    assert trend(quantity, hours, [slope * h for h in hours]).verdict == verdict


@given(
    st.floats(-1e3, 1e3),
    st.floats(-1e3, 1e3),
    st.lists(st.integers(0, 1000), min_size=2, unique=True),
)
def test_least_squares_find_the_slope_of_a_straight_line(
    slope: float, start: float, times: list[int]
) -> None:
    found = slope_of([(t, start + slope * t) for t in times])
    assert found == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_the_thirds_of_a_run_are_told_apart() -> None:
    judged = trend(GROWING_IS_BAD, [0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 9])
    assert (judged.start, judged.middle, judged.end, judged.mean) == (1.5, 3.5, 7, 4)


def test_the_warm_up_is_left_out_and_never_longer_than_half_an_hour() -> None:
    def sampled(hours: list[float]) -> Run:
        others = {quantity.name: 1.0 for quantity in QUANTITIES}
        return Run(samples=[Sample(hours=h, **others) for h in hours])

    assert [s.hours for s in sampled([0.01, 0.03, 0.05, 0.1]).warm] == [0.03, 0.05, 0.1]
    assert [s.hours for s in sampled([0.1, 0.5, 1, 3]).warm] == [0.5, 1, 3]
    assert not Run().warm


class Screen:
    """A browser that got a picture, 20 ms old, since it was last asked."""

    def take_ages_ms(self) -> list[float]:
        return [20.0]


class Server:
    """A server that looks at ten more frames whenever it is asked, until something happens."""

    last_line = "the last words"

    def __init__(self, answers: int, then: BaseException | None) -> None:
        self.answers, self.then, self.asked = answers, then, 0

    def usage(self) -> Usage:
        return Usage(cpu_s=0.0, memory_mib=500.0, threads=30, files=20)

    def metrics(self) -> dict[str, float]:
        self.asked += 1
        if self.asked > self.answers:
            if self.then is not None:
                raise self.then
            self.asked = 0
        counted = "frames_captured_total detections_total frames_still_total frames_dropped_total"
        return dict.fromkeys(counted.split(), 10.0 * self.asked)


@pytest.mark.parametrize(
    ("then", "failure"),
    [
        (KeyboardInterrupt(), None),
        (ServerError("gone"), "gone"),
        (None, "the server's worker died: the last words"),
    ],
)
def test_a_run_that_is_cut_short_keeps_its_samples_and_says_why(
    then: BaseException | None, failure: str | None
) -> None:
    run = Run()
    watch(run, Server(answers=4, then=then), [Screen(), Screen()], seconds=60, every_s=0.01)
    assert (len(run.samples), run.failure) == (3, failure)
    assert all(sample.browser_p50_ms == 20.0 for sample in run.samples)
    assert all(math.isnan(sample.emit_p50_ms) for sample in run.samples)
    # two browsers with one picture each, while ten frames were looked at
    assert run.samples[0].detections_per_s == pytest.approx(10 * run.samples[0].pictures_per_s)


def test_a_short_soak_of_the_demo_leaves_a_table_samples_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    arguments = ["--minutes", "0.2", "--every", "1", "--weights", str(WEIGHTS)]
    status = main([*arguments, "--out", str(tmp_path), "--json", str(out)])
    told = capsys.readouterr().out
    figures = json.loads(out.read_text())
    quantities = figures["quantities"]
    assert (status, figures["failure"], figures["connections_lost"]) == (0, None, 0), told
    assert quantities["threads"]["verdict"] == quantities["files"]["verdict"] == "flat", told
    assert all(quantities[name]["mean"] > 0 for name in ("detections_per_s", "pictures_per_s"))
    assert 0 < quantities["emit_p50_ms"]["mean"] <= quantities["emit_p95_ms"]["mean"]
    assert all(quantity.label in told for quantity in QUANTITIES)
    rows = list(csv.DictReader((tmp_path / "soak.csv").read_text().splitlines()))
    assert len(rows) >= 5
    assert rows[0].keys() >= quantities.keys()
    assert cv2.imread(str(tmp_path / "soak.png")).std() > 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["--minutes", "0"],
        ["--minutes", "inf"],
        ["--browsers", "0"],
        ["--browsers", "25"],
        ["--cores", "-1"],
        ["--every", "soon"],
        ["--runtime", "abacus"],
        ["--image-size", "333"],
        ["--json", "gone/figures.json"],
        ["--camera", "gone.mp4"],
        ["--weights", "gone.safetensors"],
    ],
)
def test_what_cannot_run_gets_one_line_and_exit_status_two(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path), *arguments])
    assert stop.value.code == 2
    assert "error: " in capsys.readouterr().err.strip().splitlines()[-1]


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_soak_that_is_ended_ends_its_server_first(tmp_path: Path) -> None:
    arguments = ["--weights", str(WEIGHTS), "--image-size", "320", "--out", str(tmp_path)]
    soak = psutil.Popen([sys.executable, "-m", "app.soak", *arguments], cwd=ROOT)
    server: list[psutil.Process] = []

    def arbiter_and_worker() -> bool:
        server[:] = soak.children(recursive=True)
        return len(server) >= 2

    wait_until(arbiter_and_worker, 60)
    soak.terminate()
    assert soak.wait(60) in (0, 130)  # with what it had seen, or before that
    assert not any(lives(process) for process in server)


def test_missing_libraries_are_named_with_the_file_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.soak.__main__.NEEDED", ("json", "no_such_library"))
    with pytest.raises(SystemExit) as stop:
        main(["--out", str(tmp_path)])
    assert stop.value.code == 2
    told = capsys.readouterr().err.strip()
    assert told == "error: no_such_library missing: run 'pip install -r requirements-dev.txt'"
