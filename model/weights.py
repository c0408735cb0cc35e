"""The weights file: safetensors with everything a detector needs to know in its metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.backbones import BACKBONES
from model.calibration import Calibration
from model.decode import CLASS_SCORES
from model.yolov3 import ANCHORS_PER_SCALE, NECKS, YoloV3

FORMAT = "fruit-checkout-yolov3/1"
LEAST_FAN_IN = 32  # weights of an output channel from which 8 bits do
SCALE = ".scale"  # what follows a tensor's name in the name of its scales
INT8 = "int8/"  # what begins the names of the numbers for computing in int8

Int8 = dict[str, np.ndarray]  # what model.runtimes.int8 puts into a graph, by its place there


class WeightsError(Exception):
    """A file that is not a weights file of this library; the message says what to do."""


@dataclass(frozen=True)
class WeightsInfo:
    """What a weights file says of itself.

    names: classes in order of their ids. anchors: (scales, 3, 2) fractions of the input, finest
    scale first. image_size: side of the square input, a multiple of 32, pixels. mean, std: RGB
    normalisation in [0, 1]. confidence: the threshold fixed before reporting, in (0, 1). data_hash:
    SHA-256 of the names and sizes of the training files. metrics: what was measured on the
    validation split. class_score: "softmax" where classes exclude each other, "sigmoid" where each
    was trained on its own. calibration: what makes a score a probability; None leaves it as it is.
    others: classes after the names that are known only so as not to be taken for one of them, and
    never told. ValueError when it describes no detector.
    """

    names: tuple[str, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    image_size: int
    backbone: str
    neck: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    confidence: float = 0.5
    data_hash: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    class_score: str = "softmax"
    calibration: Calibration | None = None
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES or self.neck not in NECKS:
            raise ValueError(f"unknown backbone {self.backbone!r} or neck {self.neck!r}")
        if self.class_score not in CLASS_SCORES:
            raise ValueError(f"unknown class score {self.class_score!r}")
        if not self.names or len(set(self.classes)) < len(self.classes):
            raise ValueError("it needs class names, none of them twice")
        if self.image_size <= 0 or self.image_size % 32:
            raise ValueError(f"the image size must be a multiple of 32, not {self.image_size}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"the confidence must lie between 0 and 1, not {self.confidence}")
        shape = len(NECKS[self.neck][0]), ANCHORS_PER_SCALE, 2
        if self.anchor_array.shape != shape or not _positive(self.anchor_array):
            raise ValueError(f"the {self.neck} neck needs {shape[0]} scales of 3 anchors over 0")
        if self.calibration and len(self.calibration.slopes) != len(self.names):
            raise ValueError("its calibration needs a line for each class")
        if len(self.mean) != 3 or len(self.std) != 3 or not _positive(np.array(self.std)):
            raise ValueError("mean and std need three numbers, std over 0")

    @property
    def classes(self) -> tuple[str, ...]:
        """All that the network tells apart, in order of its outputs."""
        return self.names + self.others

    @property
    def anchor_array(self) -> np.ndarray:
        """The anchors as float32 (scales, 3, 2)."""
        return np.array(self.anchors, np.float32)

    def at_size(self, image_size: int) -> WeightsInfo:
        """The same network on another input: fruit is as many pixels large as it was trained on."""
        scale = self.image_size / image_size if image_size > 0 else 1.0
        anchors = tuple(tuple((w * scale, h * scale) for w, h in own) for own in self.anchors)
        return replace(self, image_size=image_size, anchors=anchors)


def _positive(numbers: np.ndarray) -> bool:
    return bool(np.isfinite(numbers).all() and (numbers > 0).all())


def save_weights(path: Path, model: YoloV3, info: WeightsInfo, bits: int = 32) -> None:
    """Write the network and its description.

    bits: of the convolutions' weights: 32, 16 (float16), or 8 (int8 with a scale for each output
    channel, but float16 for depthwise convolutions and the linear ones at the end, which are small
    and suffer most). Networks compute in float32 all the same. BatchNorm's few numbers keep their
    precision: a variance can leave what float16 can hold.
    """
    tensors: dict[str, Tensor] = {}
    state = model.state_dict()
    for name, t in state.items():
        if not name.endswith("num_batches_tracked"):
            t = t.detach().contiguous().cpu()
            linear = f"{name.removesuffix('weight')}bias" in state
            least = 16 if linear or t[0].numel() < LEAST_FAN_IN else 8
            tensors |= {name: t} if t.ndim == 1 else _stored(name, t, max(bits, least))
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, tensors, info)


def describe(path: Path, info: WeightsInfo) -> None:
    """Give a weights file another description; its tensors stay as they are."""
    _write(path, _all_tensors(path), info)


def read_int8(path: Path) -> Int8:
    """What a file says of computing in int8; empty when it says nothing."""
    found = {k: t.numpy() for k, t in _all_tensors(path).items() if k.startswith(INT8)}
    return {name.removeprefix(INT8): numbers for name, numbers in found.items()}


def write_int8(path: Path, int8: Int8) -> None:
    """Tell a weights file how to compute in int8; an empty one takes away what it said."""
    tensors = {name: t for name, t in _all_tensors(path).items() if not name.startswith(INT8)}
    added = {f"{INT8}{place}": torch.from_numpy(numbers) for place, numbers in int8.items()}
    _write(path, tensors | added, read_info(path))


def _all_tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _stored(name: str, t: Tensor, bits: int) -> dict[str, Tensor]:
    """A convolution's weights (C, …) in so many bits, under the names that a file gives them."""
    if bits == 8:
        scale = t.flatten(1).abs().amax(1).clamp(min=1e-12) / 127  # (C,)
        whole = (t / scale.view(-1, *[1] * (t.ndim - 1))).round().to(torch.int8)
        return {name: whole, f"{name}{SCALE}": scale}
    return {name: t.half() if bits == 16 else t}


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """A network's tensors as float32, whatever they are stored in."""
    tensors = _all_tensors(path)
    stored = {name: t.float() for name, t in tensors.items() if not name.startswith(INT8)}
    scales = {name: stored.pop(name) for name in list(stored) if name.endswith(SCALE)}
    for name, scale in scales.items():
        t = stored.get(name.removesuffix(SCALE), scale)
        stored[name.removesuffix(SCALE)] = t * scale.view(-1, *[1] * (t.ndim - 1))
    return stored


