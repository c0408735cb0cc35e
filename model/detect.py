"""Detect fruit in pictures, folders and videos.

    python -m model.detect --weights W SOURCE… [--conf C] [--json OUT] [--save DIR]

Writes one JSON line per picture or video frame, in order.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from tqdm import tqdm

from model.cli import existing_file, refusing, share
from model.data.dataset import PICTURES, DataError, read_picture
from model.detector import Detection, Detector, load_detector
from model.drawing import labelled_box, save_jpeg


@dataclass(frozen=True)
class SourceFrame:
    """One picture of a source; ``frame`` counts from 0 within a video, 0 for a picture."""

    source: str
    frame: int
    image: np.ndarray


def files(sources: Sequence[Path]) -> list[Path]:
    """The pictures and videos of the sources, a folder's pictures in name order.

    Raises DataError for a source that is missing and a folder without pictures.
    """
    found = []
    for source in sources:
        if not source.exists():
            raise DataError(f"{source}: no such file or folder")
        inside = _pictures(source) if source.is_dir() else [source]
        if not inside:
            raise DataError(f"{source}: no pictures there")
        found += inside
    return found


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def frames(path: Path) -> Iterator[SourceFrame]:
    """The one picture of a file, or a video's frames; DataError when it cannot be read."""
    if path.suffix.lower() not in PICTURES:
        yield from _video(path)
        return
    try:
        image = read_picture(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    yield SourceFrame(str(path), 0, image)


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
    """A copy of the picture with boxes, names and scores, the best on top."""
    out = image.copy()
    for d in reversed(detections):
        labelled_box(out, d.box_xyxy, f"{d.key} {d.score:.2f}")
    return out


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m model.detect", description=__doc__.split("\n")[0])
    p.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="picture, folder, video")
    p.add_argument("--weights", type=existing_file, required=True, help="safetensors file")
    p.add_argument("--runtime", default="auto", choices=("auto", "openvino", "torch"))
    p.add_argument("--conf", type=share, help="lowest score kept (default: the weights' own)")
    p.add_argument("--json", type=Path, help="write JSON lines here (default: stdout)")
    p.add_argument("--save", type=Path, metavar="DIR", help="write pictures with boxes here")
    return p


def run(args: argparse.Namespace, paths: Sequence[Path], detector: Detector, out: TextIO) -> bool:
    """Detect in every frame and write its row; False when a file could not be read.

    Such a file is named on stderr and left out; the others keep their rows.
    """
    written, complete = 0, True
    with tqdm(unit="img", desc="detect", disable=None) as bar:
        for path in paths:
            try:
                for frame in frames(path):
                    detections = detector.detect(frame.image, args.conf)
                    out.write(json.dumps(as_row(frame, detections)) + "\n")
                    if args.save:
                        name = f"{written:06d}_{path.stem}.jpg"
                        save_jpeg(args.save / name, draw(frame.image, detections))
                    written += 1
                    bar.update()
            except DataError as error:
                bar.write(f"error: {error}", file=sys.stderr)
                complete = False
    return complete


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    paths = files(args.sources)
    detector = load_detector(args.weights, args.runtime)
    if args.save:
        args.save.mkdir(parents=True, exist_ok=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        with args.json.open("w", encoding="utf-8") as out:
            complete = run(args, paths, detector, out)
    else:
        complete = run(args, paths, detector, sys.stdout)
    if not complete:
        raise SystemExit(2)


if __name__ == "__main__":
    main()
