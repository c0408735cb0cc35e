"""What every backbone offers, and the convolution that the YOLO family is built from."""

from __future__ import annotations

from torch import Tensor, nn


def conv(
    c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, mish: bool = False
) -> nn.Sequential:
    """Convolution, BatchNorm and LeakyReLU 0.1, as everywhere in YOLOv3; or Mish, as in YOLOv4.

    (B, c_in, H, W) → (B, c_out, H/stride, W/stride).
    """
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
        nn.Mish(inplace=True) if mish else nn.LeakyReLU(0.1, inplace=True),
    )


class Backbone(nn.Module):
    """Turns a normalised picture into features at strides 8, 16 and 32.

    stages: its parts from the picture upwards, run in turn and frozen in turn. taps: the stages
    that give the features, channels: of each. mean, std: the RGB normalisation in [0, 1] it was
    made for; Darknet's networks take RGB / 255 as it is. imagenet: whether there are weights for
    ``load_imagenet``.
    """

    stages: nn.ModuleList
    taps: tuple[int, int, int]
    channels: tuple[int, int, int]
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    imagenet: bool = False

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, S, S) RGB → features (B, channels, S/stride, S/stride), finest first."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features[tap] for tap in self.taps)

    def load_imagenet(self) -> None:
        """Load ImageNet weights; ImportError when the package that carries them is missing."""
        raise ImportError(f"there are no ImageNet weights for {type(self).__name__}")
