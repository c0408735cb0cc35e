"""A counter in numbers: scripted fruits seen by a detector with every fault we know of.

Lengths are shares of the frame's height, so one scene can be played at any resolution. Times are
seconds. Everything random comes from the seed.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from app.vision.settle import Scene, SettleConfig, Settler
from model.detector import Detection

TRAVEL_S = 0.8  # a hand brings or takes a fruit in this time
COVER_S = 0.25  # a hand slides over a fruit in this time
ASPECT = 16 / 9


@dataclass(frozen=True)
class Fruit:
    """One fruit: where it lies, when it is put down and picked up, when a hand hides it."""

    key: str
    x: float
    y: float
    side: float = 0.2
    arrives_s: float = -math.inf  # lies still from here
    leaves_s: float = math.inf  # is lifted here, out of the picture TRAVEL_S later
    moves: tuple[tuple[float, float, float], ...] = ()  # (from this time, to x, to y)
    hidden: tuple[tuple[float, float], ...] = ()
    from_x: float = -0.3  # comes from and goes to this side

    def lies(self, t_s: float) -> bool:
        return self.arrives_s <= t_s < self.leaves_s

    def changes(self) -> list[tuple[float, float]]:
        """Spans of time in which this fruit is not at rest."""
        spans = [(t, t + TRAVEL_S) for t, _, _ in self.moves]
        return [
            *spans,
            *((start - COVER_S, end + COVER_S) for start, end in self.hidden),
            (self.arrives_s - TRAVEL_S, self.arrives_s),
            (self.leaves_s, self.leaves_s + TRAVEL_S),
        ]

    def centre(self, t_s: float) -> tuple[float, float] | None:
        x, y = self._place(t_s)
        if t_s < self.arrives_s:
            return self._travel(self.arrives_s - t_s, x, y)
        return self._travel(t_s - self.leaves_s, x, y) if t_s >= self.leaves_s else (x, y)

    def covered(self, t_s: float) -> float:
        """Share of its width that a hand hides from the right, in [0, 1]."""
        gaps = [max(start - t_s, t_s - end, 0.0) for start, end in self.hidden]
        return 1.0 - min(1.0, min(gaps, default=COVER_S) / COVER_S)

    def _place(self, t_s: float) -> tuple[float, float]:
        x, y = self.x, self.y
        for start, to_x, to_y in self.moves:
            share = _eased(min(1.0, max(0.0, (t_s - start) / TRAVEL_S)))
            x, y = x + share * (to_x - x), y + share * (to_y - y)
        return x, y

    def _travel(self, away_s: float, x: float, y: float) -> tuple[float, float] | None:
        share = away_s / TRAVEL_S
        return (x + _eased(share) * (self.from_x - x), y) if share <= 1.0 else None


def _eased(share: float) -> float:
    """A hand sets out and arrives slowly."""
    return share * share * (3.0 - 2.0 * share)


@dataclass(frozen=True)
class Noise:
    """What the detector does wrong; the default is a good detector on a calm day."""

    jitter: float = 0.015  # of a fruit's side, standard deviation of each edge
    score: float = 0.75
    score_spread: float = 0.08
    miss: float = 0.0  # share of frames in which a fruit is not found
    miss_run_s: float = 0.0  # mean length of a run of such frames; 0 = independent frames
    waver: float = 0.0  # share of frames in which a fruit gets another name
    second_name: float = 0.0  # share of frames in which it gets another name as well
    nested: float = 0.0  # share of frames with a second, smaller box inside
    ghosts_per_s: float = 0.0  # boxes on nothing, one frame each
    shake: float = 0.0  # amplitude of the mount, share of the frame's height
    shake_hz: float = 3.0
    bump: tuple[float, float, float] = (math.inf, 0.0, 0.0)  # from this time on, by (x, y)
    dark: tuple[tuple[float, float], ...] = ()  # no detection at all
    dim: tuple[tuple[float, float], ...] = ()  # scores halve, half the boxes are missing
    hands: tuple[tuple[float, float], ...] = ()  # a waving hand that is called a fruit
    irregular: float = 0.0  # frame times off by up to this share of the frame time
    rival: Mapping[str, str] = field(
        default_factory=lambda: {"apple": "pear", "pear": "apple", "lemon": "orange"}
    )


@dataclass(frozen=True)
class Moment:
    """What the settler said in one frame, and what was true."""

    t_s: float
    scene: Scene
    truth: Mapping[str, int]
    calm_s: float  # since the last change, shadow or darkness

    @property
    def right(self) -> bool:
        return dict(self.scene.counts) == dict(self.truth)


def play(
    fruits: Sequence[Fruit],
    noise: Noise | None = None,
    *,
    fps: float = 15.0,
    duration_s: float = 6.0,
    seed: int = 0,
    height: int = 720,
    config: SettleConfig | None = None,
) -> list[Moment]:
    """Run a settler over a scene."""
    noise = noise or Noise()
    settler, width = Settler(config), round(height * ASPECT)
    moments = []
    for t_s, detections in frames(fruits, noise, fps, duration_s, seed, height):
        scene = settler.update(detections, t_s, width, height)
        truth = Counter(f.key for f in fruits if f.lies(t_s))
        moments.append(Moment(t_s, scene, truth, calm(fruits, noise, t_s)))
    return moments


def calm(fruits: Sequence[Fruit], noise: Noise, t_s: float) -> float:
    """Seconds since anything last changed on the counter, or before it; 0 while it does."""
    spans = [s for f in fruits for s in f.changes()]
    spans += [*noise.dark, *noise.dim, *noise.hands, (noise.bump[0], noise.bump[0] + 0.01)]
    if any(start <= t_s < end for start, end in spans):
        return 0.0
    return t_s - max((end for _, end in spans if 0.0 < end <= t_s), default=0.0)


def frames(
    fruits: Sequence[Fruit],
    noise: Noise,
    fps: float,
    duration_s: float,
    seed: int,
    height: int = 720,
) -> Iterator[tuple[float, list[Detection]]]:
    """Every frame's time and detections, pixels of a frame of this height."""
    dice = random.Random(seed)
    blind = [False] * len(fruits)
    for index in range(int(duration_s * fps)):
        t_s = (index + noise.irregular * dice.uniform(-0.5, 0.5)) / fps
        found: list[Detection] = []
        for number, fruit in enumerate(fruits):
            blind[number] = _is_blind(blind[number], noise, fps, dice)
            if not blind[number] and not _within(noise.dark, t_s):
                found += _detect(fruit, noise, t_s, dice)
        found += _ghosts(noise, t_s, fps, dice)
        yield t_s, [_scaled(d, height) for d in _clipped(found)]


