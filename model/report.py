"""All that an evaluation leaves in a folder: figures, curves, matrices and the worst mistakes."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.data.dataset import Labelled
from model.metrics import PictureResult, reliability
from model.mistake_pages import write_mistake_pages
from model.plots import plot_confusion, plot_curves, plot_reliability


def save_report(
    summary: dict,
    results: Sequence[PictureResult],
    samples: Sequence[Labelled],
    names: Sequence[str],
    folder: Path,
) -> None:
    """Write an evaluation into a folder, made where it is missing.

    summary: model.evaluate's; results and samples: of the same pictures in the same order.
    Writes metrics.json, per_class.csv, confusion_matrix.png, confusion_matrix_normalized.png,
    PR_curve.png, F1_curve.png, reliability.png and mistakes_01.jpg… (none without a mistake).
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    matrix = np.array(summary["confusion"])
    write_per_class(summary, folder / "per_class.csv")
    plot_confusion(matrix, names, folder / "confusion_matrix.png", False)
    plot_confusion(matrix, names, folder / "confusion_matrix_normalized.png", True)
    plot_curves(results, names, folder, summary["conf"])
    plot_reliability(reliability(results), folder / "reliability.png")
    write_mistake_pages(results, samples, names, summary["conf"], folder)


def write_per_class(summary: dict, path: Path) -> None:
    """One row a class: how many true boxes, AP50, AP, precision, recall; no figure is empty."""
    boxes = np.array(summary["confusion"]).sum(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("class", "boxes", "ap50", "ap", "precision", "recall"))
        for (name, row), count in zip(summary["per_class"].items(), boxes, strict=False):
            writer.writerow((name, count, *row.values()))
