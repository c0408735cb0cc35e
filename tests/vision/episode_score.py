"""How right and how calm a basket was while an episode played; pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from app.vision.settle import Scene
from tests.vision.episodes import Truth


@dataclass(frozen=True)
class Moment:
    """What is so in one frame, and what the lane made of it."""

    truth: Truth
    scene: Scene

    @property
    def right(self) -> bool:
        return dict(self.scene.counts) == dict(self.truth.counts)

    @property
    def asked(self) -> bool:
        """Whether the basket is right but for what the customer is asked for.

        Either names: as many fruits as there are, a question for each wrong name, and the right one
        among its answers. Or a fruit that is missing, and a question what lies there.
        """
        if not Counter(self.scene.counts) - Counter(self.truth.counts):
            return not self.right and () in self.scene.doubts.values()
        missing = Counter(self.truth.counts) - Counter(self.scene.counts)
        same = sum(self.truth.counts.values()) == sum(self.scene.counts.values())
        offered = {key for keys in self.scene.doubts.values() for key in keys}
        enough = missing.total() <= len(self.scene.doubts) and offered >= missing.keys()
        return same and not self.right and enough

    @property
    def double(self) -> bool:
        """Whether more fruits are sold than are in the picture, carried ones included."""
        return self.scene.settled and sum(self.scene.counts.values()) > len(self.truth.boxes)


@dataclass(frozen=True)
class Score:
    """One episode, or several added up.

    moments, settled: frames, and those with a sure basket. right: of the settled. asked: of the
    settled, those that are right but for names which are asked for. questions: of the settled,
    those with an open question. rest, silent: frames at rest, and those with a sure basket that
    is neither right nor asks. doubles: settled with more fruits than there are. rest_s: time at
    rest. flips: changes of the basket at rest beyond the one that is due. lapses: times a sure
    scene became unsure at rest. right_waits_s: from each beginning of rest after a change to the
    sure right basket, inf where the next hand came first. waits_s: the same to the right basket
    or one that asks.
    """

    moments: int = 0
    settled: int = 0
    right: int = 0
    asked: int = 0
    questions: int = 0
    rest: int = 0
    silent: int = 0
    doubles: int = 0
    rest_s: float = 0.0
    flips: int = 0
    lapses: int = 0
    right_waits_s: tuple[float, ...] = ()
    waits_s: tuple[float, ...] = ()

    def __add__(self, other: Score) -> Score:
        names = self.__dataclass_fields__
        return Score(**{name: getattr(self, name) + getattr(other, name) for name in names})


def score(moments: Sequence[Moment]) -> Score:
    """Judge one episode from its first frame to its last."""
    settled = [m for m in moments if m.scene.settled]
    resting = [m for m in moments if m.truth.at_rest]
    rests = list(_rests(moments))
    changed = [
        rest for last, rest in pairwise(rests) if last[0].truth.counts != rest[0].truth.counts
    ]
    return Score(
        moments=len(moments),
        settled=len(settled),
        right=sum(m.right for m in settled),
        asked=sum(m.asked for m in settled),
        questions=sum(bool(m.scene.doubts) for m in settled),
        rest=len(resting),
        silent=sum(m.scene.settled and not (m.right or m.asked) for m in resting),
        doubles=sum(m.double for m in moments),
        rest_s=sum(rest[-1].truth.t_s - rest[0].truth.t_s for rest in rests),
        flips=sum(map(_flips, rests)),
        lapses=sum(a.scene.settled and not b.scene.settled for r in rests for a, b in pairwise(r)),
        right_waits_s=tuple(_wait_s(rest, lambda m: m.right) for rest in changed),
        waits_s=tuple(_wait_s(rest, lambda m: m.right or m.asked) for rest in changed),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share of the values does not exceed; nan of none.

    Unlike an interpolated one it can tell of values that are infinite.
    """
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


def _wait_s(rest: Sequence[Moment], good: Callable[[Moment], bool]) -> float:
    """Seconds from the beginning of a rest to a sure and good basket; inf if none came."""
    good_s = next((m.truth.t_s for m in rest if m.scene.settled and good(m)), math.inf)
    return good_s - rest[0].truth.t_s


def _rests(moments: Sequence[Moment]) -> Iterator[list[Moment]]:
    for at_rest, group in groupby(moments, lambda moment: moment.truth.at_rest):
        if at_rest:
            yield list(group)


def _flips(rest: Sequence[Moment]) -> int:
    changes = sum(a.scene.counts != b.scene.counts for a, b in pairwise(rest))
    return max(0, changes - (not rest[0].right))
