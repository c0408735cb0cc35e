"""Detections per frame → tracks → the settled basket.

The basket changes only as a whole and only when the scene is at rest and leaves no doubt; until
then the last one stays and ``settled`` is False. The only clock is ``t_s``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from app.vision.fuse import Observation, fuse
from app.vision.geometry import BoxXYXY, Size, share_inside
from app.vision.ground import Ground
from app.vision.match import match, wholes_of, without_doubles
from app.vision.mount import bump, common_shift
from app.vision.settle_config import SettleConfig
from app.vision.tracks import Track
from model.detector import Detection

__all__ = ["Scene", "SettleConfig", "Settler", "TrackView"]


@dataclass(frozen=True, slots=True)
class TrackView:
    """One fruit as the screen may draw it, or a thing that is not recognised.

    id: never used twice by one settler, but for such things. key: the class of its history, "" of
    such a thing. score: its recent mean in
    [0, 1]. box_xyxy: pixels, where it was last seen. confirmed: believed to be a fruit.
    doubted: a person is asked what it is.
    """

    id: int
    key: str
    score: float
    box_xyxy: BoxXYXY
    confirmed: bool
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What lies on the counter.

    settled: the basket is sure at this moment. counts: fruits by key, all above 0; the last
    settled basket while it is not sure. tracks: those seen in this frame and those believed to
    be hidden, by id. doubts: the fruits of that basket that a person should name, by id, each with
    what it is counted as and what else it may be, likeliest first; with nothing when it is no fruit
    to the detector, and not counted, but lies there like one. calm: settled, and all that is
    followed is in sight: a picture that stays the same needs no other look.
    """

    settled: bool
    counts: Mapping[str, int]
    tracks: tuple[TrackView, ...]
    doubts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    calm: bool = False


