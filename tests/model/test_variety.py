"""Other individuals of a cut-out."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.variety import LONGER, coloured, shaped

SEEDS = st.integers(0, 2**32)


def fruit(bgr, width=60, height=80):
    """An oval of one colour with a soft rim, premultiplied."""
    alpha = np.zeros((height, width), np.uint8)
    middle, half = (width // 2, height // 2), (width // 2 - 4, height // 2 - 4)
    cv2.ellipse(alpha, middle, half, 0, 0, 360, 255, -1)
    alpha = cv2.blur(alpha, (5, 5))
    return np.dstack([(alpha * (part / 255)).astype(np.uint8) for part in bgr] + [alpha])


def middle_colour(image):
    return image[20:60, 15:45, :3].reshape(-1, 3).mean(0)


@given(SEEDS, st.booleans())
def test_another_skin_keeps_the_outline_and_is_never_brighter_than_its_alpha(seed, crossed):
    image = fruit((30, 140, 250))
    mate = fruit((40, 40, 200), 300, 200) if crossed else None
    before = image.copy()
    found = coloured(image, mate, np.random.default_rng(seed))
    assert found.dtype == np.uint8
    assert (image == before).all()  # the library's own cut-out is not touched
    assert (found[:, :, 3] == image[:, :, 3]).all()
    assert (found[:, :, :3] <= found[:, :, 3:]).all()


@given(SEEDS)
def test_an_orange_stays_apart_from_a_lemon(seed):
    hues = [
        cv2.cvtColor(coloured(fruit(bgr), None, np.random.default_rng(seed))[:, :, :3], 40)[40, 30]
        for bgr in ((0, 128, 255), (0, 235, 255))  # hues 15 and 28 of 180
    ]
    assert hues[0][0] < 21.5 < hues[1][0]


def test_skins_differ_from_seed_to_seed():
    image = fruit((30, 140, 250))
    colours = [middle_colour(coloured(image, None, np.random.default_rng(n))) for n in range(12)]
    assert np.ptp(colours, axis=0).max() > 20


def test_patches_of_a_mates_skin_are_taken_over():
    green, red = fruit((40, 180, 60)), fruit((40, 40, 200), 120, 50)
    reds = [
        middle_colour(coloured(green, mate, np.random.default_rng(n)))[2]
        for mate in (None, red)
        for n in range(20)
    ]
    assert np.mean(reds[20:]) > np.mean(reds[:20]) + 30
    assert np.std(reds[20:]) > 10  # some more, some less


@given(SEEDS)
def test_another_build_stays_near_the_fruits_own(seed):
    build = shaped(np.random.default_rng(seed))
    lengths = np.linalg.svd(build, compute_uv=False)
    assert np.exp(LONGER) * 0.99 < 1.2
    assert np.prod(lengths) == pytest.approx(1, abs=0.01)  # as large as before
    assert lengths[0] / lengths[1] < 1.3
