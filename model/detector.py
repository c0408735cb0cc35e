"""All that the rest of the world needs: ``Detector``, ``Detection``, ``load_detector``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Detection:
    """One fruit found in one picture.

    key: class name as stored in the weights file.
    score: objectness × class probability, in [0, 1].
    box_xyxy: left, top, right, bottom in pixels of the picture, clipped to it.
    """

    key: str
    score: float
    box_xyxy: tuple[float, float, float, float]


class Detector(Protocol):
    """Finds fruit in pictures; safe to call from one thread at a time.

    One that has an attribute ``at_once``, an int, is safe to call from so many.
    """

    names: tuple[str, ...]
    confidence: float  # the threshold stored in the weights file, in [0, 1]
    image_size: int  # side of the network's input for a square picture, pixels
    runtime: str  # "torch" or "openvino"

    @property
    def calibrated(self) -> bool:
        """Whether a score is the chance that the box and its name are right."""
        ...

    def detect(self, image: np.ndarray, confidence: float | None = None) -> list[Detection]:
        """Find the fruit in one picture.

        image: uint8 (H, W, 3) BGR. Returns detections by falling score, after class-aware NMS.
        confidence: the lowest score; one fruit may then be returned under several names. None: what
        a basket is made of, each fruit once under its best name, from ``self.confidence`` on.
        Empty list when there is none. Raises ValueError on another shape or type.
        """
        ...


def load_detector(
    weights: Path,
    runtime: str = "auto",
    threads: int | None = None,
    at_once: int = 1,
    image_size: int | None = None,
) -> Detector:
    """Load a detector from a safetensors file.

    runtime: "openvino", "torch", or "auto" (OpenVINO on x86 where it is installed, else torch).
    threads: CPU threads of the network, default the runtime's own choice. at_once: the most threads
    that will call ``detect`` at the same time; its attribute of this name says how many may, which
    are fewer where more pictures a second would not come of it. image_size: side of the
    input for a square picture, a multiple of 32, default what the weights were trained on; an
    oblong one gets an input of at most as many pixels. A smaller one is faster.
    Raises model.weights.WeightsError on a file that is not one of ours, ValueError on an unknown
    runtime or another size, ImportError when the named runtime is not installed.
    """
    from model.runtimes import load

    return load(weights, runtime, threads, at_once, image_size)