class Settler:
    """Follows the fruits of one camera; give it every frame's detections in order."""

    def __init__(self, config: SettleConfig | None = None) -> None:
        self.config = config or SettleConfig()
        self._tracks: list[Track] = []
        self._counts: Mapping[str, int] = MappingProxyType({})
        self._doubts: Mapping[int, tuple[str, ...]] = MappingProxyType({})
        self._next_id = 1
        self._last_t_s: float | None = None
        self._now_s = 0.0
        self._waited_s = 0.0
        self._settled = False
        self._ground = Ground()
        self._stranger: int | None = None
        self._strangers_asked = 0

    def update(
        self,
        detections: Sequence[Detection],
        t_s: float,
        width: int,
        height: int,
        cells: np.ndarray | None = None,
    ) -> Scene:
        """Take in one frame.

        detections: any order, several names for one fruit allowed, scores from
        ``config.name_score`` up are of use. t_s: the frame's time, seconds from any start; a
        time that does not advance counts as none. width, height: the frame, pixels. cells: its
        ``cells_of``; without them a hand is not seen, and a fruit that was taken is waited for as
        if one lay over it.
        """
        step_s = self._advance(t_s)
        seen = fuse(detections, self.config)
        if cells is not None:
            self._ground.look(cells, width)
        self._follow(seen, step_s, (float(width), float(height)))
        self._ground.watch([t.box_xyxy for t in self._tracks if t.confirmed], step_s)
        settled = self._settled = self._is_settled(step_s)
        strangers = self._strangers()
        if settled:
            self._take_basket()
            self._ground.learn([track.box_xyxy for track in self._tracks], step_s)
        views = tuple(
            TrackView(t.id, t.key, t.score, t.box_xyxy, t.confirmed, t.counted and t.doubted)
            for t in self._tracks
            if t.confirmed or t.seen_s == self._now_s
        )
        doubts = self._doubts if self._stranger is None else {**self._doubts, self._stranger: ()}
        calm = settled and not any(track.misses for track in self._tracks)
        return Scene(settled, self._counts, views + strangers, doubts, calm)

    def tell(self, id: int, key: str) -> None:
        """Take a person's word for what a counted fruit is; one that is gone is no matter.

        Of a strange thing, whatever the key: it is nothing to be sold, or was added by hand.
        """
        if id == self._stranger:
            self._ground.accept()
        for track in self._tracks:
            if track.id == id and track.counted:
                track.tell(key)

    def _advance(self, t_s: float) -> float:
        """Seconds this frame adds; a gap in the pictures proves no more than ``max_step_s``.

        After a long one, as when the camera was lost, everything has to be seen anew.
        """
        last_t_s = t_s if self._last_t_s is None else self._last_t_s
        if t_s - last_t_s > self.config.gap_s:
            self._settled = False
            for track in self._tracks:
                track.lose_sight(self.config)
        step_s = min(max(t_s - last_t_s, 0.0), self.config.max_step_s)
        self._last_t_s = t_s
        self._now_s += step_s
        return step_s

    def _follow(self, seen: Sequence[Observation], step_s: float, frame: Size) -> None:
        config, tracks = self.config, self._tracks
        matched = match(tracks, seen, self._now_s, max(frame), config)
        knock = bump(tracks, seen, matched, max(frame))
        if knock != (0.0, 0.0):
            self._shift_all(*knock)
            matched = match(tracks, seen, self._now_s, max(frame), config)
        self._shift_all(*common_shift(tracks, seen, matched))
        for index, track in enumerate(tracks):
            if index in matched:
                track.hit(seen[matched[index]], self._now_s, step_s, frame, config)
            else:
                track.miss(step_s, config)
        for track in tracks:
            self._look_beneath(track, step_s)
        self._tracks = [
            t for t in without_doubles(tracks, self._now_s, config) if not t.is_gone(config)
        ]
        known = set(matched.values())
        for index, observation in enumerate(seen):
            if index not in known and observation.score >= config.confidence:
                self._begin(observation, step_s, frame)

    def _look_beneath(self, track: Track, step_s: float) -> None:
        """Tell a track what its place looks like; another fruit there says nothing of its own."""
        place = track.place_xyxy
        seen = (t for t in self._tracks if t is not track and t.misses == 0)
        taken = any(share_inside(place, t.box_xyxy) >= self.config.part_share for t in seen)
        unlike = 0.0 if taken else self._ground.unlike_share(place)
        track.look_beneath(self._ground.bare_share(place), unlike, step_s, self.config)

    def _begin(self, observation: Observation, step_s: float, frame: Size) -> None:
        track = Track.begin(self._next_id, observation, self._now_s, self.config)
        track.hit(observation, self._now_s, step_s, frame, self.config)
        self._tracks.append(track)
        self._next_id += 1

    def _shift_all(self, dx: float, dy: float) -> None:
        if dx or dy:
            for track in self._tracks:
                track.shift(dx, dy)

    def _is_settled(self, step_s: float) -> bool:
        if self._is_waiting(step_s) or self._ground.is_covered or self._now_s < self.config.start_s:
            return False
        return not any(self._is_unsure(track) for track in self._tracks) and not self._is_in_doubt()

    def _is_waiting(self, step_s: float) -> bool:
        """Whether something that may become a fruit is on its way; a hand may wave for longer."""
        coming = any(self._is_coming(track) for track in self._tracks)
        limit_s = self.config.patience_s
        # Draining at half the pace, a hand that comes and goes stays ignored.
        change_s = step_s if coming else -step_s / 2
        self._waited_s = min(limit_s, max(0.0, self._waited_s + change_s))
        return coming and self._waited_s < limit_s

    def _strangers(self) -> tuple[TrackView, ...]:
        """The things that are no fruit to the detector, under one number.

        One more gets a new number: an answer is about what was asked about.
        """
        known, self._strangers_asked = self._strangers_asked, len(self._ground.strangers)
        if not self._ground.strangers:
            self._stranger = None
            return ()
        if self._stranger is None or len(self._ground.strangers) > known:
            self._stranger, self._next_id = self._next_id, self._next_id + 1
        return tuple(
            TrackView(self._stranger, "", 0.0, box, True, True) for box in self._ground.strangers
        )

    def _is_coming(self, track: Track) -> bool:
        if track.counted:
            return False
        if track.confirmed:
            contested = track.name_is_contested(self._now_s, self.config)
            may_be_part = bool(wholes_of(track, self._tracks, self.config))
            return not track.resting or contested or may_be_part
        stays = track.near.since_s < track.seen_s
        young = self._now_s - track.born_s < self.config.tentative_s
        return stays and young and track.evidence > 0.0

    def _is_unsure(self, track: Track) -> bool:
        """Whether a believed fruit is out of sight, being moved, or perhaps another by now.

        A new one must be seen at the very moment it enters: a hand that leaves takes along what
        looked like a fruit on it.
        """
        if track.confirmed and self._is_out_of_sight(track):
            return True
        if track.confirmed and not track.counted and self._is_piece(track):
            return True
        moving_s = self._now_s - track.rested_s
        moving = not track.resting and moving_s < self.config.patience_s
        return track.counted and (moving or track.name_is_contested(self._now_s, self.config))

    def _is_out_of_sight(self, track: Track) -> bool:
        if not track.counted:
            # what moves is waited for by _is_waiting, with patience
            return track.resting and track.misses > 0
        if self._settled:
            return track.is_missing(self._now_s, self.config)
        return self._now_s - track.seen_s > self.config.blink_before_s

    def _is_piece(self, track: Track) -> bool:
        """Whether something lies over a fruit in the basket of which this may be a piece."""
        seen = [t.box_xyxy for t in self._tracks if t.misses == 0]
        return any(
            self._ground.other_share(whole, seen) >= self.config.hand_over
            for whole in wholes_of(track, self._tracks, self.config)
        )

    def _is_in_doubt(self) -> bool:
        """Whether a new fruit may be a known one that went elsewhere: never seen beside it."""
        newest_s = max((t.born_s for t in self._tracks if _enters(t)), default=None)
        return newest_s is not None and any(
            t.confirmed and t.seen_s < newest_s for t in self._tracks
        )

    def _take_basket(self) -> None:
        for track in self._tracks:
            track.counted = track.counted or _enters(track)
            track.whole_xyxy = track.box_xyxy if track.counted else None
            track.weigh(self.config)
        counts = Counter(track.key for track in self._tracks if track.counted)
        if counts != self._counts:
            self._counts = MappingProxyType(dict(sorted(counts.items())))
        doubted = sorted((t.id, t) for t in self._tracks if t.counted and t.doubted)
        if [(id, t.key) for id, t in doubted] != [(i, n[0]) for i, n in self._doubts.items()]:
            self._doubts = MappingProxyType({id: t.choices(self.config) for id, t in doubted})


def _enters(track: Track) -> bool:
    return track.confirmed and track.resting and not track.counted and track.misses == 0
