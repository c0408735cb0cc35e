"""One fruit through time: where it lies, how sure we are of it, and what it is called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from app.vision.fuse import BoxXYXY, Observation, overlaps
from app.vision.settle_config import SettleConfig


def box_side(box_xyxy: BoxXYXY) -> float:
    """Side of the square of equal area, in the box's own unit."""
    left, top, right, bottom = box_xyxy
    return math.sqrt((right - left) * (bottom - top))


def moved(old_xyxy: BoxXYXY, new_xyxy: BoxXYXY) -> float:
    """How far a box moved as a whole, in its own unit.

    On each axis the lesser shift of the two sides, or 0 when they go opposite ways or one stays:
    a hand that slides over a fruit shortens its box without moving it.
    """
    return math.hypot(*(_common(old_xyxy, new_xyxy, axis) for axis in (0, 1)))


def _common(old: BoxXYXY, new: BoxXYXY, axis: int) -> float:
    low, high = new[axis] - old[axis], new[axis + 2] - old[axis + 2]
    return min(abs(low), abs(high)) if low * high > 0 else 0.0


def shifted(box_xyxy: BoxXYXY, dx: float, dy: float) -> BoxXYXY:
    """The box moved by (dx, dy)."""
    left, top, right, bottom = box_xyxy
    return left + dx, top + dy, right + dx, bottom + dy


