"""What counts as a change of the picture, and what does not."""

import numpy as np
import pytest

from app.vision.cells import cells_of
from app.vision.stillness import Stillness


def counter(seed: int = 0, noise: float = 4.0) -> np.ndarray:
    """A grey counter, with the noise of a camera in poor light."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, noise, (360, 640, 3))
    return np.clip(120 + grain, 0, 255).astype(np.uint8)


def remembered(image: np.ndarray, at_s: float = 0.0) -> Stillness:
    stillness = Stillness()
    stillness.remember(cells_of(image), at_s)
    return stillness


def test_noise_is_no_change():
    stillness = remembered(counter())
    assert all(stillness.holds(cells_of(counter(seed)), 0.1) for seed in range(1, 20))


@pytest.mark.parametrize("colour", [(120, 120, 160), (100, 120, 120), (135, 135, 135)])
def test_a_small_fruit_of_nearly_the_counters_colour_is_a_change(colour):
    changed = counter(1)
    changed[100:132, 200:232] = colour
    assert not remembered(counter()).holds(cells_of(changed), 0.1)


def test_slow_changes_add_up():
    stillness = remembered(counter(noise=0))
    assert stillness.holds(cells_of(counter(noise=0) + 2), 0.1)
    assert not stillness.holds(cells_of(counter(noise=0) + 5), 0.2)


@pytest.mark.parametrize("at_s", [-0.1, 1.0, 60.0])
def test_an_old_picture_says_nothing(at_s):
    assert not remembered(counter()).holds(cells_of(counter()), at_s)


def test_another_shape_is_a_change_and_nothing_is_remembered_at_first():
    assert not remembered(counter()).holds(cells_of(np.zeros((240, 320, 3), np.uint8)), 0.1)
    assert not Stillness().holds(cells_of(counter()), 0.0)


def test_a_picture_smaller_than_a_cell_is_looked_at_like_any_other():
    tiny = np.zeros((4, 4, 3), np.uint8)
    assert remembered(tiny).holds(cells_of(tiny), 0.1)
    assert not remembered(tiny).holds(cells_of(tiny + 9), 0.1)
