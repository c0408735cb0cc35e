"""A run on paper: a table, a file of samples, a plot."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from app.soak.run import Run, Sample
from app.soak.trends import QUANTITIES, Trend

PANELS = {
    "MiB": ("memory_mib",),
    "count": ("threads", "files"),
    "a second": ("detections_per_s", "still_per_s", "dropped_per_s", "pictures_per_s"),
    "ms": ("emit_p50_ms", "emit_p95_ms", "browser_p50_ms", "browser_p95_ms"),
    "cores": ("cpu_cores",),
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito's: the colour-blind see them
LABELS = {quantity.name: quantity.label for quantity in QUANTITIES}


def as_table(run: Run) -> str:
    """Every quantity: thirds of the watched time, slope, verdict; then what else is to say."""
    lines = [f"{'':<26}{'start':>9}{'middle':>9}{'end':>9}{'mean':>9}{'an hour':>10}  verdict"]
    for t in run.trends():
        label = f"{t.quantity.label} {t.quantity.unit}".strip()
        slope = f"{t.slope_per_h:+.2f}" if t.slope_per_h is not None else "-"
        figures = "".join(f"{number(value):>9}" for value in (t.start, t.middle, t.end, t.mean))
        lines.append(f"{label:<26}{figures}{slope:>10}  {t.verdict}{' !' if t.bad else ''}")
    warm, minutes = run.warm, run.samples[-1].hours * 60 if run.samples else 0.0
    lines += [
        "",
        f"{minutes:.1f} minutes, {len(warm)} of {len(run.samples)} samples after the warm-up; "
        f"{run.first_s:.1f} s to the first picture; {run.reconnects} connections lost",
    ]
    return "\n".join(lines)


def number(value: float) -> str:
    """A figure with one decimal, two below ten; "-" where there is none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def as_json(run: Run) -> str:
    """The figures for programs; null where there is none."""
    return json.dumps(
        {
            "minutes": run.samples[-1].hours * 60 if run.samples else 0.0,
            "samples": len(run.warm),
            "first_picture_s": run.first_s,
            "connections_lost": run.reconnects,
            "failure": run.failure,
            "quantities": {t.quantity.name: as_figures(t) for t in run.trends()},
        },
        indent=2,
    )


def as_figures(t: Trend) -> dict[str, float | str | None]:
    """One trend for programs."""
    values = {"start": t.start, "middle": t.middle, "end": t.end, "mean": t.mean}
    known = {name: v if math.isfinite(v) else None for name, v in values.items()}
    return {**known, "slope_per_h": t.slope_per_h, "verdict": t.verdict}


def write_csv(path: Path, samples: Sequence[Sample]) -> None:
    """One row a sample, the warm-up too."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, [column.name for column in fields(Sample)])
        rows.writeheader()
        rows.writerows(asdict(sample) for sample in samples)


def write_plot(path: Path, run: Run) -> None:
    """Every quantity over time, the warm-up shaded."""
    minutes = [sample.hours * 60 for sample in run.samples]
    figure = Figure(figsize=(10, 10), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for panel, (unit, names) in zip(panels, PANELS.items(), strict=True):
        for name, colour in zip(names, COLOURS, strict=False):
            values = [getattr(sample, name) for sample in run.samples]
            panel.plot(minutes, values, color=colour, linewidth=1, label=LABELS[name])
        if run.warm:
            panel.axvspan(0, run.warm[0].hours * 60, color="0.9")
        panel.set_ylabel(unit)
        if unit != "MiB":  # of hundreds, a few more would not be seen
            panel.set_ylim(0, 1.1 * max(panel.dataLim.y1, 0.1))
        panel.grid(alpha=0.3)
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False)
    panels[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=110)