def overlap_of(a_xyxy: BoxXYXY, b_xyxy: BoxXYXY) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(a_xyxy[2], b_xyxy[2]) - max(a_xyxy[0], b_xyxy[0])
    height = min(a_xyxy[3], b_xyxy[3]) - max(a_xyxy[1], b_xyxy[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (box_side(a_xyxy) ** 2 + box_side(b_xyxy) ** 2 - shared)


@dataclass(slots=True)
class Anchor:
    """A place, and since when a fruit has not left it by more than ``limit_share`` of its side."""

    box_xyxy: BoxXYXY
    since_s: float
    limit_share: float

    def follow(self, box_xyxy: BoxXYXY, now_s: float, weight: float) -> None:
        """Stay, drawn towards the box by ``weight`` in [0, 1]; or begin anew where it went."""
        limit = self.limit_share * max(box_side(box_xyxy), box_side(self.box_xyxy))
        if moved(self.box_xyxy, box_xyxy) > limit:
            self.box_xyxy, self.since_s = box_xyxy, now_s
        else:
            left, top, right, bottom = (
                a + weight * (b - a) for a, b in zip(self.box_xyxy, box_xyxy, strict=True)
            )
            self.box_xyxy = left, top, right, bottom


@dataclass(slots=True)
class Track:
    """One fruit's history; the settler owns and changes it. Times are the settler's seconds."""

    id: int
    box_xyxy: BoxXYXY
    born_s: float
    near: Anchor
    far: Anchor
    seen_s: float
    key: str
    score: float
    rested_s: float
    absence_s: float = 0.0
    evidence: float = 0.0
    hits: int = 0
    confirmed: bool = False
    counted: bool = False
    resting: bool = False
    votes: dict[str, float] = field(default_factory=dict)

    @classmethod
    def begin(cls, id: int, seen: Observation, now_s: float, config: SettleConfig) -> Track:
        """A track of which nothing is known but one observation, not yet recorded in it."""
        near = Anchor(seen.box_xyxy, now_s, config.still_share)
        far = Anchor(seen.box_xyxy, now_s, config.sway_share)
        key = max(seen.names, key=lambda name: (seen.names[name], name))
        return cls(id, seen.box_xyxy, now_s, near, far, now_s, key, seen.score, rested_s=now_s)

    def hit(self, seen: Observation, now_s: float, step_s: float, config: SettleConfig) -> None:
        """Record that the fruit was seen in this frame."""
        weight = min(1.0, step_s / config.still_s)
        self._name(seen, now_s - self.seen_s, step_s, config)
        self.box_xyxy, self.seen_s = seen.box_xyxy, now_s
        self.score += weight * (seen.score - self.score)
        self.hits += 1
        self.absence_s = max(0.0, self.absence_s - config.heal_rate * step_s)
        self.near.follow(seen.box_xyxy, now_s, weight)
        self.far.follow(seen.box_xyxy, now_s, weight)
        self.resting = (
            now_s - self.near.since_s >= config.still_s or now_s - self.far.since_s >= config.sway_s
        )
        if self.resting:
            self.rested_s = now_s
        self._believe((seen.score - config.leak_share * config.confidence) * step_s, config)

    def miss(self, step_s: float, config: SettleConfig) -> None:
        """Record that the fruit was not seen in this frame."""
        self.absence_s += step_s
        self._believe(-config.leak_share * config.confidence * step_s, config)

    def is_gone(self, config: SettleConfig) -> bool:
        """Whether its absence is too long to be a flicker, a hand over it, or a way travelled."""
        if not self.confirmed:
            return self.absence_s > config.tentative_s
        return self.absence_s > (config.hidden_s if self.resting else config.carried_s)

    def name_is_contested(self, now_s: float, config: SettleConfig) -> bool:
        """Whether another name is close, and waiting may still decide between them."""
        best = self.votes[self.key]
        rival = max((v for k, v in self.votes.items() if k != self.key), default=0.0)
        return best < config.class_clear * rival and now_s - self.born_s < config.class_wait_s

    def shift(self, dx: float, dy: float) -> None:
        """Go with the whole picture: the mount moved, not the fruit."""
        self.box_xyxy = shifted(self.box_xyxy, dx, dy)
        self.near.box_xyxy = shifted(self.near.box_xyxy, dx, dy)
        self.far.box_xyxy = shifted(self.far.box_xyxy, dx, dy)

    def _believe(self, gain: float, config: SettleConfig) -> None:
        self.evidence = min(1.0, max(0.0, self.evidence + gain))
        self.confirmed = self.confirmed or (
            self.hits >= config.min_hits
            and self.evidence >= config.evidence
            and self.score >= config.confidence
        )

    def _name(
        self, seen: Observation, unseen_s: float, step_s: float, config: SettleConfig
    ) -> None:
        keep = math.exp(-step_s / config.class_memory_s)
        total = sum(self.votes.values())
        if unseen_s > config.blink_s and total > 0.0:
            keep = min(keep, config.class_recall_s * self.score**2 / total)
        for key in self.votes:
            self.votes[key] *= keep
        for key, score in seen.names.items():
            # Squared, so that a second name at half the score is no rival.
            self.votes[key] = self.votes.get(key, 0.0) + score**2 * step_s
        best = max(self.votes, key=lambda key: (self.votes[key], key))
        lead = config.class_lead if self.counted else 1.0
        if self.votes[best] > lead * self.votes.get(self.key, 0.0):
            self.key = best


def match(
    tracks: Sequence[Track],
    seen: Sequence[Observation],
    now_s: float,
    frame_side: float,
    config: SettleConfig,
) -> dict[int, int]:
    """Which observation continues which track, as {index of track: index of observation}.

    By overlap first, best pair first, then by distance for tracks that were lost just now.
    now_s: this frame's time, seconds. frame_side: the frame's longer side, pixels.
    """
    if not tracks or not seen:
        return {}
    track_boxes = np.array([t.box_xyxy for t in tracks])
    iou, inside = overlaps(track_boxes, np.array([o.box_xyxy for o in seen]))
    pairs = [
        (affinity, t, o)
        for t, o in np.argwhere(np.maximum(iou, inside) >= config.match_iou).tolist()
        if (affinity := _affinity(tracks[t], seen[o], iou[t, o], inside[t, o], config))
        >= config.match_iou + config.match_name
    ]
    matched = _best_first(pairs, {})
    near = [
        (-distance, t, o)
        for t, track in enumerate(tracks)
        if t not in matched and now_s - track.seen_s <= config.reach_s
        for o, observation in enumerate(seen)
        if observation.score >= config.confidence
        and track.key in observation.names
        and (distance := _distance(track.box_xyxy, observation.box_xyxy))
        <= config.reach_share * box_side(track.box_xyxy)
        + config.reach_speed * frame_side * (now_s - track.seen_s)
    ]
    return _best_first(near, matched)


def without_doubles(tracks: Sequence[Track], config: SettleConfig) -> list[Track]:
    """Leave out the younger of two tracks that share one place, of which one lies there unseen.

    Both live on the same fruit by turns, as after a fruit was carried over another.
    """
    doubles: set[int] = set()
    for unseen in tracks:
        if unseen.absence_s == 0.0:
            continue
        for other in tracks:
            if other is unseen or not other.resting or other.seen_s <= unseen.seen_s:
                continue
            if overlap_of(unseen.box_xyxy, other.box_xyxy) >= config.same_iou:
                doubles.add(max(unseen.id, other.id))
    return [track for track in tracks if track.id not in doubles]


def _affinity(
    track: Track, seen: Observation, iou: float, inside: float, config: SettleConfig
) -> float:
    """Overlap, better for the track's own name; a nested box of it counts as just enough.

    Nested: a fruit half under a hand, or seen whole again.
    """
    if track.key not in seen.names:
        return float(iou)
    overlap = max(iou, config.match_iou) if inside >= config.nested_share else iou
    return float(overlap) + config.match_name


def _best_first(pairs: list[tuple[float, int, int]], taken: dict[int, int]) -> dict[int, int]:
    """Add pairs (affinity, track, observation) to those taken, each side used once."""
    matched = dict(taken)
    used = set(taken.values())
    for _, t, o in sorted(pairs, reverse=True):
        if t not in matched and o not in used:
            matched[t] = o
            used.add(o)
    return matched


def _centre(box_xyxy: BoxXYXY) -> tuple[float, float]:
    left, top, right, bottom = box_xyxy
    return (left + right) / 2, (top + bottom) / 2


def _distance(a_xyxy: BoxXYXY, b_xyxy: BoxXYXY) -> float:
    return math.dist(_centre(a_xyxy), _centre(b_xyxy))
