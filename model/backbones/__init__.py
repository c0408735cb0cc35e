"""Backbones: networks that turn a picture into features at strides 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Callable

from model.backbones.base import Backbone
from model.backbones.efficientnet_lite import EfficientNetLite0

BACKBONES: dict[str, Callable[[], Backbone]] = {"efficientnet_lite0": EfficientNetLite0}


def build_backbone(name: str) -> Backbone:
    """Build a backbone with random weights; ValueError names those that exist."""
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; choose one of {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]()
