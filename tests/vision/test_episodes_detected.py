"""Short checkouts that the shipped detector watches: the basket must not flicker.

``python -m tests.vision.episode_report`` measures the same on more and longer ones.
"""

from dataclasses import replace
from functools import cache
from math import inf

import pytest

from app.settings import Settings
from model.detector import Detector, load_detector
from tests.vision.episode_film import watched
from tests.vision.episode_score import Moment, Score, score
from tests.vision.episodes import random_episode

EPISODES = pytest.mark.parametrize("seed", [20, 21, 22])
FPS = 6.0  # what a slow machine sees


@cache
def detector() -> Detector:
    return load_detector(Settings().weights, threads=1)


@cache
def played(seed: int) -> list[Moment]:
    episode = replace(random_episode(seed, fruits=2, width=640, height=360), fps=FPS)
    return [moment for moment, _ in watched(episode, detector())]


@cache
def judged(seed: int) -> Score:
    return score(played(seed))


@EPISODES
def test_the_basket_never_changes_at_rest_but_for_the_change_that_is_due(seed):
    assert judged(seed).flips == 0


@EPISODES
def test_no_fruit_is_ever_counted_twice(seed):
    assert judged(seed).doubles == 0


@EPISODES
def test_a_sure_basket_is_right_or_asks(seed):
    result = judged(seed)
    assert result.settled > 0.4 * result.moments
    assert (result.right + result.asked) / result.settled > 0.93


def test_sure_baskets_are_mostly_right_without_asking():
    total = sum((judged(seed) for seed in (20, 21, 22)), Score())
    assert total.right / total.settled > 0.85


def test_changes_are_in_the_basket_within_seven_tenths_of_a_second_of_rest():
    waits_s = sorted(wait_s for seed in (20, 21, 22) for wait_s in judged(seed).waits_s)
    assert waits_s[len(waits_s) // 2] <= 0.7
    assert waits_s.count(inf) <= 2  # the next hand came first
