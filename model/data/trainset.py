"""The training set as the loop sees it: real pictures and composed scenes, and their boxes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.data import Dataset

from model.boxes import PAD_GREY, Letterbox, to_tensor
from model.data.augment import AugmentConfig, augment, load_transform
from model.data.dataset import DataError, Labelled, read_picture
from model.data.library import SceneLibrary
from model.data.mix import Picture, mixup, mosaic
from model.data.synthesize import SceneConfig, compose, paste

SHAPES = ((4, 3), (4, 3), (16, 9), (1, 1))  # what counters' cameras deliver


class TrainSet(Dataset[tuple[Tensor, Tensor]]):
    """Augmented pictures with their boxes; a share of them composed on the fly.

    An item is a uint8 (3, H, W) RGB tensor and float32 (N, 5) rows of class and cxcywh as shares of
    ``image_size``, the side of a square input. The same (seed, epoch, shape, index) gives the same
    item, whatever worker makes it. ``shape``, width and height as a ratio, is that of scenes, and
    of photographs whose preset cuts them.
    """

    def __init__(
        self,
        samples: Sequence[Labelled],
        image_size: int,
        seed: int,
        library: SceneLibrary | None = None,
        composed: int = 0,
        augment: AugmentConfig | None = None,
        scenes: SceneConfig | None = None,
    ) -> None:
        self.samples, self.image_size, self.seed = samples, image_size, seed
        self.library, self.composed = library, composed if library else 0
        self.augment = augment or AugmentConfig()
        self.epoch, self.shape = 0, SHAPES[0]
        self.scenes = scenes or SceneConfig()
        for preset in (self.augment.preset, self.augment.scene_preset):
            load_transform(preset, image_size)  # a bad preset is told now, not in a worker
        if self.augment.copy_paste and not library:
            raise DataError(
                "copy-paste takes its fruit from cut-outs: name their folder (--scenes)"
            )

    def __len__(self) -> int:
        return len(self.samples) + self.composed

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        image, boxes = self._mixed(index, rng)
        real = index < len(self.samples)
        preset = self.augment.preset if real else self.augment.scene_preset
        transform = load_transform(preset, self.image_size, self.shape)
        transform.set_random_seed(int(rng.integers(2**31)))
        image, boxes = augment(transform, image, boxes, self.image_size)
        return to_tensor(image), torch.from_numpy(boxes)

    def picture(self, index: int, rng: np.random.Generator) -> Picture:
        """A picture before augmentation, uint8 (H, W, 3) BGR, and its (N, 5) rows."""
        if index < len(self.samples):
            sample = self.samples[index]
            return read_picture(sample.path), sample.boxes
        if self.library is None:
            raise IndexError(index)
        width, height = Letterbox(*self.shape, self.image_size, tight=True).inner
        return compose(self.library, self.scenes, rng, int(width * 1.1), int(height * 1.1))

    def _mixed(self, index: int, rng: np.random.Generator) -> Picture:
        """The picture, by chance with fruit pasted in or mixed with others of the set."""
        picture = self.picture(index, rng)
        if self.library and index < len(self.samples) and rng.random() < self.augment.copy_paste:
            picture = paste(*picture, self.library, self.scenes, rng)
        if rng.random() < self.augment.mosaic:
            others = [self._another(rng) for _ in range(3)]
            picture = mosaic([picture, *others], int(self.image_size * 1.1), rng)
        if rng.random() < self.augment.mixup:
            picture = mixup(picture, self._another(rng), rng)
        return picture

    def _another(self, rng: np.random.Generator) -> Picture:
        return self.picture(int(rng.integers(len(self))), rng)


def one_thread(_worker: int) -> None:
    """Let a loader's process work alone: OpenCV's own threads would contend with training."""
    cv2.setNumThreads(0)


def collate(items: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Items to a batch: pictures (B, 3, H, W), and rows (M, 6) that begin with the picture's index.

    Pictures of several shapes are filled up with grey, right and below, which moves no box. M is
    the number of boxes in all pictures together, 0 for backgrounds alone.
    """
    rows = [F.pad(boxes, (1, 0), value=index) for index, (_, boxes) in enumerate(items)]
    high, wide = (max(image.shape[axis] for image, _ in items) for axis in (1, 2))
    images = torch.full((len(items), 3, high, wide), PAD_GREY, dtype=torch.uint8)
    for room, (image, _) in zip(images, items, strict=True):
        room[:, : image.shape[1], : image.shape[2]] = image
    return images, torch.cat(rows)
