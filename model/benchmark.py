"""Time every step and runtime on this machine, side by side.

    python -m model.benchmark [--weights W] [--image-size 320 416] [--json OUT]
    python -m model.benchmark --lane
    python -m model.benchmark --backbone darknet53 --neck full
    python -m model.benchmark --peers yolox_nano.onnx

--lane runs the whole checkout too, from camera to browser; it needs requirements-dev.txt.
--backbone and --neck time a network of another kind, untrained: its speed does not depend on
training. --peers times the networks of others beside the own one.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from model.anchors import coco_anchors
from model.backbones import BACKBONES, build_backbone
from model.boxes import Letterbox
from model.cli import existing_file, positive, refusing
from model.data.dataset import DataError
from model.lane_speed import lane_table, time_lane
from model.runtimes import has_vnni, openvino_fits
from model.runtimes.base import BaseDetector, load_fused
from model.runtimes.torch_runtime import TorchDetector
from model.weights import (
    Int8,
    WeightsInfo,
    load_weights,
    read_info,
    read_int8,
    save_weights,
    write_int8,
)
from model.yolov3 import NECKS, YoloV3

DEFAULT_WEIGHTS = Path("weights/default.safetensors")
NETWORK = "network"


@dataclass(frozen=True)
class Timing:
    """One measured step: median and 95th percentile of one call, milliseconds."""

    step: str
    runtime: str  # with what it computes in
    image_size: int
    median_ms: float
    p95_ms: float

    @property
    def fps(self) -> float:
        """Calls a second at the median."""
        return 1000 / self.median_ms


def time_calls(call: Callable[[], object], rounds: int, warmup: int = 5) -> tuple[float, float]:
    """Median and 95th percentile of a call, ms, after a warm-up."""
    for _ in range(warmup):
        call()
    spent = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        spent.append((time.perf_counter() - start) * 1000)
    return float(np.median(spent)), float(np.percentile(spent, 95))


def machine_peaks(threads: int, rounds: int = 20, side: int = 1024) -> dict[str, float]:
    """What so many threads can do at most, by what they compute in: matrix products, GOP/s."""
    torch.set_num_threads(threads)
    a, b = torch.rand(side, side), torch.rand(side, side)
    calls: dict[str, Callable[[], object]] = {"float32": lambda: a @ b}
    if openvino_fits() and has_vnni():
        from model.runtimes.openvino_speed import int8_product

        calls["int8"] = int8_product(side, threads).infer
    return {name: 2 * side**3 / time_calls(call, rounds)[0] / 1e6 for name, call in calls.items()}


def sample_picture() -> np.ndarray:
    """A 720p picture with structure (JPEG and resizing depend on it), the same every time."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (18, 32, 3), np.uint8)
    return cv2.resize(blocks, (1280, 720), interpolation=cv2.INTER_CUBIC)


def time_detector(detector: BaseDetector, image: np.ndarray, rounds: int) -> list[Timing]:
    """The steps of one runtime: network, decode and NMS, and all of it, letterbox included.

    The network on a square, by which networks are compared, and on what it gets of the picture. Of
    a detector for several threads all of it only.
    """
    if detector.at_once > 1:
        return [time_at_once(detector, image, rounds)]
    square = Letterbox.of(image, detector.image_size).apply(image)
    fit = Letterbox.of(image, detector.image_size, tight=True)
    fitted, (width, height) = fit.apply(image), fit.outer
    maps = detector.raw_maps(fitted)

    def row(step: str, call: Callable[[], object]) -> Timing:
        return Timing(step, in_use(detector), detector.image_size, *time_calls(call, rounds))

    return [
        row(NETWORK, lambda: detector.raw_maps(square)),
        row(f"{NETWORK} {width}×{height}", lambda: detector.raw_maps(fitted)),
        row("decode + NMS", lambda: detector.find(maps, fit, detector.confidence)),
        row("detect, all", lambda: detector.detect(image)),
    ]


def time_at_once(detector: BaseDetector, image: np.ndarray, rounds: int) -> Timing:
    """All of it on as many threads as the detector is for, as the time between two answers."""
    n = detector.at_once
    with ThreadPoolExecutor(n) as pool:
        spent_ms = time_calls(lambda: list(pool.map(detector.detect, [image] * n)), rounds)
    each_ms = (ms / n for ms in spent_ms)
    return Timing(f"detect, {n} at once", in_use(detector), detector.image_size, *each_ms)


def in_use(detector: BaseDetector) -> str:
    """The runtime, with what it computes in."""
    return f"{detector.runtime} {detector.precision}"


def frame_share(size: int) -> float:
    """The part of a square's multiply-adds that a 720p picture takes: they go with the area."""
    width, height = Letterbox(1280, 720, size, tight=True).outer
    return width * height / size**2


