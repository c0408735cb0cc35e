"""Replay a recording through the lane's eyes, without a browser and as fast as it goes.

    python -m app.replay SOURCE --json OUT

Writes one JSON line per frame: {"frame", "t_s", "settled", "counts"}.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.errors import CheckoutError, SettingsError, SourceError
from app.settings import RUNTIMES, Settings
from app.vision.camera import Source, open_source
from app.vision.cells import cells_of
from app.vision.settle import Scene, SettleConfig, Settler
from model.detector import Detection, Detector, load_detector


@dataclass(frozen=True, slots=True)
class Row:
    """The basket as the customer would see it at one frame.

    frame: number in the source, from 0. t_s: the source's own time, seconds. settled: whether the
    basket is sure. counts: fruits by key, all above 0.
    """

    frame: int
    t_s: float
    settled: bool
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Look:
    """One picture and what the lane makes of it.

    frame: number in the source, from 0. t_s: the source's own time, seconds. image: uint8
    (H, W, 3) BGR.
    """

    frame: int
    t_s: float
    image: np.ndarray
    scene: Scene


def replay(source: Source, detector: Detector, every: int = 1) -> Iterator[Row]:
    """Look at every ``every``-th frame of a source, from its first to its end.

    Raises SourceError when the source cannot be read on.
    """
    for look in watch(source, detector, every):
        scene = look.scene
        sure = scene.settled and () not in scene.doubts.values()  # nothing lies there unrecognised
        yield Row(look.frame, round(look.t_s, 3), sure, dict(scene.counts))


def watch(source: Source, detector: Detector, every: int = 1) -> Iterator[Look]:
    """As ``replay``, with the pictures, the tracks and the open questions."""
    config = SettleConfig.of(detector)
    settler = Settler(config)
    last_image, detections = None, list[Detection]()
    for frame, (image, t_s) in enumerate(iter(source.read, None)):
        if frame % every:
            continue
        if image is not last_image:  # a folder shows the same picture for a while
            last_image, detections = image, detector.detect(image, config.name_score)
        height, width = image.shape[:2]
        scene = settler.update(detections, t_s, width, height, cells_of(image))
        yield Look(frame, t_s, image, scene)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; exit status 2 and one line on stderr for what the user can mend."""
    try:
        arguments = _parse(argv)
        _write(arguments)
    except (CheckoutError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    settings = Settings.from_env()
    parser = argparse.ArgumentParser(
        prog="python -m app.replay",
        description="Replay a recording through detector and settling, as fast as it goes. "
        'Writes JSON lines: {"frame", "t_s", "settled", "counts": {key: n}}.',
    )
    parser.add_argument("source", help="a video file, a picture, a folder of pictures, or demo")
    parser.add_argument("--json", required=True, metavar="OUT", help="file to write, - for stdout")
    parser.add_argument(
        "--weights",
        type=Path,
        default=settings.weights,
        help="detector weights, .safetensors (default: CHECKOUT_WEIGHTS, else the shipped ones)",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default=settings.runtime,
        help="what runs the detector (default: CHECKOUT_RUNTIME, now %(default)s)",
    )
    parser.set_defaults(image_size=settings.image_size)
    parser.add_argument(
        "--every",
        type=_positive,
        default=1,
        metavar="N",
        help="look at every N-th frame only, as a slow machine would (default: %(default)s)",
    )
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, 1 or more")
    return int(text)


def _write(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        source = stack.enter_context(closing(open_source(arguments.source, loop=False)))
        if source.rate_fps is None:
            raise SourceError(f"{source.label} is live and never ends: give a recording")
        detector = _load(arguments.weights, arguments.runtime, arguments.image_size)
        rows = replay(source, detector, arguments.every)
        out = sys.stdout
        if arguments.json != "-":
            out = stack.enter_context(Path(arguments.json).open("w", encoding="utf-8"))
        for row in tqdm(rows, unit=" frames", disable=None):  # None: no bar where nobody watches
            print(json.dumps(asdict(row)), file=out)


def _load(weights: Path, runtime: str, image_size: int | None) -> Detector:
    try:
        return load_detector(weights, runtime, image_size=image_size)
    except Exception as error:  # the library's own errors are not the app's to know
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SettingsError(f"the detector cannot be loaded: {reason}") from error


if __name__ == "__main__":
    main()
