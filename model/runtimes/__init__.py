"""Runtimes: the same detector on torch or OpenVINO, with the same answers."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.runtimes.base import BaseDetector

RUNTIMES = ("auto", "openvino", "torch")


def load(
    weights: Path,
    runtime: str = "auto",
    threads: int | None = None,
    at_once: int = 1,
    image_size: int | None = None,
    int8: bool | None = None,
) -> BaseDetector:
    """Load a detector; see model.detector.load_detector.

    int8: whether OpenVINO rounds to int8 where the file says how; None: where it saves time.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"unknown runtime {runtime!r}; choose one of {', '.join(RUNTIMES)}")
    if runtime == "openvino" or (runtime == "auto" and openvino_fits()):
        from model.runtimes.openvino_runtime import OpenVinoDetector

        return OpenVinoDetector(weights, threads, at_once, image_size, int8)
    from model.runtimes.torch_runtime import TorchDetector

    return TorchDetector(weights, threads, image_size)


def openvino_fits() -> bool:
    """Whether OpenVINO is installed and the CPU is one it is best at (Intel or AMD, 64 bit)."""
    x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return x86 and importlib.util.find_spec("openvino") is not None


def has_vnni() -> bool:
    """Whether the CPU adds products of int8 up in 32 bits.

    Without VNNI it adds pairs of them in 16, and what does not fit there is cut off. Source:
    oneDNN, "Nuances of int8 computations".
    """
    import torch

    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_vnni") or able.get("avx_vnni"))
