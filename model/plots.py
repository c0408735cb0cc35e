"""The pictures a training leaves behind: curves, confusion matrices, what the labels are like."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from model.boxes import iou_xyxy
from model.metrics import PictureResult, one_per_fruit, precision_recall

mpl.rcParams.update({"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "figure.dpi": 110})


def plot_results(csv_path: Path, out: Path) -> None:
    """Every column of results.csv over the epochs."""
    with csv_path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != "epoch"]
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, (len(names) + 1) // 2).flatten()
    epochs = [int(row["epoch"]) for row in rows]
    for axis, name in zip(axes, names, strict=False):
        axis.plot(epochs, [float(row[name]) for row in rows], marker=".")
        axis.set_title(name)
        axis.set_xlabel("epoch")
    figure.savefig(out)


def confusion(results: Sequence[PictureResult], classes: int, confidence: float) -> np.ndarray:
    """Counts (classes + 1, classes + 1): rows truth, columns found, the last of each background.

    Each fruit found (one name a fruit) is matched to the truth box it overlaps most, IoU ≥ 0.5.
    """
    matrix = np.zeros((classes + 1, classes + 1), int)
    for r in results:
        free = list(range(len(r.truth_class)))
        for index in one_per_fruit(r.found_xyxy, r.found_score, confidence):
            overlap = iou_xyxy(r.found_xyxy[index : index + 1], r.truth_xyxy[free])[0]
            if len(free) and overlap.max() >= 0.5:
                truth = r.truth_class[free.pop(int(overlap.argmax()))]
            else:
                truth = classes
            matrix[truth, r.found_class[index]] += 1
        for index in free:
            matrix[r.truth_class[index], classes] += 1
    return matrix


def plot_confusion(matrix: np.ndarray, names: Sequence[str], out: Path, normalise: bool) -> None:
    """A heat map; normalised, each row sums to one."""
    labels = [*names, "background"]
    sums = matrix.sum(1, keepdims=True)
    values = matrix / np.maximum(sums, 1) if normalise else matrix
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    axis = figure.subplots()
    axis.grid(visible=False)
    axis.imshow(values, cmap="Blues")
    axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axis.set_yticks(range(len(labels)), labels)
    axis.set(xlabel="found", ylabel="truth")
    bright = values.max() / 2
    for row, column in zip(*np.nonzero(values), strict=True):
        text = f"{values[row, column]:.2f}" if normalise else str(values[row, column])
        colour = "white" if values[row, column] > bright else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    figure.savefig(out)


def plot_curves(results: Sequence[PictureResult], names: Sequence[str], folder: Path) -> None:
    """PR_curve.png and F1_curve.png over the confidence, a line a class."""
    confidences = np.linspace(0.02, 0.98, 25)
    pairs = [precision_recall(results, len(names), c) for c in confidences]
    precision, recall = (np.array(column) for column in zip(*pairs, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * precision * recall / (precision + recall)
    _lines(recall, precision, names, ("recall", "precision"), folder / "PR_curve.png")
    spread = np.repeat(confidences[:, None], len(names), axis=1)
    _lines(spread, f1, names, ("confidence", "F1"), folder / "F1_curve.png")


def _lines(
    x: np.ndarray, y: np.ndarray, names: Sequence[str], labels: tuple[str, str], out: Path
) -> None:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axis = figure.subplots()
    for column, name in enumerate(names):
        axis.plot(x[:, column], y[:, column], label=name)
    axis.set(xlabel=labels[0], ylabel=labels[1], xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(fontsize=7, ncols=2)
    figure.savefig(out)


def plot_labels(boxes: Sequence[np.ndarray], names: Sequence[str], out: Path) -> None:
    """How many boxes each class has, and how large they are; boxes: (N, 5) rows a picture."""
    rows = np.concatenate([np.zeros((0, 5)), *boxes])
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.barh(names, np.bincount(rows[:, 0].astype(int), minlength=len(names)))
    left.set_title("boxes a class")
    right.scatter(rows[:, 3], rows[:, 4], s=4, alpha=0.3)
    right.set(title="box sizes", xlabel="width", ylabel="height", xlim=(0, 1), ylim=(0, 1))
    figure.savefig(out)
