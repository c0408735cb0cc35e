"""The rows of a run, one an epoch: results.csv, TensorBoard, and a line on the screen."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

COLUMNS = (
    *("epoch", "lr", "loss", "box", "objectness", "no_object", "classes", "map50", "map", "cacc"),
    *("images_per_s", "data_wait", "rss_mib", "cuda_mib"),
)
Row = dict[str, float]


def write_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Write results.csv anew from all rows: no crash can leave one out or double."""
    partial = folder / "results.partial"
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({name: f"{row[name]:.6g}" for name in COLUMNS} for row in rows)
    partial.replace(folder / "results.csv")


def show(row: Mapping[str, float], board: SummaryWriter) -> None:
    """Put an epoch on TensorBoard and on the screen."""
    for name in COLUMNS[1:]:
        board.add_scalar(name, row[name], int(row["epoch"]))
    board.flush()
    scores = (f"{name} {row[name]:.4f}" for name in ("map50", "map", "cacc"))
    print(f"epoch {row['epoch']:.0f}: loss {row['loss']:.3f}", *scores, flush=True)
