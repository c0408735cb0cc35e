"""Original Darknet weight files: read and written, and made into a weights file of this library.

    python -m model.darknet FILE --names NAMES.txt --out W.safetensors [--backbone …] [--neck …]

A file holds a header and then little-endian float32, for each convolution in the order of the
configuration: BatchNorm's bias, scale, mean and variance, or else the convolution's own bias; then
the weights (out, in, height, width). The header is int32 major, minor and revision, then the number
of pictures seen in training: int64 from version 0.2 on (major · 10 + minor ≥ 2), int32 before.
Source: Redmon's Darknet, ``load_weights_upto`` and ``load_convolutional_weights`` in parser.c.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model.anchors import coco_anchors
from model.backbones.csp_darknet53 import CspDarknet53
from model.backbones.darknet53 import Darknet53
from model.backbones.darknet_tiny import DarknetTiny
from model.cli import SettingsError, existing_file, positive, refusing
from model.weights import WeightsError, WeightsInfo, save_weights
from model.yolov3 import ANCHORS_PER_SCALE, NECKS, YoloV3

WHOLE = {"darknet53": "full", "csp_darknet53": "full", "darknet_tiny": "tiny"}  # the usual neck
COCO_SIZE = 416  # pixels, of the input that Darknet's anchors are given for
# the published yolov3-tiny.weights were trained with the masks 1,2,3 and 3,4,5 of their six sizes
PUBLISHED_TINY = "23,27, 37,58, 81,82, 81,82, 135,169, 344,319"
FOREIGN = 1000  # Darknet marks files of another layout by versions from here on


@dataclass(frozen=True)
class DarknetHeader:
    """The version that wrote a file, and how many pictures its training had seen."""

    major: int
    minor: int
    revision: int
    seen: int = 0

    @property
    def layout(self) -> str:
        """The header's fields, as ``struct`` names them."""
        return "<iiiq" if self.major * 10 + self.minor >= 2 else "<iiii"


VERSION = DarknetHeader(0, 2, 0)  # what Darknet has written since YOLOv3


def is_darknet_file(path: Path) -> bool:
    """Whether a file begins like one of Darknet's; False for one that does not exist."""
    try:
        read_header(path)
    except WeightsError:
        return False
    return True


def read_header(path: Path) -> DarknetHeader:
    """Read the header; WeightsError when the file does not begin with one."""
    try:
        with path.open("rb") as file:
            start = file.read(20)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(start) >= 16:
        version = struct.unpack_from("<iii", start)
        layout = DarknetHeader(*version).layout
        plausible = all(0 <= number < FOREIGN for number in version)
        if plausible and len(start) >= struct.calcsize(layout):
            return DarknetHeader(*struct.unpack_from(layout, start))
    raise WeightsError(f"{path}: not a Darknet weights file; check the path")


def read_darknet(path: Path) -> tuple[DarknetHeader, np.ndarray]:
    """Read a file's header and its numbers, float32 (N,); WeightsError."""
    header = read_header(path)
    content = path.read_bytes()[struct.calcsize(header.layout) :]
    if len(content) % 4:
        raise WeightsError(f"{path}: ends within a number; it is truncated, fetch it again")
    return header, np.frombuffer(content, "<f4")


