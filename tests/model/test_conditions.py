"""Pictures as worse cameras and lamps show them."""

import numpy as np
import pytest

from model.data.conditions import load_conditions, under
from model.data.dataset import DataError

BOXES = np.array([[0, 0.5, 0.5, 0.2, 0.2]], np.float32)


def picture():
    image = np.full((90, 120, 3), (60, 110, 160), np.uint8)
    image[30:60, 40:80] = (30, 40, 200)
    return image


@pytest.mark.parametrize("name", load_conditions())
def test_a_condition_changes_what_is_seen_and_not_where(name):
    before = picture()
    [(seen, boxes)] = under(load_conditions()[name], [(before, BOXES)], seed=1)
    assert seen.shape == before.shape
    assert seen.dtype == np.uint8
    assert (seen != picture()).any()
    assert (before == picture()).all()
    assert (boxes == BOXES).all()


@pytest.mark.parametrize("name", load_conditions())
def test_the_same_seed_shows_the_same_again(name):
    condition = load_conditions()[name]
    first, second = (
        [image for image, _ in under(condition, [(picture(), BOXES)] * 2, seed=5)] for _ in range(2)
    )
    assert (np.array(first) == np.array(second)).all()


def test_colours_keep_their_order():
    conditions = load_conditions()
    warm, cold = (
        next(under(conditions[n], [(picture(), BOXES)], 3))[0].astype(float).mean((0, 1))
        for n in conditions
        if "lamps" in n
    )
    assert warm[2] / warm[0] > cold[2] / cold[0]  # more red, as BGR


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- GaussNoise", "expected lines 'name:'"),
        ("a: [", "not a YAML file of conditions"),
        ("misty:\n- Fog", "misty: albumentations has no transform 'Fog'"),
        ("misty: Fog", "misty: expected a list"),
        ("over:\n- VerticalFlip", "VerticalFlip may move what is seen"),
        ("over:\n- OneOf: {transforms: [VerticalFlip]}", "OneOf may move what is seen"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, said):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        load_conditions(path)
