"""Backbones: networks that turn a picture into features at strides 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from model.backbones.base import Backbone
from model.backbones.csp_darknet53 import CspDarknet53
from model.backbones.darknet53 import Darknet53
from model.backbones.darknet_tiny import DarknetTiny
from model.backbones.efficientnet_lite import EfficientNetLite

BACKBONES: dict[str, Callable[[], Backbone]] = {
    "csp_darknet53": CspDarknet53,
    "darknet53": Darknet53,
    "darknet_tiny": DarknetTiny,
    "efficientnet_lite0": partial(EfficientNetLite, 0),
    "efficientnet_lite1": partial(EfficientNetLite, 1),
    "efficientnet_lite2": partial(EfficientNetLite, 2),
}


def build_backbone(name: str) -> Backbone:
    """Build a backbone with random weights; ValueError names those that exist."""
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; choose one of {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]()
