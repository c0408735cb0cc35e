"""Make the scores of a weights file mean what they say.

    python -m model.calibrate --weights W --data DATA.yaml [--split val] [--scenes FOLDER]

Fits a line for each class on what the detector finds in a split, and in scenes composed from its
cut-outs, and stores them in the file, with a confidence of a half: what is likelier right than
wrong counts. Training does so at its end. Prints the expected calibration error of the bare scores
and of the calibrated ones, these on pictures that were not fitted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from model.calibration import Calibration, logit
from model.cli import existing_file, existing_folder, refusing
from model.data.dataset import read_config, read_split, same_names
from model.evaluate import evaluate
from model.metrics import PictureResult, named_boxes, reliability
from model.runtimes import load
from model.training.validation import Validation
from model.weights import describe, read_info

LEAST_SCORE = 0.02  # boxes below say nothing about those that matter
LEAST_SLOPE = 0.3  # a better score must stay a better score
PULL = 4.0  # by how many boxes a class holds to what all classes share
LIKELIER = 0.5  # the confidence of scores that are chances: nothing to tune, whatever the pictures


def calibrate(weights: Path, validation: Validation) -> tuple[float, float]:
    """Fit and store a file's calibration, and the confidence that goes with it.

    Returns the calibration errors before and after, in [0, 1]. The one after is of pictures apart
    from those fitted: half of them each time. Scores are those of int8 where the file has it, as
    CPUs with VNNI give them; others compute in float32 with the same calibration.
    """
    detector = load(weights, int8=True)
    info, detector.calibration = detector.info, None
    results = evaluate(detector, validation.pictures()).results
    mixed = [results[i] for i in np.random.default_rng(0).permutation(len(results))]
    halves, classes = (mixed[::2], mixed[1::2]), len(info.names)
    apart = [
        recalibrated(result, fitted(other, classes))
        for half, other in (halves, halves[::-1])
        for result in half
    ]
    calibration = fitted(results, classes)
    describe(weights, replace(info, calibration=calibration, confidence=LIKELIER))
    return reliability(results).ece, reliability(apart).ece


def fitted(results: Sequence[PictureResult], classes: int) -> Calibration:
    """The calibration of what was found, one box a fruit."""
    return fit(*named_boxes(results, LEAST_SCORE), classes)


def recalibrated(result: PictureResult, calibration: Calibration) -> PictureResult:
    """The same findings with calibrated scores."""
    score = calibration.apply(result.found_score, result.found_class)
    return replace(result, found_score=score)


def fit(scores: np.ndarray, class_ids: np.ndarray, right: np.ndarray, classes: int) -> Calibration:
    """Find the lines under which boxes that are ``right`` or not are likeliest.

    scores (N,) in [0, 1], class_ids (N,), right (N,) bool. A class of which few boxes are known
    stays close to the line of all; without any box nothing is changed.
    """
    x = torch.from_numpy(logit(scores))
    of_class, many = torch.from_numpy(class_ids), right.sum()
    # Platt's targets: even if all are right, none of them was certain to be
    wanted = np.where(right, (many + 1) / (many + 2), 1 / (len(right) - many + 2))
    truth = torch.from_numpy(wanted)
    shared = torch.tensor([[1.0], [0.0]], dtype=torch.float64, requires_grad=True)
    own = torch.zeros(2, classes, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([shared, own], max_iter=500, line_search_fn="strong_wolfe")

    def cost() -> torch.Tensor:
        search.zero_grad()
        slope, shift = shared + own
        seen = slope[of_class] * x + shift[of_class]
        loss = F.binary_cross_entropy_with_logits(seen, truth, reduction="sum")
        loss = loss + PULL * own.square().sum() + (shared[0] - 1).square().sum()
        loss.backward()
        return loss

    search.step(cost)
    slopes, shifts = (shared + own).detach().tolist()
    return Calibration(tuple(max(s, LEAST_SLOPE) for s in slopes), tuple(shifts))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m model.calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--weights", type=existing_file, required=True)
    p.add_argument("--data", type=existing_file, required=True, help="data.yaml")
    p.add_argument("--split", default="val", help="default val")
    p.add_argument("--scenes", type=existing_folder, help="folder to compose scenes from")
    p.add_argument("--count", type=int, default=300, help="how many scenes (default 300)")
    return p


@refusing
def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parser().parse_args(argv)
    data = read_config(args.data)
    same_names(args.data, data.names, read_info(args.weights).names)
    samples = read_split(data, args.split)
    scenes = str(args.scenes) if args.scenes else ""
    before, after = calibrate(
        args.weights, Validation(samples, data.names, scenes, args.count, args.split)
    )
    print(f"expected calibration error {before:.3f}, calibrated {after:.3f}: {args.weights}")


if __name__ == "__main__":
    main()