def time_shared(image: np.ndarray, size: int, rounds: int) -> list[Timing]:
    """The steps that no runtime changes, and what the letterbox would take as a part of a graph."""
    fit = Letterbox.of(image, size, tight=True)
    small = cv2.resize(image, (960, 540), interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]

    def row(step: str, runtime: str, call: Callable[[], object]) -> Timing:
        return Timing(step, runtime, size, *time_calls(call, rounds))

    rows = [row("letterbox 720p", "opencv", lambda: fit.apply(image))]
    if openvino_fits():
        from model.runtimes.openvino_speed import letterbox_graph

        graph = letterbox_graph(fit)
        rows.append(row("letterbox 720p", "openvino", lambda: graph.infer([image[None]], True)))
    return [*rows, row("JPEG 960×540", "opencv", lambda: cv2.imencode(".jpg", small, quality))]


def time_peer(path: Path, threads: int | None, rounds: int) -> list[Timing]:
    """Somebody else's network on the same runtime, the step named after its file.

    path: ONNX or OpenVINO, one input of a fixed shape. Raises DataError.
    """
    if not openvino_fits():
        raise DataError("--peers needs OpenVINO, which is for x86 (requirements.txt)")
    from model.runtimes.openvino_speed import peers

    try:
        requests = peers(path, threads)
    except RuntimeError as e:
        reason = str(e).strip().splitlines()[-1]
        raise DataError(f"{path}: no network with one input of a fixed shape ({reason})") from None
    return [
        Timing(
            path.stem,
            f"openvino {precision}",
            max(request.get_input_tensor().shape),
            *time_calls(request.infer, rounds),
        )
        for precision, request in requests.items()
    ]


def wanted(info: WeightsInfo, backbone: str, neck: str, size: int) -> WeightsInfo:
    """The description of the network to time, where it is not the weights' own."""
    info = info.at_size(size)
    if (backbone, neck) == (info.backbone, info.neck):
        return info
    trunk = build_backbone(backbone)
    anchors = coco_anchors(len(NECKS[neck][0]))
    return replace(
        info,
        backbone=backbone,
        neck=neck,
        anchors=tuple(tuple(map(tuple, scale)) for scale in anchors.tolist()),
        mean=trunk.mean,
        std=trunk.std,
    )


def weights_of(info: WeightsInfo, weights: Path, folder: Path) -> Path:
    """The given weights, or those of the described network in a file of their own."""
    own = read_info(weights)
    if info == own:
        return weights
    path = folder / f"{info.image_size}.safetensors"
    if (info.backbone, info.neck) == (own.backbone, own.neck):
        save_weights(path, load_weights(weights)[0], info)
        write_int8(path, read_int8(weights))
        return path
    save_weights(path, YoloV3(len(info.classes), info.backbone, info.neck), info)
    if openvino_fits():
        write_int8(path, some_int8(path))
    return path


def some_int8(weights: Path) -> Int8:
    """Numbers with which a network's speed in int8 can be told, though not its answers."""
    from model.runtimes.int8 import quantise
    from model.runtimes.openvino_runtime import graph_of

    model, info = load_fused(weights)
    shape = 1, 3, info.image_size, info.image_size
    noise = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    return quantise(graph_of(model, shape), list(noise))


def detectors(weights: Path, threads: int | None) -> Iterator[BaseDetector]:
    """The runtimes that this machine has, one after the other."""
    yield TorchDetector(weights, threads)
    if openvino_fits():
        from model.runtimes.openvino_runtime import OpenVinoDetector

        yield OpenVinoDetector(weights, threads, int8=False)
        if read_int8(weights) and has_vnni():
            yield OpenVinoDetector(weights, threads)
        yield OpenVinoDetector(weights, threads, at_once=2)  # as the checkout's lane has it


def network_size(info: WeightsInfo) -> tuple[float, float]:
    """Millions of parameters, and billions of the convolutions' multiply-adds for one square."""
    multiplied = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal multiplied
        assert isinstance(layer, nn.Conv2d)
        multiplied += output.numel() * layer.weight[0].numel()

    with torch.device("meta"):  # shapes only
        model = YoloV3(len(info.classes), info.backbone, info.neck).eval()
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(count)
        model(torch.zeros(1, 3, info.image_size, info.image_size))
    return sum(p.numel() for p in model.parameters()) / 1e6, multiplied / 1e9


def as_table(
    timings: list[Timing],
    peers: list[Timing],
    peaks: Mapping[str, float],
    gmac: Mapping[int, float],
    threads: int,
) -> str:
    """Aligned text, with the own networks' share of the peak of what they compute in.

    peaks: billions of operations a second on so many threads. gmac: by input size, for one square.
    """
    told = ", ".join(f"{peak:.0f} GOP/s in {precision}" for precision, peak in peaks.items())
    lines = [f"peak of this machine (matrix products, threads: {threads}): {told}", ""]
    lines.append(
        f"{'step':<18}{'runtime':<18}{'size':>5}{'median ms':>11}{'p95 ms':>9}{'FPS':>8}"
        f"{'of peak':>9}"
    )
    for place, t in enumerate([*timings, *peers]):
        peak = peaks.get(t.runtime.split()[-1], math.inf)
        own = t.step == NETWORK and place < len(timings)
        share = f"{t.fps * 2 * gmac[t.image_size] / peak:.0%}" if own else ""
        lines.append(
            f"{t.step:<18}{t.runtime:<18}{t.image_size:>5}{t.median_ms:>11.2f}{t.p95_ms:>9.2f}"
            f"{t.fps:>8.1f}{share:>9}".rstrip()
        )
    return "\n".join(lines)


