"""Detect fruit in pictures, folders and videos.

    python -m model.detect --weights W SOURCE… [--conf C] [--json OUT] [--save DIR]

Writes one JSON line per picture or video frame, in order.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from tqdm import tqdm

from model.cli import existing_file, refusing
from model.data.dataset import PICTURES, DataError, read_picture
from model.detector import Detection, load_detector


@dataclass(frozen=True)
class SourceFrame:
    """One picture of a source; ``frame`` counts from 0 within a video, 0 for a picture."""

    source: str
    frame: int
    image: np.ndarray


def frames(sources: list[Path]) -> Iterator[SourceFrame]:
    """Every picture of the sources, folders in name order; DataError on one that is unreadable."""
    for source in sources:
        if source.is_dir():
            found = sorted(p for p in source.iterdir() if p.suffix.lower() in PICTURES)
            if not found:
                raise DataError(f"{source}: no pictures there")
            yield from frames(found)
        elif not source.exists():
            raise DataError(f"{source}: no such file or folder")
        elif source.suffix.lower() in PICTURES:
            yield SourceFrame(str(source), 0, read_picture(source))
        else:
            yield from _video(source)


def _video(source: Path) -> Iterator[SourceFrame]:
    video = cv2.VideoCapture(str(source))
    try:
        number = 0
        while True:
            ok, image = video.read()
            if not ok:
                break
            yield SourceFrame(str(source), number, image)
            number += 1
    finally:
        video.release()
    if not number:
        raise DataError(f"{source}: not a picture or video that can be read")


def as_row(frame: SourceFrame, detections: list[Detection]) -> dict:
    """One JSON line: source, frame, width, height and the detections with boxes in pixels."""
    height, width = frame.image.shape[:2]
    return {
        "source": frame.source,
        "frame": frame.frame,
        "width": width,
        "height": height,
        "detections": [
            {
                "name": d.key,
                "score": round(d.score, 5),
                "box_xyxy": [round(v, 2) for v in d.box_xyxy],
            }
            for d in detections
        ],
    }


def draw(image: np.ndarray, detections: list[Detection]) -> np.ndarray:
    """A copy of the picture with boxes, names and scores."""
    out = image.copy()
    thick = max(1, round(max(image.shape) / 400))
    for d in reversed(detections):
        x1, y1, x2, y2 = map(round, d.box_xyxy)
        cv2.rectangle(out, (x1, y1), (x2, y2), (40, 200, 40), thick)
        label, at = f"{d.key} {d.score:.2f}", (x1 + 3, max(y1 + 16, 16))
        cv2.putText(out, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(out, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m model.detect", description=__doc__.split("\n")[0])
    p.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="picture, folder, video")
    p.add_argument("--weights", type=existing_file, required=True, help="safetensors file")
    p.add_argument("--runtime", default="auto", choices=("auto", "openvino", "torch"))
    p.add_argument("--conf", type=float, help="lowest score kept (default: the weights' own)")
    p.add_argument("--json", type=Path, help="write JSON lines here (default: stdout)")
    p.add_argument("--save", type=Path, metavar="DIR", help="write pictures with boxes here")
    return p


def run(args: argparse.Namespace, out: TextIO) -> None:
    """Detect in every frame and write its row."""
    detector = load_detector(args.weights, args.runtime)
    if args.save:
        args.save.mkdir(parents=True, exist_ok=True)
    for frame in tqdm(frames(args.sources), unit="img", desc="detect"):
        detections = detector.detect(frame.image, args.conf)
        out.write(json.dumps(as_row(frame, detections)) + "\n")
        if args.save:
            name = f"{Path(frame.source).stem}_{frame.frame:06d}.jpg"
            cv2.imwrite(str(args.save / name), draw(frame.image, detections))


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    if args.conf is not None and not 0 < args.conf < 1:
        raise DataError(f"--conf must lie between 0 and 1, got {args.conf}")
    if args.json:
        with args.json.open("w", encoding="utf-8") as out:
            run(args, out)
    else:
        run(args, sys.stdout)


if __name__ == "__main__":
    main()
