"""What the lane promises, one sentence a test."""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from app.vision.settle import SettleConfig, Settler
from model.detector import Detection
from tests.vision.simulate import TRAVEL_S, Fruit, Noise, flips, frames, play

FPS = pytest.mark.parametrize("fps", [5, 10, 30])
APPLE = Fruit("apple", 0.4, 0.5)
PEAR = Fruit("pear", 0.9, 0.5)
LEMON = Fruit("lemon", 1.4, 0.5)
THREE = [APPLE, PEAR, LEMON]
BASKET = {"apple": 1, "pear": 1, "lemon": 1}


def counts(moments):
    return [dict(m.scene.counts) for m in moments]


def after(moments, t_s):
    return [m for m in moments if m.t_s >= t_s]


def baskets(moments):
    """The baskets shown one after the other."""
    shown = counts(moments)
    return [shown[0], *(b for a, b in pairwise(shown) if a != b)]


@FPS
def test_an_empty_counter_is_settled_and_empty_after_half_a_second(fps):
    moments = play([], fps=fps, duration_s=2)
    assert not moments[0].scene.settled
    assert all(m.scene.settled and m.scene.counts == {} for m in after(moments, 0.5))


@FPS
def test_a_fruit_that_lies_still_is_in_the_basket_within_seven_tenths_of_a_second(fps):
    moments = play([replace(APPLE, arrives_s=2.0)], fps=fps, duration_s=5)
    assert all(m.scene.settled and m.right for m in after(moments, 2.7))
    assert baskets(moments) == [{}, {"apple": 1}]


@FPS
def test_a_fruit_on_its_way_is_not_in_the_basket(fps):
    moments = play([replace(APPLE, x=0.9, arrives_s=2.0)], fps=fps, duration_s=4)
    assert all(m.scene.counts == {} for m in moments if m.t_s < 2.0)


def test_a_sure_fruit_is_believed_sooner_than_a_weak_one():
    def first_seen(score):
        moments = play([APPLE], Noise(score=score, score_spread=0.0), fps=30, duration_s=3)
        return next(m.t_s for m in moments if any(t.confirmed for t in m.scene.tracks))

    assert first_seen(0.9) < first_seen(0.6) < first_seen(0.45) < 1.0


def test_a_fruit_below_the_confidence_never_enters():
    moments = play([APPLE], Noise(score=0.35, score_spread=0.0), fps=30, duration_s=5)
    assert all(m.scene.settled and m.scene.counts == {} for m in after(moments, 0.6))


@FPS
def test_a_fruit_hidden_by_a_hand_for_two_seconds_stays(fps):
    moments = play([replace(APPLE, hidden=((3.0, 5.0),)), PEAR], fps=fps, duration_s=8)
    assert baskets(moments) == [{}, {"apple": 1, "pear": 1}]
    assert all(m.scene.settled for m in after(moments, 5.8))


def test_while_a_fruit_is_out_of_sight_the_scene_is_not_settled():
    moments = play([replace(APPLE, hidden=((3.0, 5.0),))], fps=15, duration_s=8)
    assert not any(m.scene.settled for m in moments if 3.5 < m.t_s < 5.0)


@FPS
def test_a_fruit_carried_away_leaves_the_basket_soon_after(fps):
    moments = play([replace(APPLE, leaves_s=3.0), PEAR], fps=fps, duration_s=6)
    gone = 3.0 + TRAVEL_S + 0.7
    assert all(m.scene.settled and counts([m]) == [{"pear": 1}] for m in after(moments, gone))
    assert baskets(moments) == [{}, {"apple": 1, "pear": 1}, {"pear": 1}]


def test_a_fruit_taken_under_a_hand_leaves_three_seconds_later_and_is_in_doubt_till_then():
    moments = play([replace(APPLE, hidden=((3.0, 99.0),)), PEAR], fps=15, duration_s=9)
    assert all(not m.scene.settled for m in moments if 3.6 < m.t_s < 5.4)
    assert all(m.scene.settled and counts([m]) == [{"pear": 1}] for m in after(moments, 6.0))


