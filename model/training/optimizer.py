"""Who takes the steps, and how far for which weights."""

from __future__ import annotations

import torch

from model.training.settings import TrainConfig
from model.yolov3 import YoloV3


def build_optimizer(model: YoloV3, config: TrainConfig) -> torch.optim.Optimizer:
    """Head and trunk at their own rates; no weight decay on BatchNorm and biases.

    Each group remembers its ``peak`` rate, which a schedule's factor is multiplied with.
    """
    groups = []
    trunk = {id(p) for p in model.backbone.parameters()}
    for in_trunk in (False, True):
        rate = config.lr * (config.trunk_lr if in_trunk else 1)
        mine = [p for p in model.parameters() if (id(p) in trunk) == in_trunk]
        for decays in (False, True):
            groups.append(
                {
                    "params": [p for p in mine if (p.ndim > 1) == decays],
                    "lr": rate,
                    "peak": rate,
                    "weight_decay": config.weight_decay * decays,
                }
            )
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, betas=(config.momentum, 0.999))
