"""What a run is judged by: the val photographs, and composed scenes beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from model.data.dataset import Labelled
from model.data.library import load_library
from model.data.synthesize import SceneConfig, compose
from model.detector import Detector
from model.evaluate import evaluate, from_files

SCORES = ("map50", "map", "cacc")
PICTURES = 300  # to measure int8's limits on
SCENE_SEED = 7  # the same scenes in every run, so that runs can be compared
VIEWS = ((640, 480), (1280, 720))  # width and height of scenes by turns: what cameras deliver


class Validation:
    """Fixed pictures; with a folder of cut-outs also scenes of fruit that training never shows."""

    def __init__(
        self,
        samples: list[Labelled],
        names: Sequence[str],
        scenes: str,
        count: int,
        split: str = "val",
    ) -> None:
        self.samples = samples
        self.scenes: list[tuple[np.ndarray, np.ndarray]] = []
        if scenes and count:
            library = load_library(Path(scenes), tuple(names), split)
            rng = np.random.default_rng(SCENE_SEED)
            self.scenes = [
                compose(library, SceneConfig(), rng, *VIEWS[number % len(VIEWS)])
                for number in range(count)
            ]

    def pictures(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The photographs, then the scenes, each with its boxes as model.evaluate takes them."""
        yield from from_files(self.samples)
        yield from self.scenes

    def scores(self, detector: Detector) -> dict[str, float]:
        """map50, map and cacc of a detector, in [0, 1].

        The mean of photographs and scenes, where there are scenes.
        """
        sets = [from_files(self.samples, quiet=True), self.scenes]
        summaries = [evaluate(detector, s).summary for s in sets[: 1 + bool(self.scenes)]]
        return {name: float(np.mean([s[name] for s in summaries])) for name in SCORES}


def some_training(
    samples: Sequence[Labelled], names: Sequence[str], scenes: str, count: int = PICTURES
) -> Validation:
    """Training pictures to measure limits on: every so many-th photograph, and scenes.

    About ``count`` of them, half composed where there is a folder with cut-outs.
    """
    scenes_count = count // 2 if scenes else 0
    step = max(1, len(samples) // max(1, count - scenes_count))
    return Validation(list(samples[::step]), names, scenes, scenes_count, "train")
