"""The training set as the loop sees it: real pictures and composed scenes, targets assigned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.data.augment import augment, training_transform
from model.data.dataset import Labelled, read_picture
from model.data.synthesize import SceneConfig, SceneLibrary, compose
from model.targets import assign

SHAPES = ((4, 3), (4, 3), (16, 9), (1, 1))  # what counters' cameras deliver


class TrainSet(Dataset[tuple[Tensor, list[dict[str, Tensor]]]]):
    """Augmented pictures with their targets; a share of them composed on the fly.

    An item is a uint8 (3, S, S) RGB tensor and three target dicts (see YoloLoss). The same
    (seed, epoch, index) gives the same item, whatever worker makes it.
    """

    def __init__(
        self,
        samples: Sequence[Labelled],
        anchors: np.ndarray,
        image_size: int,
        seed: int,
        library: SceneLibrary | None = None,
        composed: int = 0,
    ) -> None:
        self.samples, self.anchors, self.image_size, self.seed = samples, anchors, image_size, seed
        self.library, self.composed = library, composed if library else 0
        self.epoch = 0
        self.scenes = SceneConfig()

    def __len__(self) -> int:
        return len(self.samples) + self.composed

    def __getitem__(self, index: int) -> tuple[Tensor, list[dict[str, Tensor]]]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        image, boxes = self.picture(index, rng)
        transform = training_transform(self.image_size)
        transform.set_random_seed(int(rng.integers(2**31)))
        image, boxes = augment(transform, image, boxes)
        targets = assign(boxes[:, 1:], boxes[:, 0].astype(int), self.anchors, self.image_size)
        return to_tensor(image), [
            {
                "state": torch.from_numpy(t.state),
                "box_cxcywh": torch.from_numpy(t.box_cxcywh),
                "class_id": torch.from_numpy(t.class_id),
            }
            for t in targets
        ]

    def picture(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A picture before augmentation, uint8 (H, W, 3) BGR, and its (N, 5) rows."""
        if index < len(self.samples):
            sample = self.samples[index]
            return read_picture(sample.path), sample.boxes
        across, down = SHAPES[rng.integers(len(SHAPES))]
        width = int(self.image_size * 1.1)
        if self.library is None:
            raise IndexError(index)
        return compose(self.library, self.scenes, rng, width, width * down // across)


def to_tensor(image: np.ndarray) -> Tensor:
    """A uint8 (H, W, 3) BGR picture to a uint8 (3, H, W) RGB tensor."""
    return torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)))
