"""What a picture says of the counter, beside what the detector finds."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.vision.cells import cells_of
from app.vision.ground import LOST_S, Ground

WIDTH, HEIGHT = 320, 180
WOOD, SKIN, SLEEVE, GREEN = (120, 160, 190), (150, 180, 226), (110, 74, 48), (60, 180, 80)
PEAR = (100.0, 60.0, 140.0, 100.0)


def counter(width=WIDTH, height=HEIGHT):
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = WOOD
    return picture


def painted(box_xyxy, colour, on=None):
    picture = counter() if on is None else on.copy()
    left, top, right, bottom = (round(edge) for edge in box_xyxy)
    picture[top:bottom, left:right] = colour
    return picture


def look(ground, picture):
    ground.look(cells_of(picture), picture.shape[1])


def covered(ground, boxes_xyxy):
    ground.watch(boxes_xyxy, 0.1)
    return ground.is_covered


def known(picture=None, boxes_xyxy=()):
    ground = Ground()
    look(ground, counter() if picture is None else picture)
    ground.learn(boxes_xyxy, 0.1)
    return ground


def test_a_counter_that_was_never_seen_is_neither_covered_nor_bare():
    ground = Ground()
    assert not covered(ground, [])
    assert ground.bare_share(PEAR) == 0.0
    look(ground, counter())
    assert not covered(ground, [])
    assert ground.bare_share(PEAR) == 0.0


def test_a_known_counter_is_bare():
    ground = known()
    look(ground, counter())
    assert not covered(ground, [])
    assert ground.bare_share(PEAR) == 1.0


def test_a_hand_over_it_is_noticed_and_a_fruit_in_its_box_is_none():
    ground = known()
    look(ground, painted((200, 90, 240, 180), SKIN))
    assert covered(ground, [])
    look(ground, painted(PEAR, GREEN))
    assert covered(ground, [])
    assert not covered(ground, [PEAR])


@pytest.mark.parametrize("gain", [0.6, 0.85, 1.15])
def test_light_that_changes_everywhere_alike_changes_nothing(gain):
    ground = known()
    look(ground, (counter() * gain).astype(np.uint8))
    assert not covered(ground, [])
    assert ground.bare_share(PEAR) == 1.0
    look(ground, (painted(PEAR, GREEN) * gain).astype(np.uint8))
    assert covered(ground, [])
    assert ground.bare_share(PEAR) == 0.0


def test_a_shadow_is_no_hand():
    ground = known()
    shadow = painted((180, 40, 260, 120), [round(0.7 * c) for c in WOOD])
    look(ground, shadow)
    assert not covered(ground, [])


def test_noise_and_a_line_a_cell_wide_are_no_hand():
    ground = known()
    noise = np.random.default_rng(1).normal(0, 12, (HEIGHT, WIDTH, 3))
    look(ground, np.clip(counter() + noise, 0, 255).astype(np.uint8))
    assert not covered(ground, [])
    look(ground, painted((0, 88, WIDTH, 92), SKIN))
    assert not covered(ground, [])


def test_what_lies_under_a_fruit_is_unknown_until_it_was_seen_bare():
    ground = known(painted(PEAR, GREEN), [PEAR])
    look(ground, counter())
    assert ground.bare_share(PEAR) == 0.0
    assert not covered(ground, [])
    ground.learn([], 0.1)
    look(ground, counter())
    assert ground.bare_share(PEAR) == 1.0


def test_a_passing_hand_is_not_taken_for_the_counter_and_what_stays_is():
    ground, bag = known(), painted((200, 90, 240, 180), SLEEVE)
    for _ in range(15):
        look(ground, bag)
        ground.learn([], 0.1)
    assert covered(ground, [])
    for _ in range(200):
        look(ground, bag)
        ground.learn([], 0.1)
    assert not covered(ground, [])


def test_a_mount_that_was_knocked_shows_another_counter_to_be_learnt_anew():
    stripes = counter()
    stripes[:, ::40] = 0
    stripes[:, 0:WIDTH:80] = 0
    for column in range(0, WIDTH, 80):
        stripes[:, column : column + 40] = (30, 200, 60)
    ground, knocked = known(stripes), np.roll(stripes, 40, axis=1)
    for _ in range(round(LOST_S / 0.1)):
        look(ground, knocked)
        assert covered(ground, [])
        assert ground.bare_share(PEAR) == 0.0
    look(ground, knocked)
    assert not covered(ground, [])
    ground.learn([], 0.1)
    look(ground, knocked)
    ground.learn([], 0.1)
    look(ground, knocked)
    assert ground.bare_share(PEAR) == 1.0


def test_a_camera_with_another_resolution_begins_anew():
    ground = known()
    look(ground, counter(640, 480))
    assert not covered(ground, [])
    assert ground.bare_share(PEAR) == 0.0


edges = st.floats(-500, 900, allow_nan=False)
sizes = st.integers(20, 400)


@settings(deadline=None, max_examples=50)
@given(sizes, sizes, edges, edges, edges, edges)
def test_any_picture_and_any_box_will_do(width, height, x1, x2, y1, y2):
    ground, box = Ground(), (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    for _ in range(2):
        look(ground, counter(width, height))
        assert 0.0 <= ground.bare_share(box) <= 1.0
        assert not covered(ground, [box])
        ground.learn([box], 0.1)


# A thing that lies there for long


def strange_after(seconds, picture, boxes_xyxy=(), ground=None):
    ground = ground or known()
    for _ in range(round(seconds * 10)):
        look(ground, picture)
        ground.watch(boxes_xyxy, 0.1)
    return ground.strangers


def test_a_thing_like_a_fruit_is_strange_once_it_has_lain_for_long_beside_all_fruit():
    thing = painted(PEAR, GREEN)
    assert not strange_after(3.8, thing)
    assert strange_after(4.5, thing) == [pytest.approx(PEAR, abs=4)]
    assert not strange_after(60, thing, [PEAR])
    assert not strange_after(60, counter())


@pytest.mark.parametrize(
    "box_xyxy",
    [
        pytest.param((140, 60, 200, HEIGHT), id="an arm from the picture's edge"),
        pytest.param((60, 60, 260, 90), id="too long: a pen, a cable"),
        pytest.param((100, 60, 108, 68), id="too small: a leaf, a coin"),
        pytest.param((60, 80, 260, 84), id="too thin: an edge that shook"),
    ],
)
def test_what_cannot_be_a_fruit_is_not_strange(box_xyxy):
    assert not strange_after(60, painted(box_xyxy, SKIN))


def test_a_strange_thing_stays_strange_until_it_is_taken_or_found():
    ground, thing = known(), painted(PEAR, GREEN)
    for _ in range(60):
        assert strange_after(6, thing, ground=ground)
        ground.learn([], 1.0)
    assert not strange_after(4, counter(), ground=ground)
    assert strange_after(6, thing, ground=ground)
    assert not strange_after(4, thing, [PEAR], ground)


def test_a_thing_that_was_accepted_is_counter():
    ground, thing = known(), painted(PEAR, GREEN)
    assert strange_after(6, thing, ground=ground)
    ground.accept()
    assert not strange_after(60, thing, ground=ground)
    assert not covered(ground, [])
    other = painted((200.0, 60.0, 240.0, 100.0), SKIN, thing)
    assert strange_after(6, other, ground=ground)


def test_a_thing_that_was_accepted_and_taken_leaves_the_counter_as_it_was():
    ground, thing = known(), painted(PEAR, GREEN)
    assert strange_after(6, thing, ground=ground)
    ground.accept()
    assert not strange_after(6, thing, ground=ground)
    assert not strange_after(60, counter(), ground=ground)
    assert not covered(ground, [])
    assert ground.bare_share(PEAR) == 1.0
    assert strange_after(6, thing, ground=ground)


def test_an_arm_that_leans_on_a_strange_thing_does_not_make_it_known():
    ground, thing = known(), painted(PEAR, GREEN)
    assert strange_after(6, thing, ground=ground)
    arm = painted((115, 90, 130, HEIGHT), SKIN, thing)
    for _ in range(40):
        assert strange_after(0.5, arm, ground=ground) == [pytest.approx(PEAR, abs=8)]
        ground.learn([], 0.5)
    assert strange_after(1, thing, ground=ground) == [pytest.approx(PEAR, abs=8)]


def test_an_arm_that_came_to_rest_bit_by_bit_is_not_strange():
    ground = known()
    assert not strange_after(3, painted((115, 40, 160, 120), SKIN), ground=ground)
    assert not strange_after(60, painted((115, 40, 160, HEIGHT), SKIN), ground=ground)


@pytest.mark.parametrize("seconds", [0.1, LOST_S - 1])
def test_somebody_who_leans_over_half_of_the_counter_makes_no_strange_thing_known(seconds):
    ground, thing = known(), painted(PEAR, GREEN)
    assert strange_after(6, thing, ground=ground)
    noise = np.random.default_rng(0).integers(0, 255, (9, 16, 3), np.uint8)
    coat = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    leaning = np.hstack([coat[:, :200], thing[:, 200:]])
    assert strange_after(seconds, leaning, ground=ground)
    assert ground.is_covered
    assert strange_after(0.5, thing, ground=ground) == [pytest.approx(PEAR, abs=4)]


def test_one_noisy_picture_does_not_make_a_strange_thing_known():
    ground = known()
    assert strange_after(6, painted(PEAR, GREEN), ground=ground)
    strange_after(0.1, counter(), ground=ground)
    assert strange_after(0.3, painted(PEAR, GREEN), ground=ground)
