"""Measure a detector: COCO average precision and whole baskets.

python -m model.evaluate --weights W --data DATA.yaml --split val --json OUT
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from model.cli import existing_file, refusing
from model.data.dataset import DataError, Labelled, read_config, read_picture, read_split
from model.detector import Detector, load_detector
from model.metrics import (
    PictureResult,
    average_precision,
    checkout_metrics,
    counts,
    precision_recall,
)

CURVE_CONFIDENCE = 0.001  # low enough for the whole precision-recall curve


@dataclass(frozen=True)
class Evaluation:
    """The summary (the JSON that the command writes) and every picture's results."""

    summary: dict
    results: list[PictureResult]


def evaluate(
    detector: Detector,
    pictures: Iterable[tuple[np.ndarray, np.ndarray]],
    confidence: float | None = None,
) -> Evaluation:
    """Run a detector over pictures with their boxes and measure it.

    pictures: pairs of uint8 (H, W, 3) BGR and float32 (N, 5) rows of class and cxcywh in [0, 1].
    confidence: where baskets, precision and recall are read; default the weights' own, which was
    fixed beforehand. Tuning it on the reported split would flatter the result.
    """
    used = detector.confidence if confidence is None else confidence
    results = [measure(detector, image, boxes) for image, boxes in pictures]
    classes = len(detector.names)
    ap = average_precision(results, classes)
    precision, recall = precision_recall(results, classes, used)
    per_class = {
        name: {
            "ap50": _number(ap.ap50[i]),
            "ap": _number(ap.ap[i]),
            "precision": _number(precision[i]),
            "recall": _number(recall[i]),
        }
        for i, name in enumerate(detector.names)
    }
    baskets = checkout_metrics(*counts(results, classes, used))
    summary = {
        "images": len(results),
        "map50": ap.map50,
        "map": ap.map,
        "per_class": per_class,
        **baskets,
        "conf": used,
    }
    return Evaluation(summary, results)


def measure(detector: Detector, image: np.ndarray, boxes: np.ndarray) -> PictureResult:
    """Detect in one picture and put the findings beside the truth."""
    height, width = image.shape[:2]
    index = {name: i for i, name in enumerate(detector.names)}
    found = detector.detect(image, CURVE_CONFIDENCE)
    half = boxes[:, 3:] / 2
    corners = np.concatenate((boxes[:, 1:3] - half, boxes[:, 1:3] + half), axis=1)
    return PictureResult(
        width,
        height,
        corners * np.array([width, height] * 2, np.float32),
        boxes[:, 0].astype(int),
        np.array([d.box_xyxy for d in found], np.float32).reshape(-1, 4),
        np.array([index[d.key] for d in found], int),
        np.array([d.score for d in found], np.float32),
    )


def from_files(
    samples: list[Labelled], quiet: bool = False
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Read labelled pictures one after the other, with a progress bar."""
    for sample in tqdm(samples, unit="img", desc="evaluate", disable=quiet):
        yield read_picture(sample.path), sample.boxes


def _number(value: float) -> float | None:
    """JSON knows no nan: a class without truth or findings has no figure."""
    return None if np.isnan(value) else float(value)


def as_table(summary: dict) -> str:
    """The summary as an aligned text table, one row a class."""
    lines = [
        f"images {summary['images']}  mAP50 {summary['map50']:.4f}  mAP50:95 {summary['map']:.4f}",
        f"at confidence {summary['conf']:.2f}: cAcc {summary['cacc']:.4f}  ACD {summary['acd']:.3f}"
        f"  mCCD {summary['mccd']:.3f}  mCIoU {summary['mciou']:.3f}",
        f"{'class':<16}{'AP50':>8}{'AP':>8}{'prec':>8}{'recall':>8}",
    ]
    for name, row in summary["per_class"].items():
        cells = (row[key] for key in ("ap50", "ap", "precision", "recall"))
        lines.append(
            f"{name:<16}" + "".join(f"{'–' if c is None else f'{c:.3f}':>8}" for c in cells)
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m model.evaluate", description=__doc__.split("\n")[0])
    p.add_argument("--weights", type=existing_file, required=True, help="safetensors file")
    p.add_argument("--data", type=existing_file, required=True, help="data.yaml")
    p.add_argument("--split", default="val", choices=("train", "val", "test"))
    p.add_argument("--runtime", default="auto", choices=("auto", "openvino", "torch"))
    p.add_argument("--conf", type=float, help="confidence for baskets (default: the weights' own)")
    p.add_argument("--json", type=Path, help="write the summary here")
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    config = read_config(args.data)
    detector = load_detector(args.weights, args.runtime)
    if tuple(detector.names) != config.names:
        raise DataError(
            f"{args.data}: names {config.names} differ from the weights' {detector.names}"
        )
    samples = read_split(config, args.split)
    summary = evaluate(detector, from_files(samples), args.conf).summary
    print(as_table(summary))
    if args.json:
        args.json.write_text(json.dumps(summary, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
