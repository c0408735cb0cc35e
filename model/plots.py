"""The pictures a training leaves behind: curves, confusion matrices, what the labels are like."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from model.metrics import PictureResult, Reliability, best_precision, f1_over, find_hits

mpl.rcParams.update({"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "figure.dpi": 110})

# Okabe and Ito's colours, which the colour-blind tell apart, without black; then other strokes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D00", "#7F3C8D")
LINES = cycler(linestyle=["-", "--", ":", "-."]) * cycler(color=COLOURS)
# Fonts with Korean, Chinese and Japanese, as the systems name them: matplotlib's own has none.
EAST_ASIAN = ("Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")
MEAN: dict[str, Any] = {"color": "black", "linestyle": "-", "linewidth": 3}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, that can write class names in any script with an installed font."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    mpl.rcParams["font.family"] = ["DejaVu Sans", *(f for f in EAST_ASIAN if f in installed)]
    return Figure(figsize=(width, height), layout="constrained")


def plot_results(csv_path: Path, out: Path) -> None:
    """Every column of results.csv over the epochs."""
    with csv_path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != "epoch"]
    figure = new_figure(12, 6)
    axes = figure.subplots(2, (len(names) + 1) // 2).flatten()
    epochs = [int(row["epoch"]) for row in rows]
    for axis, name in zip(axes, names, strict=False):
        axis.plot(epochs, [float(row[name]) for row in rows], marker=".")
        axis.set_title(name)
        axis.set_xlabel("epoch")
    figure.savefig(out)


def plot_confusion(matrix: np.ndarray, names: Sequence[str], out: Path, normalise: bool) -> None:
    """A heat map of counts (classes + 1, classes + 1), truth in rows; normalised, rows sum to 1."""
    labels = [*names, "background"]
    sums = matrix.sum(1, keepdims=True)
    values = matrix / np.maximum(sums, 1) if normalise else matrix
    side = 2.5 + 0.5 * len(labels)
    figure = new_figure(side + 0.5, side)
    axis = figure.subplots()
    axis.grid(visible=False)
    axis.imshow(values, cmap="Blues", vmin=0, vmax=1 if normalise else max(1, values.max()))
    axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="found", ylabel="truth")
    bright = (1 if normalise else values.max()) / 2
    for row, column in zip(*np.nonzero(values), strict=True):
        text = f"{values[row, column]:.2f}" if normalise else str(values[row, column])
        colour = "white" if values[row, column] > bright else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    figure.savefig(out)


def plot_curves(
    results: Sequence[PictureResult],
    names: Sequence[str],
    folder: Path,
    confidence: float,
) -> None:
    """PR_curve.png and F1_curve.png at IoU 0.5: a line for each class with truth, and their mean.

    The precision–recall curve has a point for every score that was found; F1 stands over the
    confidence, its best point and the ``confidence`` in use marked.
    """
    hits = find_hits(results, len(names))
    curves = {name: hits.curve(i) for i, name in enumerate(names) if hits.truth[i]}
    recalls, grid = np.linspace(0, 1, 101), np.linspace(0, 1, 1001)
    best = {name: best_precision(p, r, recalls) for name, (_, p, r) in curves.items()}
    figure, axis = _curve_axes("recall", "precision")
    for name, (_, precision, recall) in curves.items():
        axis.plot(recall, precision, label=f"{name}  AP {best[name].mean():.3f}")
    if curves:
        mean = np.mean(list(best.values()), axis=0)
        axis.plot(recalls, mean, **MEAN, label=f"mean  AP {mean.mean():.3f}")
    _save(figure, axis, folder / "PR_curve.png")

    f1 = {name: f1_over(grid, *curve) for name, curve in curves.items()}
    figure, axis = _curve_axes("confidence", "F1")
    axis.axvline(confidence, color="0.4", linestyle="--", label=f"in use: {confidence:.2f}")
    for name, values in f1.items():
        axis.plot(grid, values, label=name)
    if curves:
        mean = np.mean(list(f1.values()), axis=0)
        top = mean.argmax()
        axis.plot(grid, mean, **MEAN, label=f"mean, best {mean[top]:.3f} at {grid[top]:.2f}")
        axis.plot(grid[top], mean[top], "o", color="black", markersize=8)
    _save(figure, axis, folder / "F1_curve.png")


def _curve_axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = new_figure(9.5, 5.5)
    axis = figure.subplots()
    axis.set_prop_cycle(LINES)
    axis.set(xlabel=x, ylabel=y, xlim=(0, 1.01), ylim=(0, 1.02))
    return figure, axis


def _save(figure: Figure, axis: Axes, out: Path) -> None:
    """Save with the legend beside the curves, in as many columns as it needs."""
    entries = len(axis.get_legend_handles_labels()[1])
    if entries:
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), ncols=-(-entries // 24))
    figure.savefig(out)


def plot_reliability(measured: Reliability, out: Path) -> None:
    """How often boxes of each score are right, against the diagonal of a true score."""
    bins = len(measured.boxes)
    figure = new_figure(5.5, 5.5)
    axis = figure.subplots()
    edges = np.arange(bins) / bins
    axis.bar(edges, np.nan_to_num(measured.accuracy), 1 / bins, align="edge", edgecolor="white")
    axis.plot([0, 1], [0, 1], "--", color="black", label="a true score")
    for edge, height, boxes in zip(
        edges, np.nan_to_num(measured.accuracy), measured.boxes, strict=True
    ):
        if boxes:
            axis.text(edge + 0.5 / bins, height + 0.01, str(boxes), ha="center", fontsize=8)
    axis.set(
        xlabel="score", ylabel="share that is right (above: boxes)", xlim=(0, 1), ylim=(0, 1.06)
    )
    axis.set_title(f"expected calibration error {measured.ece:.3f}")
    axis.legend(loc="upper left")
    figure.savefig(out)


def plot_labels(boxes: Sequence[np.ndarray], names: Sequence[str], out: Path) -> None:
    """How many boxes each class has, how large they are and where; boxes: (N, 5) rows a picture."""
    rows = np.concatenate([np.zeros((0, 5)), *boxes])
    figure = new_figure(14, max(4.2, 0.22 * len(names)))
    bars, sizes, places = figure.subplots(1, 3)
    drawn = bars.barh(names, np.bincount(rows[:, 0].astype(int), minlength=len(names)))
    bars.bar_label(drawn, padding=3, fontsize=8)
    bars.set(title="boxes a class", ylim=(len(names) - 0.4, -0.6))
    bars.margins(x=0.12)
    sizes.scatter(rows[:, 3], rows[:, 4], s=4, alpha=0.3)
    sizes.set(title="sizes of boxes", xlabel="width", ylabel="height", xlim=(0, 1), ylim=(0, 1))
    count, *_ = np.histogram2d(rows[:, 2], rows[:, 1], bins=40, range=((0, 1), (0, 1)))
    # most pictures show one fruit in the middle, which would leave all else black
    heat = places.imshow(count, cmap="cividis", extent=(0, 1, 1, 0), norm=PowerNorm(0.4))
    figure.colorbar(heat, ax=places, shrink=0.8, label="boxes")
    places.grid(visible=False)
    places.set(title="centres of boxes", xlabel="x", ylabel="y")
    figure.savefig(out)


def plot_anchors(
    sizes: np.ndarray, before: np.ndarray, after: np.ndarray, history: np.ndarray, out: Path
) -> None:
    """Boxes' sizes (N, 2) with two sets of anchors (…, 2), and the mean best IoU while fitting."""
    figure = new_figure(11, 5)
    scatter, curve = figure.subplots(1, 2)
    scatter.scatter(*sizes.T, s=4, alpha=0.25, color="grey", label="boxes")
    for anchors, name, marker, colour in (
        (before, "COCO's", "X", COLOURS[1]),
        (after, "fitted", "o", COLOURS[0]),
    ):
        scatter.scatter(
            *anchors.reshape(-1, 2).T, s=70, marker=marker, color=colour, ec="white", label=name
        )
    scatter.set(xlabel="width / input", ylabel="height / input", xlim=(0, 1.02), ylim=(0, 1.02))
    scatter.legend()
    curve.plot(np.arange(1, len(history) + 1), history)
    curve.set(xlabel="round", ylabel="mean best IoU")
    figure.savefig(out)
