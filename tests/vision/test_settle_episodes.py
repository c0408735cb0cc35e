"""Choreographed checkouts: hands in the picture, a detector that sees what they leave free."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from statistics import median

import pytest

from app.vision.settle import Scene, Settler
from model.detector import Detection
from tests.vision.choreography import scene_at
from tests.vision.episodes import Truth, _truth, random_episode
from tests.vision.filming import Filming

EPISODES = pytest.mark.parametrize("seed", [0, 1, 2])
FPS = 10
NEEDED = 0.5  # share of a fruit that must be visible to be found


@cache
def watched(seed: int) -> list[tuple[Truth, Scene]]:
    episode, dice, settler = random_episode(seed), random.Random(seed), Settler()
    return [
        (truth, settler.update(_detect(truth, dice), truth.t_s, episode.width, episode.height))
        for truth in _truths(episode)
    ]


def _truths(episode) -> Iterator[Truth]:
    filmed = Filming(episode)
    for number in range(round(episode.duration_s * FPS)):
        t_s = number / FPS
        fruits, hands = scene_at(episode, t_s)
        yield _truth(episode, t_s, fruits, hands, filmed.shift(t_s))


def _detect(truth: Truth, dice: random.Random) -> list[Detection]:
    return [
        Detection(
            box.key, dice.uniform(0.6, 0.9), tuple(e + dice.gauss(0, 2) for e in box.box_xyxy)
        )
        for box in truth.boxes
        if box.visible >= NEEDED and dice.random() > 0.05
    ]


def _right(truth: Truth, scene: Scene) -> bool:
    return dict(scene.counts) == dict(truth.counts)


@EPISODES
def test_no_basket_ever_holds_more_than_was_put_there(seed):
    most = max(sum(truth.counts.values()) for truth, _ in watched(seed))
    assert max(sum(scene.counts.values()) for _, scene in watched(seed)) == most


@EPISODES
def test_a_right_basket_at_rest_stays_right(seed):
    for (before, was), (now, scene) in pairwise(watched(seed)):
        if before.at_rest and now.at_rest and _right(before, was):
            assert _right(now, scene)


@EPISODES
def test_settled_moments_show_the_right_basket(seed):
    settled = [_right(truth, scene) for truth, scene in watched(seed) if scene.settled]
    assert sum(settled) / len(settled) > 0.9


@EPISODES
def test_from_rest_to_the_right_basket_the_median_is_below_seven_tenths_of_a_second(seed):
    assert median(_latencies(watched(seed))) <= 0.7


def _latencies(seen: list[tuple[Truth, Scene]]) -> Iterator[float]:
    """Seconds from each beginning of rest to the settled right basket, or to the next hand."""
    since_s = None
    for truth, scene in seen:
        if truth.at_rest and since_s is None:
            since_s, found = truth.t_s, False
        if since_s is not None and not found and (_right(truth, scene) or not truth.at_rest):
            found = True
            yield truth.t_s - since_s
        if not truth.at_rest:
            since_s = None
