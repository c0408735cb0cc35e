"""Whether a quantity stays as it is over a run or creeps: least squares, stated limits. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

LEAST_SAMPLES = 3
HALF_AN_HOUR = 0.5  # twenty rounds of the demo: less, and its own ups and downs look like a trend


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that is sampled, and what of it is too much.

    name: its column. label, unit: for people. worse: +1 where growing is bad, -1 where falling is,
    0 where neither is. limit_per_h: the slope that is still flat. slack: so much change over the
    whole run is flat whatever the slope, in the unit. least_h: a shorter run cannot tell.
    """

    name: str
    label: str
    unit: str
    worse: int
    limit_per_h: float
    slack: float
    least_h: float = 0.0


QUANTITIES = (
    Quantity("memory_mib", "memory", "MiB", 1, 8, 12, HALF_AN_HOUR),
    Quantity("threads", "threads", "", 1, 1, 2),
    Quantity("files", "open files", "", 1, 1, 2),
    Quantity("detections_per_s", "detections", "/s", -1, 0.5, 1, HALF_AN_HOUR),
    Quantity("still_per_s", "still frames", "/s", 0, 0.5, 1, HALF_AN_HOUR),
    Quantity("dropped_per_s", "skipped frames", "/s", 1, 0.5, 1, HALF_AN_HOUR),
    Quantity("pictures_per_s", "pictures a browser", "/s", -1, 0.5, 1, HALF_AN_HOUR),
    Quantity("emit_p50_ms", "capture to emit, p50", "ms", 1, 2, 4, HALF_AN_HOUR),
    Quantity("emit_p95_ms", "capture to emit, p95", "ms", 1, 4, 8, HALF_AN_HOUR),
    Quantity("browser_p50_ms", "capture to browser, p50", "ms", 1, 2, 4, HALF_AN_HOUR),
    Quantity("browser_p95_ms", "capture to browser, p95", "ms", 1, 4, 8, HALF_AN_HOUR),
    Quantity("cpu_cores", "processor", "cores", 1, 0.05, 0.1, HALF_AN_HOUR),
)


@dataclass(frozen=True, slots=True)
class Trend:
    """One quantity over the watched time.

    start, middle, end: medians of the thirds; mean: of all; NaN without a sample. slope_per_h: by
    least squares, None with less than three samples. span_h: hours from the first to the last.
    """

    quantity: Quantity
    start: float
    middle: float
    end: float
    mean: float
    slope_per_h: float | None
    span_h: float

    @property
    def is_short(self) -> bool:
        """Whether it says nothing yet; the first sample may come a little late."""
        return self.span_h < 0.99 * self.quantity.least_h

    @property
    def creeps(self) -> bool:
        """Whether it moves by more than its limit an hour, and by more than its slack in all."""
        slope, quantity = self.slope_per_h, self.quantity
        if slope is None or self.is_short:
            return False
        return abs(slope) > quantity.limit_per_h and abs(slope) * self.span_h > quantity.slack

    @property
    def bad(self) -> bool:
        """Whether it creeps the wrong way."""
        return self.creeps and (self.slope_per_h or 0.0) * self.quantity.worse > 0

    @property
    def verdict(self) -> str:
        """One line for people."""
        slope, quantity = self.slope_per_h, self.quantity
        if slope is None or self.is_short:
            return "too short to tell"
        if not self.creeps:
            return "flat"
        amount = f"{abs(slope):.3g} {quantity.unit}".strip()
        return f"{'grows' if slope > 0 else 'falls'} by {amount} an hour"


def trend(quantity: Quantity, hours: Sequence[float], values: Sequence[float]) -> Trend:
    """What became of one quantity; hours: rising, one for each value; NaN values are left out."""
    known = [(h, v) for h, v in zip(hours, values, strict=True) if math.isfinite(v)]
    slope = slope_of(known) if len(known) >= LEAST_SAMPLES else None
    series = [value for _, value in known]
    third = math.ceil(len(series) / 3)
    return Trend(
        quantity,
        start=median(series[:third]) if series else math.nan,
        middle=median(series[len(series) // 3 :][:third]) if series else math.nan,
        end=median(series[-third:]) if series else math.nan,
        mean=fmean(series) if series else math.nan,
        slope_per_h=slope,
        span_h=known[-1][0] - known[0][0] if known else 0.0,
    )


def slope_of(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line with the least squared errors; 0 where all x are one."""
    mean_x, mean_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
