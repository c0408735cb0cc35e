"""The trunk of YOLOv3-tiny: seven 3×3 convolutions with max-pooling between them.

Source: the configuration ``yolov3-tiny.cfg`` that Redmon & Farhadi published with YOLOv3 (2018).
"""

from __future__ import annotations

from torch import nn

from model.backbones.base import Backbone, conv


class DarknetTiny(Backbone):
    """The trunk up to 1024 channels at stride 32, 6.3 M parameters."""

    channels = (128, 256, 1024)
    taps = (3, 4, 6)

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = [conv(3, 16, 3)]
        for number in range(5):
            stages.append(nn.Sequential(nn.MaxPool2d(2), conv(16 << number, 32 << number, 3)))
        # Darknet's pooling at stride 1 looks to the right and down; it goes on with the border
        smooth = nn.Sequential(nn.ReplicationPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, stride=1))
        stages.append(nn.Sequential(smooth, conv(512, 1024, 3)))
        self.stages = nn.ModuleList(stages)
