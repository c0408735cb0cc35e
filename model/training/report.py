"""What a finished run leaves: its best weights as they will be used, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model.calibrate import calibrate
from model.data.dataset import Labelled
from model.evaluate import Evaluation, evaluate, from_files
from model.plots import plot_labels, plot_results
from model.report import save_report
from model.runtimes import load
from model.runtimes.torch_runtime import TorchDetector
from model.training.validation import Validation
from model.weights import load_weights, save_weights

MAY_COST = 0.001  # mAP50:95 that weights of half or a quarter of the size may lose


def report(
    folder: Path, train: Sequence[Labelled], validation: Validation, limits: Validation | None
) -> Evaluation:
    """Finish ``weights/best.safetensors`` and draw the run into its folder.

    limits: the pictures on which to learn computing in int8; None leaves it in float32.
    """
    best = folder / "weights" / "best.safetensors"
    shrink(best, validation.samples)
    if limits:
        from model.training.int8 import said, teach_int8  # needs OpenVINO, which not every CPU has

        print(said(teach_int8(best, limits, validation)))
    before, after = calibrate(best, validation)
    print(f"calibrated: expected calibration error {before:.3f}, now {after:.3f}")
    evaluation = evaluate(load(best), from_files(validation.samples, quiet=True))
    draw(folder, evaluation, validation.samples, train)
    return evaluation


def shrink(weights: Path, val: list[Labelled]) -> None:
    """Store int8 or float16 where that costs next to no mAP."""
    whole = evaluate(TorchDetector(weights), from_files(val))
    model, info = load_weights(weights)
    small = weights.with_name("small.safetensors")
    for bits in (8, 16):
        save_weights(small, model, info, bits)
        shrunk = evaluate(TorchDetector(small), from_files(val, quiet=True))
        change = shrunk.summary["map"] - whole.summary["map"]
        kept = change >= -MAY_COST
        print(f"{bits} bits change mAP50:95 by {change:+.5f}: {'kept' if kept else 'too much'}")
        if kept:
            small.replace(weights)
            return
    small.unlink()


def draw(
    folder: Path, evaluation: Evaluation, val: Sequence[Labelled], train: Sequence[Labelled]
) -> None:
    """Write the run's curves, what its labels are like, and the evaluation's report."""
    names = list(evaluation.summary["per_class"])
    plot_results(folder / "results.csv", folder / "results.png")
    plot_labels([s.boxes for s in train], names, folder / "labels.png")
    save_report(evaluation.summary, evaluation.results, val, names, folder)
