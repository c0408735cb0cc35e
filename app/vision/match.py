"""Which fruit of this frame is which of the last: overlap first, then a hand's reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app.vision.fuse import Observation
from app.vision.geometry import BoxXYXY, box_side, distance, overlap_of, overlaps, share_inside
from app.vision.settle_config import SettleConfig
from app.vision.tracks import Track

Pair = tuple[float, int, int]
"""Affinity (higher is better), index of a track, index of an observation."""


def match(
    tracks: Sequence[Track],
    seen: Sequence[Observation],
    now_s: float,
    frame_side: float,
    config: SettleConfig,
) -> dict[int, int]:
    """Which observation continues which track, as {index of track: index of observation}.

    By overlap with the last box, then with the resting place, then by distance for tracks that
    were lost just now; best pairs first. now_s: this frame's time, seconds. frame_side: the
    frame's longer side, pixels.
    """
    if not tracks or not seen:
        return {}
    boxes = {t: track.box_xyxy for t, track in enumerate(tracks)}
    matched = _best_first(_overlapping(tracks, boxes, seen, config), {})
    homes = {
        t: track.home_xyxy
        for t, track in enumerate(tracks)
        if t not in matched and track.away and track.home_xyxy is not None
    }
    if homes:
        matched = _best_first(_overlapping(tracks, homes, seen, config), matched)
    lost = [t for t in boxes if t not in matched and _may_have_gone(tracks[t], now_s, config)]
    return _best_first(_in_reach(tracks, lost, seen, now_s, frame_side, config), matched)


def _may_have_gone(track: Track, now_s: float, config: SettleConfig) -> bool:
    """Whether it was just now on its way, or at rest in the very last frame."""
    in_motion = not track.resting and now_s - track.seen_s <= config.reach_s
    return in_motion or track.misses == 0


def _overlapping(
    tracks: Sequence[Track],
    places: Mapping[int, BoxXYXY],
    seen: Sequence[Observation],
    config: SettleConfig,
) -> list[Pair]:
    iou, inside = overlaps(np.array(list(places.values())), np.array([o.box_xyxy for o in seen]))
    numbers = list(places)
    least = config.match_iou + config.match_name
    pairs = []
    for row, o in np.argwhere(np.maximum(iou, inside) >= config.match_iou).tolist():
        t = numbers[row]
        affinity = _affinity(tracks[t], seen[o], iou[row, o], inside[row, o], config)
        if affinity >= least:
            pairs.append((affinity, t, o))
    return pairs


def _in_reach(
    tracks: Sequence[Track],
    lost: Sequence[int],
    seen: Sequence[Observation],
    now_s: float,
    frame_side: float,
    config: SettleConfig,
) -> list[Pair]:
    pairs = []
    for t in lost:
        track = tracks[t]
        reach = config.reach_share * box_side(track.box_xyxy)
        reach += config.reach_speed * frame_side * (now_s - track.seen_s)
        for o, observation in enumerate(seen):
            away = distance(track.box_xyxy, observation.box_xyxy)
            sure = observation.score >= config.confidence and track.key in observation.names
            if sure and away <= reach:
                pairs.append((-away, t, o))
    return pairs


def without_doubles(tracks: Sequence[Track], now_s: float, config: SettleConfig) -> list[Track]:
    """Leave out tracks that follow a fruit which another track follows too.

    Of two that share one place, where one lies unseen, the younger: both live on the same fruit by
    turns, as after a fruit was carried over another. Of two where one is out of sight within the
    other's box, the one that never was in the basket: it followed a piece of the fruit that a hand
    left to be seen.
    """
    doubles: set[int] = set()
    for unseen in tracks:
        if unseen.absence_s == 0.0:
            continue
        missing = unseen.is_missing(now_s, config)
        for other in tracks:
            if other is unseen or not other.resting or other.seen_s <= unseen.seen_s:
                continue
            # places, not boxes: a single box around two fruits makes no double of one of them
            if overlap_of(unseen.place_xyxy, other.place_xyxy) >= config.same_iou:
                doubles.add(max(unseen.id, other.id))
            elif missing and _is_part(unseen.box_xyxy, other.box_xyxy, config):
                doubles.update(_new_of(unseen, other))
    return [track for track in tracks if track.id not in doubles]


def _new_of(unseen: Track, other: Track) -> list[int]:
    if not unseen.counted:
        return [unseen.id]
    return [other.id] if not other.counted and other.key == unseen.key else []


def _is_part(box_xyxy: BoxXYXY, whole_xyxy: BoxXYXY, config: SettleConfig) -> bool:
    return share_inside(box_xyxy, whole_xyxy) >= config.part_share


def wholes_of(track: Track, tracks: Sequence[Track], config: SettleConfig) -> list[BoxXYXY]:
    """The fruits of its name in the basket, whole, of which a new one may be a piece."""
    return [
        other.whole_xyxy
        for other in tracks
        if other.whole_xyxy is not None
        and other.key == track.key
        and _is_part(track.box_xyxy, other.whole_xyxy, config)
    ]


def _affinity(
    track: Track, seen: Observation, iou: float, inside: float, config: SettleConfig
) -> float:
    """Overlap, better for the track's own name; a piece of it counts as just enough.

    A piece: a fruit half under a hand, or seen whole again.
    """
    if track.key not in seen.names:
        return float(iou)
    overlap = max(iou, config.match_iou) if inside >= config.part_share else iou
    return float(overlap) + config.match_name


def _best_first(pairs: list[Pair], taken: dict[int, int]) -> dict[int, int]:
    """Add pairs to those taken, each side used once; of equal ones the older track's."""
    matched = dict(taken)
    used = set(taken.values())
    for _, t, o in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
        if t not in matched and o not in used:
            matched[t] = o
            used.add(o)
    return matched