def _write(path: Path, tensors: dict[str, Tensor], info: WeightsInfo) -> None:
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"format": FORMAT, "info": json.dumps(asdict(info))})
    partial.chmod(0o644)  # the service may run as another user
    partial.replace(path)  # a reader never sees half a file


def read_info(path: Path) -> WeightsInfo:
    """Read a file's description without its tensors; WeightsError when it is not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise WeightsError(
                f"{path}: not a weights file of this library; train one or use weights/"
            )
        raw = json.loads(metadata["info"])
        raw["names"], raw["others"] = tuple(raw["names"]), tuple(raw.get("others", ()))
        raw["anchors"] = tuple(tuple(tuple(size) for size in scale) for scale in raw["anchors"])
        raw["mean"], raw["std"] = tuple(raw["mean"]), tuple(raw["std"])
        if raw.get("calibration"):
            lines = raw["calibration"]
            raw["calibration"] = Calibration(tuple(lines["slopes"]), tuple(lines["shifts"]))
        return WeightsInfo(**raw)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: cannot be read as safetensors ({error}); check the path"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: its description is damaged ({error}); fetch the file again"
        ) from error


def load_weights(path: Path) -> tuple[YoloV3, WeightsInfo]:
    """Build the network a file describes and fill it, float32, in eval mode; WeightsError."""
    info = read_info(path)
    model = YoloV3(len(info.classes), info.backbone, info.neck)
    try:
        state = _read_tensors(path)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{path}: cannot be read to its end ({error})") from error
    wrong = _wrong_tensors(model, state)
    if wrong:
        raise WeightsError(f"{path}: does not fit its own description; {wrong}")
    model.load_state_dict(state, strict=False)  # only BatchNorm's batch counters are not stored
    return model.eval(), info


def _wrong_tensors(model: YoloV3, state: dict[str, Tensor]) -> str:
    """What keeps tensors from being this network's, with the first three names; "" if nothing."""
    expected = {
        k: t for k, t in model.state_dict().items() if not k.endswith("num_batches_tracked")
    }
    shared = expected.keys() & state.keys()
    found = {
        "missing": expected.keys() - state.keys(),
        "unknown": state.keys() - expected.keys(),
        "of another shape": {k for k in shared if state[k].shape != expected[k].shape},
        "with numbers that are not finite": {k for k in shared if not state[k].isfinite().all()},
    }
    said = (
        f"tensors {what}: {', '.join(sorted(names)[:3])}" for what, names in found.items() if names
    )
    return "; ".join(said)
