"""The weights file: safetensors with everything a detector needs to know in its metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from model.yolov3 import YoloV3

FORMAT = "fruit-checkout-yolov3/1"


class WeightsError(Exception):
    """A file that is not a weights file of this library; the message says what to do."""


@dataclass(frozen=True)
class WeightsInfo:
    """What a weights file says of itself.

    names: classes in order of their ids. anchors: (3, 3, 2) fractions of the input. image_size:
    side of the square input, a multiple of 32, pixels. mean, std: RGB normalisation in [0, 1].
    confidence: the threshold fixed before reporting, in (0, 1). data_hash: SHA-256 of the names
    and sizes of the training files. metrics: what was measured on the validation split.
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

    @property
    def anchor_array(self) -> np.ndarray:
        """The anchors as float32 (3, 3, 2)."""
        return np.array(self.anchors, np.float32)


def save_weights(path: Path, model: YoloV3, info: WeightsInfo, half: bool = False) -> None:
    """Write the network and its description; ``half`` stores float16 (half the size)."""
    tensors = {
        name: (t.half() if half and t.is_floating_point() else t).contiguous().cpu()
        for name, t in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
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
        raw["names"] = tuple(raw["names"])
        raw["anchors"] = tuple(tuple(tuple(size) for size in scale) for scale in raw["anchors"])
        raw["mean"], raw["std"] = tuple(raw["mean"]), tuple(raw["std"])
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
    try:
        model = YoloV3(len(info.names), info.backbone, info.neck)
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        missing, unexpected = model.load_state_dict(state, strict=False)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: does not fit its own description ({error})") from error
    lost = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lost or unexpected:
        raise WeightsError(f"{path}: tensors missing {lost[:3]} or unknown {list(unexpected)[:3]}")
    return model.eval(), info
