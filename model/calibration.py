"""Scores that mean what they say: of all boxes at 0.9, nine in ten are right.

Source: Platt, "Probabilistic Outputs for Support Vector Machines" (1999), a line on the score's
logit, here one for each class, since classes are not over- and underrated alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """A line for each class: calibrated = σ(slope · logit(score) + shift); slopes are over 0."""

    slopes: tuple[float, ...]
    shifts: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = np.array([self.slopes, self.shifts])  # ValueError when they differ in length
        if not (np.isfinite(numbers).all() and (numbers[0] > 0).all()):
            raise ValueError("a calibration needs a finite slope over 0 and a shift for each class")

    def apply(self, scores: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
        """Scores (N,) in [0, 1] of classes (N,) → calibrated ones, float32 (N,); 0 and 1 stay."""
        slope, shift = np.array(self.slopes)[class_ids], np.array(self.shifts)[class_ids]
        odds = np.exp(np.clip(slope * logit(scores) + shift, -60, 60))
        return np.asarray(odds / (1 + odds), np.float32)

    def least_raw(self, score: float) -> float:
        """The lowest raw score that any class turns into ``score``."""
        raw = (logit(np.array(score)) - np.array(self.shifts)) / np.array(self.slopes)
        return float(np.min(1 / (1 + np.exp(-np.clip(raw, -60, 60)))))


def logit(scores: np.ndarray) -> np.ndarray:
    """log(p / (1 − p)) in float64, kept finite at 0 and 1."""
    p = np.clip(np.asarray(scores, np.float64), 1e-30, 1 - 1e-15)
    return np.asarray(np.log(p / (1 - p)))
