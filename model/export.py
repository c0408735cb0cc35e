"""Write a detector as one file that other programs run: a picture in, boxes and scores out.

    python -m model.export --weights W --format onnx [--out PATH]
    python -m model.export --weights W --format openvino --int8 --data DATA.yaml [--scenes FOLDER]

What goes in and comes out stands in the file's metadata and in docs/training.md. For OpenVINO,
--int8 takes what model.quantise wrote into the weights; where it wrote nothing, and for ONNX, the
same is measured on pictures of the training split and on scenes composed from its cut-outs. With
--data the file is compared with the weights on pictures of the val split, fitted into squares.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from model.boxes import Letterbox, iou_xyxy
from model.cli import SettingsError, existing_file, existing_folder, positive, refusing
from model.data.dataset import DataConfig, list_pictures, read_config, read_picture, read_split
from model.detector import Detection, Detector, load_detector
from model.runtimes.base import load_fused
from model.runtimes.exported import ExportedDetector
from model.training.validation import PICTURES, Validation, some_training
from model.weights import read_info, read_int8

ENDINGS = {"openvino": ".xml", "onnx": ".onnx"}
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
COMPARED = 40  # pictures of val
SAME_FRUIT_IOU = 0.5


@dataclass(frozen=True)
class Agreement:
    """How the findings of a file compare with those of the weights it was made of.

    both: boxes of one name that overlap by half; missed, added: boxes of one alone;
    score_difference: the largest between the scores of two such boxes, in [0, 1].
    """

    pictures: int
    both: int
    missed: int
    added: int
    score_difference: float

    def __str__(self) -> str:
        return (
            f"{self.pictures} pictures: {self.both} boxes found by both, {self.missed} by the "
            f"weights alone, {self.added} by the file alone; scores differ by at most "
            f"{self.score_difference:.3f}"
        )


def agreement(weights: Detector, file: Detector, pictures: Sequence[np.ndarray]) -> Agreement:
    """Compare what two detectors find at their own confidence."""
    missed = added = 0
    differences: list[float] = []
    for image in tqdm(pictures, desc="compare", unit="img", disable=None):
        expected, found = weights.detect(image), file.detect(image)
        pairs = _pairs(expected, found)
        differences += [abs(a.score - b.score) for a, b in pairs]
        missed, added = missed + len(expected) - len(pairs), added + len(found) - len(pairs)
    return Agreement(len(pictures), len(differences), missed, added, max(differences, default=0.0))


def _pairs(a: list[Detection], b: list[Detection]) -> list[tuple[Detection, Detection]]:
    """Boxes that stand for one fruit, the surest first; each box once."""
    pairs, left = [], list(b)
    for one in a:
        same = [other for other in left if other.key == one.key]
        corners = np.array([other.box_xyxy for other in same]).reshape(-1, 4)
        overlap = iou_xyxy(np.array([one.box_xyxy]), corners)[0]
        if len(same) and overlap.max() >= SAME_FRUIT_IOU:
            pairs.append((one, same[int(overlap.argmax())]))
            left.remove(pairs[-1][1])
    return pairs


def fitted(image: np.ndarray, side: int) -> np.ndarray:
    """A picture as files take it, in a square: uint8 (S, S, 3).

    The library's own detectors leave bars away, but not of a picture that has them.
    """
    return Letterbox.of(image, side).apply(image)


def export_onnx(weights: Path, out: Path, training: Validation | None) -> None:
    """Write an ONNX file; in int8 with ranges measured on training pictures, if there are any."""
    import onnx

    from model.runtimes.onnx_graph import quantised, to_onnx

    model, info = load_fused(weights)
    graph = to_onnx(model, info)
    if training:
        images = (image for image, _ in training.pictures())
        graph = quantised(graph, [fitted(image, info.image_size)[None] for image in images])
    onnx.save(graph, out)


def export_openvino(weights: Path, out: Path, training: Validation | None, int8: bool) -> None:
    """Write OpenVINO's two files, ``out`` and the one beside it that ends in .bin.

    int8: as the weights say, or with training pictures, as is measured on these.
    """
    import openvino as ov

    from model.runtimes.openvino_graph import with_decoding
    from model.runtimes.openvino_runtime import to_openvino
    from model.training.int8 import measured

    numbers = read_int8(weights) if int8 else {}
    if training:
        numbers = measured(weights, training)
    model, info = load_fused(weights)
    graph = with_decoding(to_openvino(model, info, numbers), info)
    ov.save_model(graph, out, compress_to_fp16=False)


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A path to write to instead of ``out``, where all that was written moves in the end.

    A reader never sees half a file. Raises OSError at once where nothing can be written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        yield Path(folder) / out.name
        for made in sorted(Path(folder).iterdir()):  # OpenVINO's .bin before the .xml it is for
            made.replace(out.parent / made.name)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m model.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--weights", type=existing_file, required=True)
    p.add_argument("--format", choices=sorted(ENDINGS), required=True)
    p.add_argument("--out", type=Path, help="file to write (default: beside the weights)")
    p.add_argument("--int8", action="store_true", help="compute in int8")
    p.add_argument("--data", type=existing_file, help="data.yaml, to measure and to compare on")
    p.add_argument("--scenes", type=existing_folder, help="folder to compose scenes from, half")
    p.add_argument(
        "--count", type=positive, default=PICTURES, help=f"pictures to measure on ({PICTURES})"
    )
    return p


def check(args: argparse.Namespace) -> None:
    """Refuse what cannot end well before any work is done; SettingsError."""
    ending = ENDINGS[args.format]
    if args.out and (args.out.suffix != ending or args.out.is_dir()):
        raise SettingsError(f"--out {args.out}: needs a file name that ends in {ending}")
    missing = [name for name in ONNX_PACKAGES if not find_spec(name)]
    if args.format == "onnx" and missing:
        raise SettingsError(
            f"ONNX needs {', '.join(missing)}: pip install -r requirements-export.txt"
        )
    if args.int8 and not holds_int8(args) and not find_spec("nncf"):
        raise SettingsError("--int8 needs NNCF, which requirements.txt installs on x86 only")
    if args.int8 and not args.data and not holds_int8(args):
        raise SettingsError("--int8 needs --data DATA.yaml, pictures to measure ranges on")


def holds_int8(args: argparse.Namespace) -> bool:
    """Whether the weights say all that the format needs to compute in int8."""
    return args.format == "openvino" and bool(read_int8(args.weights))


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    read_info(args.weights)  # says at once what is no weights file
    check(args)
    name = f"{args.weights.stem}{'-int8' if args.int8 else ''}{ENDINGS[args.format]}"
    out = args.out or args.weights.with_name(name)
    data = read_config(args.data) if args.data else None
    with whole(out) as path:
        training = None
        if args.int8 and data and not holds_int8(args):
            training = training_pictures(data, args)
        if args.format == "onnx":
            export_onnx(args.weights, path, training)
        else:
            export_openvino(args.weights, path, training, args.int8)
    report(args.weights, out, data)


def training_pictures(data: DataConfig, args: argparse.Namespace) -> Validation:
    """What int8 is measured on."""
    scenes = str(args.scenes) if args.scenes else ""
    return some_training(read_split(data, "train"), data.names, scenes, args.count)


def report(weights: Path, out: Path, data: DataConfig | None) -> None:
    """Print the sizes, and how the file compares with the weights on pictures of val."""
    files = [out] if out.suffix == ".onnx" else [out, out.with_suffix(".bin")]
    for file in (weights, *files):
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
    if data:
        paths = list_pictures(data, "val")
        chosen = paths[:: -(-len(paths) // COMPARED)]
        pictures = [fitted(read_picture(path), read_info(weights).image_size) for path in chosen]
        print(agreement(load_detector(weights, "torch"), ExportedDetector(out), pictures))


if __name__ == "__main__":
    main()
