from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.vision.annotate import DARK, annotate, colour_of, encode_jpeg
from app.vision.settle import TrackView

NAMES = {"apple": "Apple", "oriental_melon": "참외"}
KEYS = ["apple", "orange", "pear", "watermelon", "durian", "lemon", "grapes", "pineapple"]
KEYS += ["dragon_fruit", "oriental_melon", "melon"]


def track(
    box: tuple[float, float, float, float], key: str = "apple", confirmed: bool = True
) -> TrackView:
    return TrackView(id=1, key=key, score=0.93, box_xyxy=box, confirmed=confirmed)


def grey(height: int = 720, width: int = 1280) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def drawn(image: np.ndarray, *tracks: TrackView) -> np.ndarray:
    """Which pixels differ from the picture, bool (H, W)."""
    return (annotate(image, tracks, NAMES) != image).any(axis=2)


def test_without_tracks_a_copy_comes_back() -> None:
    image = grey()
    copy = annotate(image, [], NAMES)
    assert copy is not image
    assert (copy == image).all()


def test_the_picture_given_is_left_as_it_is() -> None:
    image = grey()
    annotate(image, [track((100, 100, 300, 300))], NAMES)
    assert (image == 128).all()


def test_a_confirmed_track_has_a_whole_box_and_a_label_above_it() -> None:
    marks = drawn(grey(), track((400, 300, 600, 500)))
    assert marks[300:501, 400].all()
    assert marks[500, 400:601].all()
    assert marks[280, 402:440].all()  # the label's ground
    assert not marks[320:480, 420:580].any()  # the fruit itself stays free


def test_an_unconfirmed_track_has_thin_corners_and_no_label() -> None:
    box = (400, 300, 600, 500)
    marks = drawn(grey(), track(box, confirmed=False))
    assert marks[300, 410]
    assert not marks[300, 500]  # open between the corners
    assert not marks[:299].any()
    assert marks.sum() < drawn(grey(), track(box)).sum() / 10


@pytest.mark.parametrize(
    "box",
    [
        (-50, -50, 60, 60),
        (1220, 10, 1300, 90),
        (1200, 680, 1280, 720),
        (0, 0, 1280, 720),
        (-100, 300, 1400, 400),
    ],
)
def test_a_label_stays_inside_the_picture(box: tuple[float, float, float, float]) -> None:
    def coloured(track: TrackView) -> int:
        return int((annotate(grey(), [track], NAMES) == colour_of("dragon_fruit")).all(2).sum())

    free = coloured(track((500, 300, 700, 500), "dragon_fruit"))
    assert coloured(track(box, "dragon_fruit")) > 0.5 * free  # the label is most of the colour


@pytest.mark.parametrize(
    "box", [(2000, 10, 2100, 90), (-90, -90, -10, -10), (50, 50, 50, 80), (80, 80, 40, 40)]
)
def test_a_box_with_nothing_in_the_picture_is_not_drawn(
    box: tuple[float, float, float, float],
) -> None:
    assert not drawn(grey(), track(box)).any()


@given(
    st.tuples(*[st.floats(-3000, 3000)] * 4),
    st.sampled_from(KEYS),
    st.booleans(),
    st.sampled_from([(1, 1), (2, 500), (500, 2), (97, 131), (480, 640)]),
)
def test_any_box_can_be_drawn_on_any_picture(
    box: tuple[float, float, float, float], key: str, confirmed: bool, size: tuple[int, int]
) -> None:
    picture = annotate(grey(*size), [track(box, key, confirmed)], NAMES)
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8


def luminance(bgr: tuple[int, int, int]) -> float:
    shares = [c / 255 for c in bgr[::-1]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@given(st.text(max_size=30))
def test_text_on_every_class_colour_has_a_contrast_of_at_least_4_5(key: str) -> None:
    # WCAG 2.2, 1.4.3
    assert (luminance(colour_of(key)) + 0.05) / (luminance(DARK) + 0.05) >= 4.5


def test_a_class_keeps_its_colour_and_no_two_fruits_share_one() -> None:
    assert colour_of("apple") == colour_of("apple")
    assert len({colour_of(key) for key in KEYS}) == len(KEYS)


def test_korean_names_are_drawn_as_such() -> None:
    box = (400.0, 300.0, 600.0, 500.0)
    korean = annotate(grey(), [track(box, "oriental_melon")], NAMES)
    unknown = annotate(grey(), [track(box, "oriental_melon")], {"oriental_melon": "??"})
    assert (korean != unknown).any()


def test_a_jpeg_holds_the_picture() -> None:
    image = np.full((60, 80, 3), (30, 120, 220), np.uint8)
    back = cv2.imdecode(np.frombuffer(encode_jpeg(image), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).max() < 12


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((720, 1280), (540, 960)),
        ((1080, 1920), (540, 960)),
        ((600, 960), (600, 960)),
        ((100, 961), (100, 960)),
        ((1, 5000), (1, 960)),
    ],
)
def test_a_wide_picture_is_made_smaller_in_proportion(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert annotate(grey(*size), [], NAMES, max_width=960).shape[:2] == expected


def test_boxes_stay_on_their_fruits_when_the_picture_is_made_smaller() -> None:
    box = track((400, 200, 800, 600))
    marks = (annotate(grey(), [box], NAMES, max_width=640) != 128).any(axis=2)
    assert marks.shape == (360, 640)
    assert marks[100:301, 200].all()
    assert marks[300, 200:401].all()
    assert not marks[110:290, 210:390].any()


def test_lower_quality_makes_a_smaller_jpeg() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    assert len(encode_jpeg(noise, quality=30)) < len(encode_jpeg(noise, quality=90)) / 2
