"""Measure a detector: COCO average precision and whole baskets.

python -m model.evaluate --weights W --data DATA.yaml --split val --json OUT
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from model.cli import existing_file, refusing, share
from model.data.dataset import Labelled, read_config, read_picture, read_split, same_names
from model.detector import Detector, load_detector
from model.metrics import (
    SIZES,
    PictureResult,
    average_precision,
    checkout_metrics,
    confusion,
    counts,
    find_hits,
    mistake_counts,
    precision_recall,
    top_names,
    zone_ap50,
)
from model.report import save_report

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
    The summary is summarise's and images_per_s, the rate of the detector alone.
    """
    used = detector.confidence if confidence is None else confidence
    results: list[PictureResult] = []
    seconds = 0.0
    for image, boxes in pictures:
        started = perf_counter()
        results.append(measure(detector, image, boxes))
        seconds += perf_counter() - started
    summary = summarise(results, detector.names, used)
    return Evaluation(
        summary | {"images_per_s": len(results) / seconds if results else None}, results
    )


def summarise(results: list[PictureResult], names: Sequence[str], confidence: float) -> dict:
    """Every figure of the results, as the JSON has it; a figure that does not exist is None.

    ap_small, ap_medium, ap_large: COCO's AP by size. zones: AP50 by place in the picture. top1,
    top3: share of the found fruits whose right name is the first, among the first three. confusion:
    rows truth, columns found, the last of each background. mistakes: how often each happens.
    """
    classes = len(names)
    ap = average_precision(results, classes)
    precision, recall = precision_recall(find_hits(results, classes), confidence)
    columns = {"ap50": ap.ap50, "ap": ap.ap, "precision": precision, "recall": recall}
    return {
        "images": len(results),
        "map50": ap.map50,
        "map": ap.map,
        "per_class": {
            name: {key: _number(column[i]) for key, column in columns.items()}
            for i, name in enumerate(names)
        },
        **checkout_metrics(*counts(results, classes, confidence)),
        "conf": confidence,
        **{f"ap_{size}": _number(value) for size, value in ap.by_size.items()},
        "zones": {zone: _number(v) for zone, v in zone_ap50(results, classes).items()},
        "top1": _number(top_names(results, 1)),
        "top3": _number(top_names(results, 3)),
        "confusion": confusion(results, classes, confidence).tolist(),
        "mistakes": mistake_counts(results, names, confidence),
    }


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
    """Read labelled pictures one after the other, with a progress bar on a terminal."""
    for sample in tqdm(samples, unit="img", desc="evaluate", disable=quiet or None):
        yield read_picture(sample.path), sample.boxes


def _number(value: float) -> float | None:
    """JSON knows no nan: a class without truth or findings has no figure."""
    return None if np.isnan(value) else float(value)


def as_table(summary: dict) -> str:
    """The summary as aligned text: totals, a row for each class, the commonest mistakes."""
    zones, sizes = summary["zones"], {s: summary[f"ap_{s}"] for s in SIZES}
    lines = [
        f"images {summary['images']}  mAP50 {summary['map50']:.4f}  mAP50:95 {summary['map']:.4f}"
        f"  images/s {_cell(summary['images_per_s'], '.1f')}",
        "by size  " + "  ".join(f"{name} {_cell(value)}" for name, value in sizes.items()),
        "by zone, AP50  " + "  ".join(f"{name} {_cell(value)}" for name, value in zones.items()),
        f"right name first {_cell(summary['top1'])}  among three {_cell(summary['top3'])}",
        f"at confidence {summary['conf']:.2f}: cAcc {summary['cacc']:.4f}  ACD {summary['acd']:.3f}"
        f"  mCCD {summary['mccd']:.3f}  mCIoU {summary['mciou']:.3f}",
        f"{'class':<16}{'AP50':>8}{'AP':>8}{'prec':>8}{'recall':>8}",
    ]
    for name, row in summary["per_class"].items():
        cells = (row[key] for key in ("ap50", "ap", "precision", "recall"))
        lines.append(f"{name:<16}" + "".join(f"{_cell(c):>8}" for c in cells))
    lines += [f"{number:>5} × {said}" for said, number in list(summary["mistakes"].items())[:10]]
    return "\n".join(lines)


def _cell(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else format(value, form)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m model.evaluate", description=__doc__.split("\n")[0])
    p.add_argument("--weights", type=existing_file, required=True, help="safetensors file")
    p.add_argument("--data", type=existing_file, required=True, help="data.yaml")
    p.add_argument("--split", default="val", choices=("train", "val", "test"))
    p.add_argument("--runtime", default="auto", choices=("auto", "openvino", "torch"))
    p.add_argument("--conf", type=share, help="confidence for baskets (default: the weights' own)")
    p.add_argument(
        "--bad", default="refuse", choices=("refuse", "skip"), help="what to do with bad pictures"
    )
    p.add_argument("--json", type=Path, help="write the summary here")
    p.add_argument("--save", type=Path, metavar="DIR", help="write plots and the mistakes here")
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    config = read_config(args.data)
    detector = load_detector(args.weights, args.runtime)
    same_names(args.data, config.names, detector.names)
    samples = read_split(config, args.split, args.bad)
    evaluation = evaluate(detector, from_files(samples), args.conf)
    print(as_table(evaluation.summary))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(evaluation.summary, indent=2), encoding="utf-8")
    if args.save:
        save_report(evaluation.summary, evaluation.results, samples, detector.names, args.save)


if __name__ == "__main__":
    main()