@FPS
def test_a_fruit_that_is_put_elsewhere_counts_once(fps):
    moved = replace(APPLE, moves=((3.0, 0.9, 0.2),))
    assert baskets(play([moved, LEMON], fps=fps, duration_s=7)) == [{}, {"apple": 1, "lemon": 1}]


@FPS
def test_a_fruit_that_is_put_elsewhere_under_a_hand_counts_once(fps):
    moved = replace(APPLE, moves=((3.0, 0.9, 0.2),), hidden=((2.9, 3.7),))
    moments = play([moved, LEMON], fps=fps, duration_s=9)
    assert baskets(moments) == [{}, {"apple": 1, "lemon": 1}]
    assert all(m.scene.settled for m in after(moments, 6.0))


@FPS
def test_a_flickering_detection_does_not_change_the_cart(fps):
    moments = play(THREE, Noise(miss=0.3), fps=fps, duration_s=60)
    assert all(m.right for m in after(moments, 3.0))
    assert flips(after(moments, 3.0)) == 0


@FPS
def test_boxes_on_nothing_never_enter_the_basket_nor_keep_it_from_settling(fps):
    moments = play(THREE, Noise(ghosts_per_s=2), fps=fps, duration_s=30)
    assert set(map(str, counts(after(moments, 1.5)))) == {str(dict(sorted(BASKET.items())))}
    assert sum(m.scene.settled for m in after(moments, 1.5)) > 0.8 * len(after(moments, 1.5))


def test_a_fruit_whose_class_wavers_takes_the_class_of_its_history():
    moments = play(THREE, Noise(waver=0.25), fps=15, duration_s=60, seed=1)
    assert all(m.right for m in after(moments, 4.0))


def test_another_fruit_put_in_a_hidden_ones_place_is_named_anew():
    gone = replace(APPLE, leaves_s=10.0, hidden=((10.0, 99.0),))
    come = Fruit("pear", 0.4, 0.5, arrives_s=11.0, hidden=((0.0, 11.5),))
    moments = play([gone, come], fps=15, duration_s=16)
    assert baskets(moments) == [{}, {"apple": 1}, {"pear": 1}]
    assert all(m.right for m in after(moments, 14.0))


def test_two_names_and_a_second_box_for_one_fruit_count_once():
    noise = Noise(second_name=0.7, nested=0.5)
    moments = play(THREE, noise, fps=15, duration_s=20)
    assert all(m.right for m in after(moments, 2.0))


@FPS
@pytest.mark.parametrize("other", ["apple", "pear"])
def test_two_fruits_that_touch_count_twice(fps, other):
    pair = [Fruit("apple", 0.50, 0.5), Fruit(other, 0.64, 0.5)]  # IoU 0.18
    assert all(m.right for m in after(play(pair, fps=fps, duration_s=10), 1.0))


@FPS
def test_twelve_touching_fruits_of_one_class_count_twelve(fps):
    grid = [Fruit("apple", 0.3 + 0.19 * c, 0.2 + 0.19 * r) for c in range(4) for r in range(3)]
    moments = play(grid, Noise(miss=0.1), fps=fps, duration_s=10)
    assert max(sum(c.values()) for c in counts(moments)) == 12
    assert all(m.right for m in after(moments, 2.5))


@FPS
@pytest.mark.parametrize("fruits", [THREE, [APPLE]], ids=["three", "one"])
def test_a_shaking_mount_neither_changes_the_basket_nor_keeps_it_from_settling(fps, fruits):
    moments = play(fruits, Noise(shake=0.03), fps=fps, duration_s=20)
    assert flips(moments) == 1
    rest = after(moments, 2.5)
    assert all(m.right for m in rest)
    assert sum(m.scene.settled for m in rest) > 0.95 * len(rest)