def slots(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a network in the order of its file, each with what it is."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    for layer, following in pairwise([*layers, None]):
        if not isinstance(layer, nn.Conv2d):
            continue
        if isinstance(following, nn.BatchNorm2d):
            norm = following.bias, following.weight, following.running_mean, following.running_var
            yield from zip(("bias", "scale", "mean", "variance"), norm, strict=True)
        elif layer.bias is not None:
            yield "bias", layer.bias
        yield "weights", layer.weight


def size_of(network: nn.Module) -> int:
    """How many numbers a network has in its file."""
    return sum(tensor.numel() for _, tensor in slots(network))


def load_darknet(model: YoloV3, path: Path) -> DarknetHeader:
    """Fill a whole network from a file such as ``yolov3.weights`` or ``yolov3-tiny.weights``.

    WeightsError when the file is too short, too long, damaged or of another network.
    """
    header, numbers = read_darknet(path)
    if len(numbers) != size_of(model):
        raise WeightsError(f"{path}: {_misfit(model, len(numbers))}")
    fill(model, numbers, path)
    return header


def load_darknet_trunk(model: YoloV3, path: Path) -> DarknetHeader:
    """Fill the backbone from a trunk such as ``darknet53.conv.74``, or from a whole file's.

    What follows the backbone's numbers in the file is left. WeightsError as above, and when the
    backbone is not one of Darknet's.
    """
    if not isinstance(model.backbone, (CspDarknet53, Darknet53, DarknetTiny)):
        raise WeightsError(f"{path}: is for a Darknet backbone; choose --backbone darknet53")
    header, numbers = read_darknet(path)
    needed = size_of(model.backbone)
    if len(numbers) < needed:
        raise WeightsError(
            f"{path}: holds {len(numbers):,} numbers, the backbone has {needed:,}; it is "
            "truncated or of another --backbone"
        )
    fill(model.backbone, numbers[:needed], path)
    return header


def _misfit(model: YoloV3, found: int) -> str:
    """Why a file of so many numbers is not this network's."""
    needed = size_of(model)
    heads = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    classes = heads[0].out_channels // ANCHORS_PER_SCALE - 5
    more, rest = divmod(found - needed, ANCHORS_PER_SCALE * sum(h.in_channels + 1 for h in heads))
    if not rest and classes + more > 0:
        return f"is of a network with {classes + more} classes, not {classes}; list them in --names"
    return (
        f"holds {found:,} numbers, this network has {needed:,}; it is truncated or of another "
        "--backbone or --neck"
    )


def fill(network: nn.Module, numbers: np.ndarray, path: Path) -> None:
    """Copy a file's numbers into a network, once all have been seen to be possible ones."""
    tensors = list(slots(network))
    ends = np.cumsum([tensor.numel() for _, tensor in tensors])
    parts = np.split(numbers, ends[:-1])
    for (what, _), part in zip(tensors, parts, strict=True):
        impossible = part.min() < 0 if what == "variance" else what == "weights" and not part.any()
        if impossible or not np.isfinite(part).all():
            raise WeightsError(
                f"{path}: its numbers are not those of this network; the file is damaged or of "
                "another --backbone or --neck"
            )
    with torch.no_grad():
        for (_, tensor), part in zip(tensors, parts, strict=True):
            tensor.copy_(torch.from_numpy(part.astype(np.float32)).view_as(tensor))


def write_darknet(path: Path, network: nn.Module, header: DarknetHeader = VERSION) -> None:
    """Write a network, or its backbone alone, in Darknet's format."""
    fields = (header.major, header.minor, header.revision, header.seen)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(struct.pack(header.layout, *fields))
        for _, tensor in slots(network):
            file.write(tensor.detach().cpu().numpy().astype("<f4").tobytes())
    partial.replace(path)  # a reader never sees half a file


def read_names(path: Path) -> tuple[str, ...]:
    """Class names, one a line, as in Darknet's ``.names`` files; SettingsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not a text file of names, one a line") from None
    return tuple(line.strip() for line in lines if line.strip())


def read_anchors(line: str, scales: int, image_size: int) -> np.ndarray:
    """A configuration's anchors line, pixels, as (scales, 3, 2) fractions; SettingsError."""
    try:
        pixels = [float(number) for number in line.split(",")]
        return np.array(pixels, np.float32).reshape(scales, ANCHORS_PER_SCALE, 2) / image_size
    except ValueError:
        raise SettingsError(
            f"--anchors {line!r}: needs {scales * ANCHORS_PER_SCALE} pairs of pixels, w,h, w,h, …"
        ) from None


def anchors_of(args: argparse.Namespace, scales: int) -> np.ndarray:
    """The anchors asked for; by default those of the published files, in pixels as Darknet's."""
    if args.anchors or scales == 2:
        return read_anchors(args.anchors or PUBLISHED_TINY, scales, args.image_size)
    return coco_anchors() * (COCO_SIZE / args.image_size)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m model.darknet",
        description="Make a weights file of this library from a whole Darknet file.",
    )
    p.add_argument("file", type=existing_file, help="such as yolov3.weights")
    p.add_argument(
        "--names",
        type=existing_file,
        required=True,
        help="text, a class a line, such as coco.names",
    )
    p.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    p.add_argument("--backbone", choices=sorted(WHOLE), default="darknet53")
    p.add_argument("--neck", choices=sorted(NECKS), help="default: that of the published file")
    p.add_argument("--image-size", type=positive, default=COCO_SIZE, help=f"default {COCO_SIZE}")
    p.add_argument("--confidence", type=float, default=0.5, help="in (0, 1), default 0.5")
    p.add_argument(
        "--anchors",
        help="sizes of the finest scale first, in pixels, as the configuration has them "
        "(default: those of the published files)",
    )
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    neck = args.neck or WHOLE[args.backbone]
    names = read_names(args.names)
    model = YoloV3(len(names), args.backbone, neck)
    anchors = anchors_of(args, model.scales)
    try:
        info = WeightsInfo(
            names=names,
            anchors=tuple(tuple(map(tuple, scale)) for scale in anchors.tolist()),
            image_size=args.image_size,
            backbone=args.backbone,
            neck=neck,
            mean=model.backbone.mean,
            std=model.backbone.std,
            confidence=args.confidence,
            class_score="sigmoid",  # Darknet's classes do not exclude each other
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None
    header = load_darknet(model, args.file)
    save_weights(args.out, model, info)
    print(f"{args.out}: {len(names)} classes, trained on {header.seen:,} pictures")


if __name__ == "__main__":
    main()
