"""One long look at a running lane: what it does and uses, sampled every few seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from subprocess import TimeoutExpired

import numpy as np
from socketio.exceptions import ConnectionError as RefusedError
from tqdm import tqdm

from app.soak.browser import Browser
from app.soak.server import Gunicorn, ServerError, Usage
from app.soak.trends import QUANTITIES, Trend, trend

FIRST_PICTURE_S = 60.0
WARM_UP_SHARE, WARM_UP_MOST_H = 0.25, 0.5  # the demo's first rounds each take some new memory


@dataclass(frozen=True, slots=True)
class Sample:
    """The lane over the seconds since the sample before: rates, percentiles; use of now.

    hours: since the first sample. pictures_per_s: of one browser, on average. emit: over the last
    ten seconds. NaN where there was no picture. memory, threads, files: of server and worker.
    """

    hours: float
    memory_mib: float
    threads: float
    files: float
    detections_per_s: float
    still_per_s: float
    dropped_per_s: float
    pictures_per_s: float
    emit_p50_ms: float
    emit_p95_ms: float
    browser_p50_ms: float
    browser_p95_ms: float
    cpu_cores: float


@dataclass(slots=True)
class Run:
    """What a run has given so far.

    first_s: from the server's start to the first detection that every browser has a picture of.
    reconnects: connections that browsers lost. failure: why it ended before its time, if it did.
    """

    first_s: float = math.nan
    samples: list[Sample] = field(default_factory=list)
    reconnects: int = 0
    failure: str | None = None

    @property
    def warm(self) -> Sequence[Sample]:
        """The samples after the warm-up: a quarter of the run, at most half an hour."""
        if not self.samples:
            return ()
        warm_up_h = min(WARM_UP_SHARE * self.samples[-1].hours, WARM_UP_MOST_H)
        return [sample for sample in self.samples if sample.hours >= warm_up_h]

    def trends(self) -> list[Trend]:
        """Every quantity after the warm-up."""
        hours = [sample.hours for sample in self.warm]
        return [
            trend(quantity, hours, [getattr(sample, quantity.name) for sample in self.warm])
            for quantity in QUANTITIES
        ]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was counted up to a moment."""

    at_s: float
    usage: Usage
    metrics: dict[str, float]


def soak(server: Gunicorn, browsers: int, minutes: float, every_s: float) -> Run:
    """Start a server, look at it with so many browsers for so long, and stop it.

    Ctrl+C ends the run early, with what it has. Raises ServerError when no lane comes up; one that
    breaks down later is the run's ``failure``.
    """
    run, began = Run(), time.monotonic()
    with ExitStack() as stack:
        server.start()
        stack.callback(end, server, run)
        screens = [stack.enter_context(closing(connected(server))) for _ in range(browsers)]
        await_lane(server, screens)
        run.first_s = time.monotonic() - began
        watch(run, server, screens, minutes * 60, every_s)
        run.reconnects = sum(screen.connections - 1 for screen in screens)
    return run


def end(server: Gunicorn, run: Run) -> None:
    """Stop the server; one that has to be killed has failed."""
    try:
        server.stop()
    except TimeoutExpired:
        run.failure = run.failure or "the server did not end when it was told to"


def connected(server: Gunicorn) -> Browser:
    """One more browser; raises ServerError when it is refused."""
    try:
        return Browser(server.url)
    except RefusedError as error:
        raise ServerError(f"the server refuses a browser ({error}): {server.last_line}") from error


def await_lane(server: Gunicorn, screens: Sequence[Browser]) -> None:
    """Wait until fruit is looked for and every browser has a picture."""
    give_up_at = time.monotonic() + FIRST_PICTURE_S
    waiting = set(screens)
    while waiting or not server.metrics()["detections_total"]:
        waiting = {screen for screen in waiting if not screen.take_ages_ms()}
        if time.monotonic() > give_up_at:
            raise ServerError(
                f"no fruit is looked for in {FIRST_PICTURE_S:.0f} s: {server.last_line}"
            )
        time.sleep(0.05)


def watch(
    run: Run, server: Gunicorn, screens: Sequence[Browser], seconds: float, every_s: float
) -> None:
    """Sample until the time is over, somebody presses Ctrl+C, or the server breaks down."""
    try:
        for sample in samples(server, screens, seconds, every_s):
            run.samples.append(sample)
    except KeyboardInterrupt:
        pass
    except ServerError as error:
        run.failure = str(error)


def samples(
    server: Gunicorn, screens: Sequence[Browser], seconds: float, every_s: float
) -> Iterator[Sample]:
    """A sample every so many seconds; raises ServerError when the server or its worker dies."""
    began = before = read(server)
    for screen in screens:
        screen.take_ages_ms()
    whole_s = round(seconds)
    with tqdm(total=whole_s, unit="s", disable=None) as bar:
        while (left_s := began.at_s + seconds - time.monotonic()) > 0:
            time.sleep(min(every_s, left_s))
            now = read(server)
            if now.metrics["frames_captured_total"] < before.metrics["frames_captured_total"]:
                raise ServerError(f"the server's worker died: {server.last_line}")
            ages_ms = [age for screen in screens for age in screen.take_ages_ms()]
            sample = sample_of(began, before, now, ages_ms, len(screens))
            bar.update(min(round(now.at_s - began.at_s), whole_s) - bar.n)
            bar.set_postfix_str(
                f"{sample.detections_per_s:.1f} detections/s, {sample.memory_mib:.0f} MiB"
            )
            yield sample
            before = now


def read(server: Gunicorn) -> Reading:
    """Use before the figures: asking for those opens a connection, which is a file."""
    usage = server.usage()
    return Reading(time.monotonic(), usage, server.metrics())


def sample_of(
    began: Reading, before: Reading, now: Reading, ages_ms: Sequence[float], browsers: int
) -> Sample:
    """What happened between two readings."""
    spent_s = now.at_s - before.at_s

    def rate(name: str) -> float:
        return (now.metrics[name] - before.metrics[name]) / spent_s

    p50_ms, p95_ms = np.percentile(ages_ms, (50, 95)) if ages_ms else (math.nan, math.nan)
    return Sample(
        hours=(now.at_s - began.at_s) / 3600,
        memory_mib=now.usage.memory_mib,
        threads=now.usage.threads,
        files=now.usage.files,
        detections_per_s=rate("detections_total"),
        still_per_s=rate("frames_still_total"),
        dropped_per_s=rate("frames_dropped_total"),
        pictures_per_s=len(ages_ms) / browsers / spent_s,
        emit_p50_ms=now.metrics.get("capture_to_emit_recent_seconds 0.5", math.nan) * 1000,
        emit_p95_ms=now.metrics.get("capture_to_emit_recent_seconds 0.95", math.nan) * 1000,
        browser_p50_ms=float(p50_ms),
        browser_p95_ms=float(p95_ms),
        cpu_cores=(now.usage.cpu_s - before.usage.cpu_s) / spent_s,
    )
