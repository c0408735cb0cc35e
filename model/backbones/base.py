"""What every backbone offers."""

from __future__ import annotations

from torch import nn


class Backbone(nn.Module):
    """Turns a normalised picture (B, 3, S, S) into features at strides 8, 16 and 32.

    channels: of the three features. mean, std: the RGB normalisation in [0, 1] it was made for.
    stages: its parts from the picture upwards, for freezing them in turn.
    """

    channels: tuple[int, int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stages: nn.ModuleList

    def load_imagenet(self) -> None:
        """Load ImageNet weights; ImportError when the package that carries them is missing."""
        raise ImportError(f"there are no ImageNet weights for {type(self).__name__}")
