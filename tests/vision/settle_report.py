"""How fast and how surely baskets settle on random scenes.

``python -m tests.vision.settle_report`` prints the table of docs/settle.md.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

from tests.vision.simulate import TRAVEL_S, Fruit, Moment, Noise, play

SCENES = 12
DURATION_S = 16.0
REST_S = 2.0  # after the last change
KEYS = ("apple", "pear", "lemon", "melon", "orange")
NOISES = {
    "good detector": Noise(),
    "20 % of boxes missing": Noise(miss=0.2),
    "30 % missing in runs of 0.3 s": Noise(miss=0.3, miss_run_s=0.3),
    "second names and boxes": Noise(second_name=0.6, nested=0.4),
    "3 false boxes a second": Noise(ghosts_per_s=3.0),
    "mount shakes by 3 %": Noise(shake=0.03),
    "waving hand": Noise(hands=((2.0, 6.0),)),
    "all at once": Noise(
        jitter=0.03, miss=0.2, waver=0.15, second_name=0.2, nested=0.1, ghosts_per_s=1.0, shake=0.01
    ),
}


@dataclass(frozen=True)
class Report:
    """latencies_s: from each change's end to the right basket, those that came before the next.

    wrong_share: of the settled moments. flips: changes to a wrong basket at rest. doubles: settled
    moments with more fruits than there are while nothing moves.
    """

    latencies_s: list[float]
    wrong_share: float
    flips: int
    doubles: int


def random_scene(seed: int) -> list[Fruit]:
    """1 to 12 fruits, some touching; of ten about five come, two go and two are hidden."""
    dice = random.Random(seed)
    slots = [(0.3 + 0.25 * column, 0.2 + 0.25 * row) for column in range(5) for row in range(3)]
    return [_fruit(dice, x, y) for x, y in dice.sample(slots, dice.randint(1, 12))]


def _fruit(dice: random.Random, x: float, y: float) -> Fruit:
    key, side, event = dice.choice(KEYS), dice.uniform(0.17, 0.27), dice.random()
    side_s = dice.choice([-0.3, 2.1])
    if event < 0.5:
        return Fruit(key, x, y, side, arrives_s=dice.uniform(1, 4), from_x=side_s)
    if event < 0.7:
        return Fruit(key, x, y, side, leaves_s=dice.uniform(5, 9), from_x=side_s)
    if event < 0.9:
        begin = dice.uniform(4, 8)
        return Fruit(key, x, y, side, hidden=((begin, begin + dice.uniform(0.3, 2.0)),))
    return Fruit(key, x, y, side)


def report(fruits: Sequence[Fruit], moments: Sequence[Moment]) -> Report:
    """Judge one played scene."""
    settled = [m for m in moments if m.scene.settled and m.t_s > 1.0]
    resting = [m for m in moments if m.calm_s > REST_S]
    return Report(
        latencies_s=[s for t in _changes(fruits) for s in _latency(moments, t)],
        wrong_share=sum(not m.right for m in settled) / max(1, len(settled)),
        flips=sum(a.scene.counts != b.scene.counts and not b.right for a, b in pairwise(resting)),
        doubles=sum(
            m.calm_s > 0 and sum(m.scene.counts.values()) > sum(m.truth.values()) for m in settled
        ),
    )


def _changes(fruits: Sequence[Fruit]) -> list[float]:
    ends = {f.arrives_s for f in fruits} | {f.leaves_s + TRAVEL_S for f in fruits}
    return sorted(t for t in ends if 0.0 < t < DURATION_S)


def _latency(moments: Sequence[Moment], change_s: float) -> list[float]:
    """Seconds to the right basket; none when something else moves before."""
    later = [m for m in moments if m.t_s >= change_s]
    right_s = next((m.t_s for m in later if m.right), float("inf"))
    moves_s = next((m.t_s for m in later if m.calm_s == 0.0), float("inf"))
    return [right_s - change_s] if right_s <= moves_s and right_s < DURATION_S else []


def main() -> None:
    print(f"{'':32}  fps  median   90 %  wrong  flips  doubles")
    for name, noise in NOISES.items():
        for fps in (5, 10, 30):
            scenes = [(random_scene(seed), seed) for seed in range(SCENES)]
            reports = [
                report(fruits, play(fruits, noise, fps=fps, duration_s=DURATION_S, seed=seed))
                for fruits, seed in scenes
            ]
            print(f"{name:32}  {fps:3}  {_line(reports)}")


def _line(reports: Sequence[Report]) -> str:
    latencies = [s for r in reports for s in r.latencies_s]
    wrong = sum(r.wrong_share for r in reports) / len(reports)
    flips, doubles = sum(r.flips for r in reports), sum(r.doubles for r in reports)
    slow_s = quantiles(latencies, n=10)[-1]
    return f"{median(latencies):4.2f} s {slow_s:4.2f} s  {wrong:4.1%}  {flips:5}  {doubles:7}"


if __name__ == "__main__":
    main()
