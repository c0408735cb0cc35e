"""The whole detector as one graph for other programs: a picture in, boxes and scores out.

``image``, uint8 (1, S, S, 3) BGR, is a picture scaled to fit and centred on grey, as
model.boxes.Letterbox does it; colour order and normalisation are in the graph. ``boxes``, float32
(1, N, 4) xyxy in pixels of that input, and ``scores``, float32 (1, N, C), are what model.decode
makes of the raw maps, calibrated; only non-maximum suppression is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.anchors import strides_of
from model.boxes import PAD_GREY
from model.calibration import Calibration
from model.decode import MAX_LOG_SCALE, NMS_IOU
from model.weights import WeightsInfo
from model.yolov3 import ANCHORS_PER_SCALE, YoloV3

INPUT = "image"
OUTPUTS = "boxes", "scores"

CLASS_SCORES: dict[str, Callable[[Tensor], Tensor]] = {  # model.decode's, of tensors (…, C)
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": Tensor.sigmoid,
}


class Portable(nn.Module):
    """A network with all that comes before and after it."""

    def __init__(self, model: YoloV3, info: WeightsInfo) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.tensor(info.mean).view(3, 1, 1) * 255)
        self.std = nn.Buffer(torch.tensor(info.std).view(3, 1, 1) * 255)
        self.model = model
        self.decoding = Decoding(info)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (1, S, S, 3) BGR, letterboxed → boxes (1, N, 4), scores (1, N, C)."""
        x = image.permute(0, 3, 1, 2).flip(1).float()  # (1, 3, S, S) RGB
        boxes, scores = self.decoding(*self.model((x - self.mean) / self.std))
        return boxes, scores


class Decoding(nn.Module):
    """Raw maps to boxes and scores: model.decode in torch, with nothing left out."""

    def __init__(self, info: WeightsInfo) -> None:
        super().__init__()
        anchors = torch.from_numpy(info.anchor_array) * info.image_size
        places = zip(anchors, strides_of(info.anchor_array), strict=True)
        cells = torch.cat([_cells(sizes, stride, info.image_size) for sizes, stride in places])
        self.corner, self.stride, self.anchor = map(nn.Buffer, cells.split((2, 1, 2), dim=1))
        self.class_score = CLASS_SCORES[info.class_score]
        self.told = len(info.names)
        self.calibrated = Calibrated(info.calibration) if info.calibration else nn.Identity()

    def forward(self, *maps: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3·(5+C), G, G) of each scale, finest first → boxes (1, N, 4), scores (1, N, C)."""
        apart = [m.flatten(2).unflatten(1, (ANCHORS_PER_SCALE, -1)) for m in maps]  # 3, 5+C, G·G
        cells = torch.cat([m.transpose(2, 3).flatten(1, 2) for m in apart], dim=1)  # (1, N, 5+C)
        centre = self.corner + cells[..., :2].sigmoid() * self.stride
        half = cells[..., 2:4].clamp(max=MAX_LOG_SCALE).exp() * self.anchor / 2
        scores = cells[..., 4:5].sigmoid() * self.class_score(cells[..., 5:])[..., : self.told]
        return torch.cat((centre - half, centre + half), dim=-1), self.calibrated(scores)


def _cells(anchors: Tensor, stride: int, image_size: int) -> Tensor:
    """What a scale's boxes are measured from, (3·G·G, 5): corner, stride and anchor, pixels."""
    along = torch.arange(0, image_size, stride).float()
    y, x = torch.meshgrid(along, along, indexing="ij")
    corners = torch.stack((x, y, torch.full_like(x, stride)), dim=-1).view(-1, 3)
    sizes = anchors.repeat_interleave(len(corners), dim=0)
    return torch.cat((corners.repeat(len(anchors), 1), sizes), dim=1)


class Calibrated(nn.Module):
    """model.calibration.Calibration of scores (…, C), in what float32 can hold of a logit."""

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.slopes = nn.Buffer(torch.tensor(calibration.slopes))
        self.shifts = nn.Buffer(torch.tensor(calibration.shifts))

    def forward(self, scores: Tensor) -> Tensor:
        """Scores (…, C) in [0, 1] → calibrated ones."""
        logit = scores.clamp(min=1e-30).log() - (1 - scores).clamp(min=1e-7).log()
        return (self.slopes * logit + self.shifts).sigmoid()


def description(info: WeightsInfo) -> dict[str, str]:
    """What a program needs to know to use the graph, to be stored in its file."""
    side = info.image_size
    return {
        "names": json.dumps(info.names, ensure_ascii=False),
        "image_size": str(side),
        "confidence": str(info.confidence),
        "nms_iou": str(NMS_IOU),
        "calibrated": json.dumps(info.calibration is not None),
        "image": f"uint8 (1, {side}, {side}, 3) BGR: the picture scaled to fit, in the middle, "
        f"on grey {PAD_GREY}",
        "boxes": "float32 (1, N, 4): x1, y1, x2, y2 in pixels of that input",
        "scores": "float32 (1, N, C): of each name, comparable with confidence",
        "then": "drop scores below confidence, suppress boxes of one name over nms_iou",
    }
