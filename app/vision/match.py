"""Which fruit of this frame is which of the last: overlap first, then a hand's reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.vision.fuse import Observation
from app.vision.geometry import box_side, distance, overlap_of, overlaps
from app.vision.settle_config import SettleConfig
from app.vision.tracks import Track


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
        (-away, t, o)
        for t, track in enumerate(tracks)
        if t not in matched and now_s - track.seen_s <= config.reach_s
        for o, observation in enumerate(seen)
        if observation.score >= config.confidence
        and track.key in observation.names
        and (away := distance(track.box_xyxy, observation.box_xyxy))
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