@FPS
@pytest.mark.parametrize("by", [(0.15, 0.0), (0.1, 0.1), (0.0, 0.19)])
def test_a_bumped_mount_counts_nothing_twice(fps, by):
    grid = [Fruit("apple", 0.3 + 0.19 * c, 0.3 + 0.19 * r) for c in range(4) for r in range(2)]
    moments = play(grid, Noise(bump=(3.0, *by)), fps=fps, duration_s=8)
    assert baskets(moments) == [{}, {"apple": 8}]
    assert all(m.scene.settled for m in after(moments, 6.2))


@FPS
def test_a_dark_second_changes_nothing(fps):
    moments = play(THREE, Noise(dark=((3.0, 4.0),)), fps=fps, duration_s=6)
    assert baskets(moments) == [{}, dict(sorted(BASKET.items()))]
    assert all(m.scene.settled for m in after(moments, 4.5))


@FPS
def test_dim_light_changes_nothing(fps):
    moments = play(THREE, Noise(dim=((3.0, 5.0),)), fps=fps, duration_s=8)
    assert flips(moments) == 1


@FPS
def test_a_waving_hand_neither_changes_the_basket_nor_keeps_it_unsettled_for_ever(fps):
    corners = [replace(f, y=0.88, side=0.15) for f in THREE]
    moments = play(corners, Noise(hands=((3.0, 30.0),)), fps=fps, duration_s=30)
    assert flips(moments) == 1
    waving = after(moments, 12.0)
    assert sum(m.scene.settled for m in waving) > 0.5 * len(waving)


def test_the_basket_changes_as_a_whole():
    together = [replace(f, arrives_s=2.0) for f in THREE]
    moments = play(together, Noise(miss=0.2), fps=15, duration_s=6, seed=3)
    assert baskets(moments) == [{}, dict(sorted(BASKET.items()))]


def test_the_basket_stays_while_the_scene_is_unsettled():
    moments = play([replace(APPLE, moves=((3.0, 1.2, 0.3),))], fps=15, duration_s=6)
    assert any(not m.scene.settled for m in after(moments, 3.0))
    for before, now in pairwise(moments):
        assert now.scene.settled or now.scene.counts == before.scene.counts


def test_a_gap_in_the_pictures_proves_nothing():
    settler = Settler()
    seen = [Detection("apple", 0.8, (100.0, 100.0, 200.0, 200.0))]
    for index in range(30):
        settler.update(seen, index / 15, 640, 480)
    scene = settler.update([], 1000.0, 640, 480)
    assert not scene.settled
    assert scene.counts == {"apple": 1}
    assert settler.update(seen, 1000.1, 640, 480).settled


def test_after_a_long_gap_another_fruit_may_lie_in_a_fruits_place():
    settler = Settler()
    place = (100.0, 100.0, 200.0, 200.0)
    for index in range(150):
        settler.update([Detection("pear", 0.9, place)], index / 15, 640, 480)
    apple = [Detection("apple", 0.9, place)]
    scenes = [settler.update(apple, 13.0 + index / 15, 640, 480) for index in range(60)]
    assert not any(scene.settled and scene.counts == {"pear": 1} for scene in scenes)
    assert scenes[-1].settled
    assert scenes[-1].counts == {"apple": 1}


def test_a_clock_that_goes_back_does_no_harm():
    settler = Settler()
    seen = [Detection("apple", 0.8, (100.0, 100.0, 200.0, 200.0))]
    for index in (*range(30), *range(30)):
        scene = settler.update(seen, index / 15, 640, 480)
    assert scene.settled
    assert scene.counts == {"apple": 1}


def test_ids_grow_and_memory_stays_bounded():
    settler = Settler()
    most = last = 0
    for t_s, detections in frames(THREE, Noise(ghosts_per_s=20), fps=10, duration_s=120, seed=0):
        scene = settler.update(detections, t_s, 1280, 720)
        most = max(most, len(settler._tracks))
        last = max([last, *(t.id for t in scene.tracks)])
    assert last > 150
    assert most < 60