def ratios(timings: list[Timing], peers: list[Timing]) -> Iterator[str]:
    """A line for each peer and each own network that computes in the same: their times' ratio."""
    for peer in peers:
        for own in timings:
            if (own.step, own.runtime) == (NETWORK, peer.runtime):
                ratio = own.median_ms / peer.median_ms
                yield f"{NETWORK} {own.image_size} / {peer.step}, {own.runtime}: {ratio:.2f}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m model.benchmark", description=__doc__.split("\n")[0]
    )
    p.add_argument("--weights", type=existing_file, default=DEFAULT_WEIGHTS)
    p.add_argument("--backbone", choices=sorted(BACKBONES), help="time this one, untrained")
    p.add_argument("--neck", choices=sorted(NECKS), help="time this one, untrained")
    p.add_argument("--image-size", type=int, nargs="+", help="input sizes (default: the weights')")
    p.add_argument("--threads", type=positive, help="CPU threads (default: the runtime's choice)")
    p.add_argument("--rounds", type=int, default=100, help="timed calls a step (default 100)")
    p.add_argument(
        "--peers",
        type=existing_file,
        nargs="+",
        default=[],
        metavar="FILE",
        help="time these networks too: ONNX or OpenVINO (.xml)",
    )
    p.add_argument(
        "--lane",
        type=float,
        nargs="?",
        const=1.0,
        metavar="MINUTES",
        help="run the whole checkout too, on seven scenes, so long each (default 1)",
    )
    p.add_argument("--json", type=Path, help="write the figures here too")
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    info = read_info(args.weights)
    sizes = args.image_size or [info.image_size]
    if any(size <= 0 or size % 32 for size in sizes) or args.rounds < 1:
        raise DataError("--image-size takes multiples of 32, --rounds at least 1")
    check_lane(args, sizes)
    if args.json and not args.json.parent.is_dir():
        raise DataError(f"--json {args.json}: no such folder")
    all_threads = torch.get_num_threads()
    threads = args.threads or all_threads
    peers = [t for path in args.peers for t in time_peer(path, args.threads, args.rounds)]
    image = sample_picture()
    timings: list[Timing] = []
    gmac: dict[int, float] = {}
    for size in sizes:
        described = wanted(info, args.backbone or info.backbone, args.neck or info.neck, size)
        millions, gmac[size] = network_size(described)
        kind = f"{described.backbone}, {described.neck} neck, {size}"
        frame = f"{gmac[size] * frame_share(size):.2f} of them for 720p"
        print(f"{kind}: {millions:.1f} M parameters, {gmac[size]:.2f} GMAC, {frame}", flush=True)
        timings += time_shared(image, size, args.rounds)
        with tempfile.TemporaryDirectory() as folder:
            path = weights_of(described, args.weights, Path(folder))
            for detector in detectors(path, args.threads):
                timings += time_detector(detector, image, args.rounds)
    peaks = machine_peaks(threads)
    print(as_table(timings, peers, peaks, gmac, threads))
    for line in ratios(timings, peers):
        print(line)
    figures = {"peak_gops": peaks, "timings": [vars_of(t) for t in [*timings, *peers]]}
    if args.lane:
        lane = list(time_lane(args.weights, args.lane, sizes[0]))
        if threads != all_threads:
            peaks = machine_peaks(all_threads)
        used = "int8" if "int8" in peaks and read_int8(args.weights) else "float32"
        frame_gmac = gmac[sizes[0]] * frame_share(sizes[0])
        print(f"\n{lane_table(lane, peaks[used], frame_gmac)}")
        figures["lane"] = [asdict(row) for row in lane]
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


def check_lane(args: argparse.Namespace, sizes: Sequence[int]) -> None:
    """Refuse a lane that cannot be run as the rest is; raises DataError."""
    if args.lane is None:
        return
    if not 0 < args.lane < math.inf:
        raise DataError("--lane takes minutes above 0")
    if args.backbone or args.neck or len(sizes) > 1:
        raise DataError("--lane runs the weights at one size: no --backbone, --neck, other sizes")


def vars_of(timing: Timing) -> dict:
    """A timing as JSON."""
    names = ("step", "runtime", "image_size", "median_ms", "p95_ms", "fps")
    return {name: getattr(timing, name) for name in names}


if __name__ == "__main__":
    main()