def _is_blind(before: bool, noise: Noise, fps: float, dice: random.Random) -> bool:
    """A two-state chain whose share of blind frames is ``miss``."""
    if noise.miss_run_s * fps <= 1.0:
        return dice.random() < noise.miss
    end = 1.0 / (noise.miss_run_s * fps)
    begin = end * noise.miss / (1.0 - noise.miss)
    return dice.random() >= end if before else dice.random() < begin


def _detect(fruit: Fruit, noise: Noise, t_s: float, dice: random.Random) -> list[Detection]:
    centre = fruit.centre(t_s)
    dimmed = _within(noise.dim, t_s)
    covered = fruit.covered(t_s)
    if centre is None or covered > 0.6 or (dimmed and dice.random() < 0.5):
        return []
    dx, dy = _mount(noise, t_s)
    half = fruit.side / 2
    left, top = centre[0] + dx - half, centre[1] + dy - half
    off = noise.jitter * fruit.side
    box = (left, top, left + (1.0 - covered) * fruit.side, top + fruit.side)
    box = tuple(edge + dice.gauss(0.0, off) for edge in box)
    score = dice.gauss(noise.score, noise.score_spread) * (0.5 if dimmed else 1.0)
    score = min(0.99, max(0.05, score))
    rival = noise.rival.get(fruit.key, "orange")
    key = rival if dice.random() < noise.waver else fruit.key
    found = [Detection(key, score, box)]
    if dice.random() < noise.second_name:
        other = fruit.key if key == rival else rival
        found.append(Detection(other, score * 0.8, tuple(e + dice.gauss(0.0, off) for e in box)))
    if dice.random() < noise.nested:
        inner = (box[0], box[1], box[0] + 0.7 * fruit.side, box[1] + 0.8 * fruit.side)
        found.append(Detection(key, score * 0.8, inner))
    return found


def _mount(noise: Noise, t_s: float) -> tuple[float, float]:
    phase = 2 * math.pi * noise.shake_hz * t_s
    start, bump_x, bump_y = noise.bump
    after = t_s >= start
    return (
        noise.shake * math.sin(phase) + (bump_x if after else 0.0),
        noise.shake * math.cos(1.3 * phase) + (bump_y if after else 0.0),
    )


def _ghosts(noise: Noise, t_s: float, fps: float, dice: random.Random) -> list[Detection]:
    found = []
    if dice.random() < noise.ghosts_per_s / fps:
        x, y = dice.uniform(0.0, ASPECT - 0.2), dice.uniform(0.0, 0.8)
        found.append(Detection("lemon", dice.uniform(0.4, 0.6), (x, y, x + 0.15, y + 0.15)))
    if _within(noise.hands, t_s) and dice.random() < 0.7:
        x, y = 0.8 + 0.5 * math.sin(5.0 * t_s), 0.4 + 0.3 * math.cos(7.0 * t_s)
        found.append(Detection("pear", dice.uniform(0.4, 0.7), (x, y, x + 0.25, y + 0.25)))
    return found


def _clipped(found: Sequence[Detection]) -> list[Detection]:
    """Only what lies in the picture, as a detector gives it."""
    kept = []
    for d in found:
        left, top, right, bottom = d.box_xyxy
        inside = (max(left, 0.0), max(top, 0.0), min(right, ASPECT), min(bottom, 1.0))
        if inside[2] - inside[0] > 0.03 and inside[3] - inside[1] > 0.03:
            kept.append(replace(d, box_xyxy=inside))
    return kept


def _scaled(d: Detection, height: int) -> Detection:
    left, top, right, bottom = (edge * height for edge in d.box_xyxy)
    return replace(d, box_xyxy=(left, top, right, bottom))


def _within(spans: Sequence[tuple[float, float]], t_s: float) -> bool:
    return any(start <= t_s < end for start, end in spans)


def flips(moments: Sequence[Moment]) -> int:
    """How often the basket changed from one frame to the next."""
    return sum(dict(a.scene.counts) != dict(b.scene.counts) for a, b in pairwise(moments))
