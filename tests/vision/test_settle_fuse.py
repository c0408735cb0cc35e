import pytest

from app.vision.fuse import fuse
from app.vision.geometry import moved
from app.vision.settle import SettleConfig
from model.detector import Detection

CONFIG = SettleConfig(confidence=0.4)
APPLE = (100.0, 100.0, 200.0, 200.0)
FRAME = (1280.0, 720.0)


def shift(box, dx, dy=0.0):
    left, top, right, bottom = box
    return (left + dx, top + dy, right + dx, bottom + dy)


def names(detections):
    return [tuple(sorted(o.names)) for o in fuse(detections, CONFIG)]


def test_no_detections_make_no_observations():
    assert fuse([], CONFIG) == []


def test_one_detection_is_one_observation_with_its_score():
    (seen,) = fuse([Detection("apple", 0.8, APPLE)], CONFIG)
    assert (seen.box_xyxy, seen.score, dict(seen.names)) == (APPLE, 0.8, {"apple": 0.8})


def test_one_box_with_two_names_is_one_fruit_that_has_both():
    (seen,) = fuse([Detection("pear", 0.5, APPLE), Detection("apple", 0.7, APPLE)], CONFIG)
    assert dict(seen.names) == {"apple": 0.7, "pear": 0.5}
    assert seen.score == 0.7


def test_two_overlapping_boxes_of_one_fruit_with_different_classes_count_once():
    assert names([Detection("apple", 0.8, APPLE), Detection("pear", 0.6, shift(APPLE, 20))]) == [
        ("apple", "pear")
    ]


@pytest.mark.parametrize("dx", [100.0, 80.0, 60.0, 43.0])  # IoU 0, 0.11, 0.25, 0.4
@pytest.mark.parametrize("key", ["apple", "pear"])
def test_two_fruits_that_touch_or_hide_each_other_in_part_count_twice(dx, key):
    assert (
        len(fuse([Detection("apple", 0.8, APPLE), Detection(key, 0.7, shift(APPLE, dx))], CONFIG))
        == 2
    )


def test_a_second_box_inside_a_large_fruit_counts_once():
    whole, part = (100.0, 100.0, 500.0, 500.0), (110.0, 110.0, 380.0, 420.0)
    assert (
        len(fuse([Detection("watermelon", 0.8, whole), Detection("melon", 0.6, part)], CONFIG)) == 1
    )
    assert (
        len(fuse([Detection("watermelon", 0.6, whole), Detection("watermelon", 0.8, part)], CONFIG))
        == 1
    )


def test_two_parts_of_a_large_fruit_that_are_less_sure_than_the_whole_count_once():
    whole = Detection("watermelon", 0.9, (100.0, 100.0, 500.0, 500.0))
    left = Detection("watermelon", 0.5, (105.0, 105.0, 290.0, 480.0))
    right = Detection("watermelon", 0.5, (310.0, 105.0, 495.0, 480.0))
    assert [o.box_xyxy for o in fuse([left, whole, right], CONFIG)] == [whole.box_xyxy]


def test_a_small_apple_before_a_large_one_is_a_second_one_until_most_of_it_is_inside():
    large, small = (100.0, 100.0, 200.0, 200.0), (130.0, 165.0, 190.0, 225.0)  # 58 % inside
    two = [Detection("apple", 0.95, large), Detection("apple", 0.93, small)]
    assert len(fuse(two, CONFIG)) == 2
    part = Detection("apple", 0.93, (130.0, 150.0, 190.0, 210.0))  # 83 % inside
    assert len(fuse([two[0], part], CONFIG)) == 1


@pytest.mark.parametrize("around", [0.9, 0.6])
def test_a_big_box_around_two_fruits_does_not_swallow_them(around):
    left, right = APPLE, shift(APPLE, 95)
    big = (98.0, 98.0, 297.0, 202.0)
    found = [
        Detection("apple", 0.8, left),
        Detection("apple", 0.75, right),
        Detection("apple", around, big),
    ]
    assert sorted(o.box_xyxy for o in fuse(found, CONFIG)) == [left, right]


def test_a_lemon_before_a_watermelon_is_a_fruit_of_its_own():
    watermelon = Detection("watermelon", 0.9, (100.0, 100.0, 500.0, 500.0))
    lemon = Detection("lemon", 0.7, (350.0, 350.0, 440.0, 430.0))
    assert names([watermelon, lemon]) == [("watermelon",), ("lemon",)]


@pytest.mark.parametrize(("score", "seen"), [(CONFIG.keep_score, 1), (CONFIG.keep_score - 1e-9, 0)])
def test_a_box_below_the_keeping_score_is_left_out(score, seen):
    assert len(fuse([Detection("apple", score, APPLE)], CONFIG)) == seen


@pytest.mark.parametrize(
    "box",
    [
        (5.0, 5.0, 5.0, 9.0),
        (5.0, 5.0, 9.0, 4.0),
        (float("nan"), 0.0, 1.0, 1.0),
        (0.0, 0.0, float("inf"), 1.0),
    ],
)
def test_a_box_without_area_is_left_out(box):
    assert fuse([Detection("apple", 0.9, box)], CONFIG) == []


@pytest.mark.parametrize(
    ("new", "way"),
    [
        (shift(APPLE, 30, 40), 50.0),  # carried
        ((100.0, 100.0, 140.0, 200.0), 0.0),  # a hand from the right
        ((90.0, 90.0, 210.0, 210.0), 0.0),  # nearer to the camera
        ((130.0, 100.0, 210.0, 200.0), 10.0),
    ],
)
def test_a_box_moves_as_far_as_both_its_sides_do(new, way):
    assert moved(APPLE, new, FRAME) == pytest.approx(way)


def test_a_fruit_that_leaves_through_the_border_moves_with_its_inner_side():
    assert moved((10.0, 100.0, 110.0, 200.0), (0.0, 100.0, 50.0, 200.0), FRAME) == 60.0
    assert moved((1150.0, 100.0, 1250.0, 200.0), (1200.0, 100.0, 1280.0, 200.0), FRAME) == 50.0