def test_every_confidence_brings_its_own_keeping_score():
    assert SettleConfig(confidence=0.6).keep_score == pytest.approx(0.3)


def test_the_drawn_tracks_agree_with_the_basket_at_rest():
    scene = play(THREE, fps=15, duration_s=3)[-1].scene
    assert Counter(t.key for t in scene.tracks if t.confirmed) == scene.counts
    assert [t.id for t in scene.tracks] == sorted({t.id for t in scene.tracks})


def blinking(config, moves):
    """30 scenes a second: a pear is out of sight from 3.35 to 3.7 s, an apple moves until 3.3."""
    settler = Settler(config)
    for frame in range(114):
        t_s = frame / 30
        x = 100 + (300 * min(max(t_s - 3.0, 0), 0.3) if moves else 0)
        found = [Detection("apple", 0.9, (x, 100, x + 100, 200))]
        if not 3.35 < t_s < 3.7:
            found.append(Detection("pear", 0.9, (400, 100, 500, 200)))
        yield t_s, settler.update(found, t_s, 640, 480)


@pytest.mark.parametrize(("blink_s", "sure"), [(0.2, False), (0.4, True)])
def test_a_scene_becomes_sure_only_while_its_fruits_are_seen(blink_s, sure):
    scenes = blinking(SettleConfig(blink_before_s=blink_s), moves=True)
    assert any(scene.settled for t_s, scene in scenes if 3.35 < t_s < 3.7) is sure


def test_a_sure_scene_stays_so_while_a_fruit_flickers():
    assert all(scene.settled for t_s, scene in blinking(SettleConfig(), moves=False) if t_s > 1)


@pytest.mark.parametrize("frames", [1, 6, 18])
def test_one_box_around_two_fruits_takes_none_out_of_the_basket(frames):
    settler = Settler()
    two = [Detection("apple", 0.6, (x, 100.0, x + 100.0, 200.0)) for x in (100.0, 190.0)]
    one = [Detection("apple", 0.85, (100.0, 100.0, 290.0, 200.0)), *two]
    for frame in range(60):
        scene = settler.update(two, frame / 30, 640, 480)
    assert scene.settled
    for frame in range(60, 120):
        scene = settler.update(one if frame < 60 + frames else two, frame / 30, 640, 480)
        assert scene.counts == {"apple": 2}
    assert scene.settled


def test_a_scene_with_a_fruit_out_of_sight_is_not_calm():
    settler = Settler()
    apple = [Detection("apple", 0.9, (100.0, 100.0, 200.0, 200.0))]
    for frame in range(30):
        scene = settler.update(apple, frame / 15, 640, 480)
    assert (scene.settled, scene.calm) == (True, True)
    scene = settler.update([], 2.0, 640, 480)
    assert (scene.settled, scene.calm) == (True, False)  # a flicker, or it was taken
    scene = settler.update(apple, 2.1, 640, 480)
    assert (scene.settled, scene.calm) == (True, True)


@pytest.mark.parametrize("fps", [10, 30])
def test_what_moves_for_ever_and_is_found_now_and_then_does_not_make_the_screen_waver(fps):
    settler, sure = Settler(), []
    apple = Detection("apple", 0.9, (100.0, 100.0, 200.0, 200.0))
    for frame in range(30 * fps):
        t_s = frame / fps
        x = 400 + 120 * math.sin(5 * t_s)
        pear = Detection("pear", 0.8, (x, 250.0, x + 90, 340.0))
        found = [apple, pear] if frame * 7 % 10 < 7 else [apple]
        sure.append(settler.update(found, t_s, 640, 480).settled)
    assert sum(a != b for a, b in pairwise(sure[10 * fps :])) <= 2
