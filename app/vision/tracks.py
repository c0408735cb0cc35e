"""One fruit through time: where it lies, how sure we are of it, and what it is called."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from app.vision.fuse import Observation
from app.vision.geometry import BoxXYXY, Size, box_side, moved, shifted
from app.vision.settle_config import SettleConfig


def share_moved(old_xyxy: BoxXYXY, new_xyxy: BoxXYXY, frame: Size) -> float:
    """How far a box moved as a whole, in sides of the larger of both."""
    return moved(old_xyxy, new_xyxy, frame) / max(box_side(old_xyxy), box_side(new_xyxy))


@dataclass(slots=True)
class Anchor:
    """A place, and since when a fruit has not left it by more than ``limit_share`` of its side."""

    box_xyxy: BoxXYXY
    since_s: float
    limit_share: float

    def follow(self, box_xyxy: BoxXYXY, now_s: float, weight: float, frame: Size) -> None:
        """Stay, drawn towards the box by ``weight`` in [0, 1]; or begin anew where it went."""
        if share_moved(self.box_xyxy, box_xyxy, frame) > self.limit_share:
            self.box_xyxy, self.since_s = box_xyxy, now_s
            return
        left, top, right, bottom = (
            a + weight * (b - a) for a, b in zip(self.box_xyxy, box_xyxy, strict=True)
        )
        self.box_xyxy = left, top, right, bottom


@dataclass(slots=True)
class Track:
    """One fruit's history; the settler owns and changes it. Times are the settler's seconds."""

    id: int
    box_xyxy: BoxXYXY
    near: Anchor
    far: Anchor
    key: str
    score: float
    born_s: float
    seen_s: float
    rested_s: float
    open_s: float
    absence_s: float = 0.0
    misses: int = 0
    evidence: float = 0.0
    hits: int = 0
    confirmed: bool = False
    counted: bool = False
    resting: bool = False
    home_xyxy: BoxXYXY | None = None
    whole_xyxy: BoxXYXY | None = None
    away: int = 0
    stands_out: bool = False
    bare_s: float = 0.0
    lies_there: bool = False
    votes: dict[str, float] = field(default_factory=dict)
    told: bool = False
    doubted: bool = False

    @classmethod
    def begin(cls, id: int, seen: Observation, now_s: float, config: SettleConfig) -> Track:
        """A track of which nothing is known but one observation, not yet recorded in it."""
        near = Anchor(seen.box_xyxy, now_s, config.still_share)
        far = Anchor(seen.box_xyxy, now_s, config.sway_share)
        key = max(seen.names, key=lambda name: (seen.names[name], name))
        times = (now_s, now_s, now_s, now_s)  # born, seen, rested, named
        return cls(id, seen.box_xyxy, near, far, key, seen.score, *times)

    def hit(
        self, seen: Observation, now_s: float, step_s: float, frame: Size, config: SettleConfig
    ) -> None:
        """Record that the fruit was seen in this frame."""
        weight = min(1.0, step_s / config.still_s)
        if self.misses >= config.blink_frames and now_s - self.seen_s > config.recall_after_s:
            self._forget(now_s, config)
        self._name(seen, step_s, config)
        self.box_xyxy, self.seen_s = seen.box_xyxy, now_s
        self.score += weight * (seen.score - self.score)
        self.hits, self.misses = self.hits + 1, 0
        self.absence_s = max(0.0, self.absence_s - config.heal_rate * step_s)
        self._place(now_s, weight, frame, config)
        self._believe((seen.score - config.leak_share * config.confidence) * step_s, config)

    def miss(self, step_s: float, config: SettleConfig) -> None:
        """Record that the fruit was not seen in this frame."""
        self.absence_s, self.misses = self.absence_s + step_s, self.misses + 1
        self._believe(-config.leak_share * config.confidence * step_s, config)

    def lose_sight(self, config: SettleConfig) -> None:
        """Know nothing of what happened since it was seen: another fruit may lie there now."""
        self.misses += config.blink_frames
        self.seen_s -= config.recall_after_s

    @property
    def place_xyxy(self) -> BoxXYXY:
        """Where it rests, or where it was last seen before it ever did."""
        return self.home_xyxy or self.box_xyxy

    def look_beneath(
        self, bare_share: float, unlike_share: float, step_s: float, config: SettleConfig
    ) -> None:
        """Record how much of its place looks like the bare counter, and unlike it, in [0, 1].

        Only a fruit that hides the counter while it is seen can be proved absent by it.
        """
        self.lies_there = self.misses > 0 and unlike_share >= config.bare_gone
        if self.misses == 0:
            self.stands_out, self.bare_s = bare_share <= config.bare_seen, 0.0
        elif self.stands_out and bare_share >= config.bare_gone:
            self.bare_s += step_s
        else:
            self.bare_s = 0.0

    def is_missing(self, now_s: float, config: SettleConfig) -> bool:
        """Whether it is out of sight for longer than a flicker of the detector."""
        return self.misses >= config.blink_frames and now_s - self.seen_s > config.blink_s

    def is_gone(self, config: SettleConfig) -> bool:
        """Whether its absence is too long to be a flicker, a hand over it, or a way travelled."""
        if not self.confirmed:
            return self.absence_s > config.tentative_s
        if self.misses >= config.blink_frames and self.bare_s >= config.bare_s:
            return True
        if self.away >= config.carry_frames:
            return self.absence_s > config.carried_s
        return self.absence_s > (config.held_s if self.lies_there else config.hidden_s)

    def name_is_contested(self, now_s: float, config: SettleConfig) -> bool:
        """Whether another name is close, and waiting may still decide between them."""
        best = self.votes[self.key]
        rival = max((v for k, v in self.votes.items() if k != self.key), default=0.0)
        return best < config.class_clear * rival and now_s - self.open_s < config.class_wait_s

    def choices(self, config: SettleConfig) -> tuple[str, ...]:
        """What it may be called: what it is called now, then the others, likeliest first."""
        ranked = sorted(self.votes, key=lambda key: (key != self.key, -self.votes[key], key))
        return tuple(ranked[: config.choices])

    def tell(self, key: str) -> None:
        """Take a person's word for what it is, until it may be another fruit."""
        self.key, self.told, self.doubted = key, True, False
        self.votes.setdefault(key, 0.0)

    def weigh(self, config: SettleConfig) -> None:
        """Decide whether its name is in doubt; a doubt ends only on clearer views."""
        best = self.votes[self.key]
        rival = max((v for k, v in self.votes.items() if k != self.key), default=0.0)
        more = config.doubt_over if self.doubted else 1.0
        close = best < more * config.doubt * rival
        faint = self.score < min(1.0, more * config.sure_score)
        self.doubted = not self.told and (close or faint)

    def shift(self, dx: float, dy: float) -> None:
        """Go with the whole picture: the mount moved, not the fruit."""
        self.box_xyxy = shifted(self.box_xyxy, dx, dy)
        self.near.box_xyxy = shifted(self.near.box_xyxy, dx, dy)
        self.far.box_xyxy = shifted(self.far.box_xyxy, dx, dy)
        if self.home_xyxy is not None:
            self.home_xyxy = shifted(self.home_xyxy, dx, dy)
        if self.whole_xyxy is not None:
            self.whole_xyxy = shifted(self.whole_xyxy, dx, dy)

    def _place(self, now_s: float, weight: float, frame: Size, config: SettleConfig) -> None:
        was_calm = now_s - self.near.since_s >= config.sway_s
        self.near.follow(self.box_xyxy, now_s, weight, frame)
        self.far.follow(self.box_xyxy, now_s, weight, frame)
        if was_calm and self.near.since_s == now_s:
            self.far.since_s = now_s  # what lay calm does not begin to sway: it is being moved
        still_s, swaying_s = now_s - self.near.since_s, now_s - self.far.since_s
        self.resting = still_s >= config.still_s or swaying_s >= config.sway_s
        if self.resting:
            if self.away:
                self._forget(
                    now_s, config
                )  # it may have changed places with one it was carried over
            self.rested_s, self.home_xyxy = now_s, self.near.box_xyxy
        at_home = self.home_xyxy is not None and (
            share_moved(self.home_xyxy, self.box_xyxy, frame) <= config.carry_share
        )
        self.away = 0 if at_home else self.away + 1

    def _believe(self, gain: float, config: SettleConfig) -> None:
        self.evidence = min(1.0, max(0.0, self.evidence + gain))
        self.confirmed = self.confirmed or (
            self.hits >= config.min_hits
            and self.evidence >= config.evidence
            and self.score >= config.confidence
        )

    def _name(self, seen: Observation, step_s: float, config: SettleConfig) -> None:
        keep = math.exp(-step_s / config.class_memory_s)
        self.votes = {key: keep * vote for key, vote in self.votes.items()}
        for key, score in seen.names.items():
            # Squared, so that a second name at half the score is no rival.
            self.votes[key] = self.votes.get(key, 0.0) + score**2 * step_s
        if self.told:
            return
        best = max(self.votes, key=lambda key: (self.votes[key], key))
        lead = config.class_lead if self.counted else 1.0
        if self.votes[best] > lead * self.votes.get(self.key, 0.0):
            self.key = best

    def _forget(self, now_s: float, config: SettleConfig) -> None:
        """Let the past names weigh no more than ``class_recall_s`` of sure views."""
        self.open_s, self.told = now_s, False
        limit, total = config.class_recall_s * self.score**2, sum(self.votes.values())
        if total > limit:
            self.votes = {key: vote * limit / total for key, vote in self.votes.items()}
