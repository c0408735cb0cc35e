"""Motion of the whole picture: a shaking or bumped mount moves all fruit alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app.vision.fuse import Observation
from app.vision.geometry import box_side
from app.vision.tracks import Track

FEWEST = 3
"""Resting fruits that must agree: one or two could as well be carried."""
MAJORITY = 0.6
"""Share of them that must agree; the rest may be moved by a hand meanwhile."""
TOLERANCE = 0.15
"""Difference, in box sides, within which displacements agree."""
FARTHEST = 0.25
"""Largest bump that is sought, in frame sides: beyond, the counter is another one."""
VOTERS = 6
"""Tracks whose displacements are tried; more only repeat the same candidates."""


def common_shift(
    tracks: Sequence[Track], seen: Sequence[Observation], matched: Mapping[int, int]
) -> tuple[float, float]:
    """Shift (dx, dy), pixels, that most matched resting fruits made together, else (0, 0)."""
    pairs = [(tracks[t], seen[o]) for t, o in matched.items() if tracks[t].resting]
    if len(pairs) < FEWEST:
        return 0.0, 0.0
    steps = _centres([o.box_xyxy for _, o in pairs]) - _centres([t.box_xyxy for t, _ in pairs])
    shift = np.median(steps, axis=0)  # (2,)
    limits = TOLERANCE * np.array([box_side(t.box_xyxy) for t, _ in pairs])
    agree = np.abs(steps - shift).max(axis=1) <= limits
    return (float(shift[0]), float(shift[1])) if agree.mean() >= MAJORITY else (0.0, 0.0)


def bump(
    tracks: Sequence[Track],
    seen: Sequence[Observation],
    matched: Mapping[int, int],
    frame_side: float,
) -> tuple[float, float]:
    """Shift (dx, dy), pixels, of a mount knocked between two frames, else (0, 0).

    Sought only when two or more resting fruits and two or more observations found no partner;
    believed only when it explains at least two fruits more than no shift does.
    """
    resting = [t for t, track in enumerate(tracks) if track.resting]
    lost = [t for t in resting if t not in matched]
    if len(resting) < FEWEST or len(lost) < 2 or len(seen) - len(matched) < 2:
        return 0.0, 0.0
    old = _centres([tracks[t].box_xyxy for t in resting])  # (n, 2)
    new = _centres([o.box_xyxy for o in seen])  # (m, 2)
    voters = _centres([tracks[t].box_xyxy for t in lost[:VOTERS]])
    shifts = (new[None] - voters[:, None]).reshape(-1, 2)
    shifts = np.vstack([[(0.0, 0.0)], shifts[np.abs(shifts).max(axis=1) <= FARTHEST * frame_side]])
    limits = TOLERANCE * np.array([box_side(tracks[t].box_xyxy) for t in resting])
    # (candidates, n, m): does the shifted fruit lie on the observation?
    off = np.abs(old[None, :, None] + shifts[:, None, None] - new[None, None]).max(axis=3)
    explained = (off <= limits[None, :, None]).any(axis=2).sum(axis=1)
    best = int(explained.argmax())
    if explained[best] < max(FEWEST, MAJORITY * min(len(resting), len(seen)), explained[0] + 2):
        return 0.0, 0.0
    return float(shifts[best, 0]), float(shifts[best, 1])


def _centres(boxes_xyxy: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    boxes = np.array(boxes_xyxy, dtype=float).reshape(-1, 4)
    return (boxes[:, :2] + boxes[:, 2:]) / 2
