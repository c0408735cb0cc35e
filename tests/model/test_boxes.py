import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.boxes import (
    PAD_GREY,
    Letterbox,
    cxcywh_to_xyxy,
    iou_wh,
    iou_xyxy,
    paired_iou,
    tight_sides,
)


def test_corners_come_from_centre_and_size():
    assert cxcywh_to_xyxy(torch.tensor([5.0, 6.0, 4.0, 2.0])).tolist() == [3, 5, 7, 7]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
        ([0, 0, 2, 2], [2, 0, 4, 2], 0.0),
        ([0, 0, 2, 2], [5, 5, 6, 6], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),
    ],
)
def test_iou_of_hand_computed_pairs(a, b, expected):
    assert iou_xyxy(np.array([a], float), np.array([b], float))[0, 0] == pytest.approx(expected)


def test_iou_of_no_boxes_is_an_empty_matrix():
    assert iou_xyxy(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


def test_sizes_that_share_a_centre_overlap_by_the_smaller_one():
    assert iou_wh(torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 4.0]]))[0, 0] == pytest.approx(
        2 / 6
    )


def test_ciou_of_a_perfect_box_is_one_and_falls_with_distance():
    box = torch.tensor([[0.5, 0.5, 0.2, 0.2]])
    near, far = box + torch.tensor([0.3, 0, 0, 0]), box + torch.tensor([0.45, 0, 0, 0])
    assert paired_iou(box, box, "ciou")[0].item() == pytest.approx(1, abs=1e-5)
    assert paired_iou(near, box, "ciou")[0] > paired_iou(far, box, "ciou")[0]
    assert paired_iou(far, box, "ciou")[1].item() == 0


def test_letterbox_puts_grey_bars_above_and_below_a_wide_picture():
    square = Letterbox(200, 100, 64).apply(np.full((100, 200, 3), 255, np.uint8))
    assert square.shape == (64, 64, 3)
    assert (square[:16] == PAD_GREY).all()
    assert (square[16:48] == 255).all()
    assert (square[48:] == PAD_GREY).all()


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        (416, ((512, 288), (448, 352), (416, 416))),
        (320, ((384, 224), (352, 288), (320, 320))),
        (96, ((96, 64), (96, 96), (96, 96))),
        (32, ((32, 32), (32, 32), (32, 32))),
    ],
)
def test_inputs_are_of_16_to_9_of_4_to_3_and_square(size, sides):
    assert tight_sides(size) == sides


@given(st.integers(1, 40))
def test_no_tight_input_takes_more_work_than_the_square(steps):
    size = 32 * steps
    for long, short in tight_sides(size):
        assert long >= short
        assert size <= long
        assert long * short <= size**2
        assert (long % 32, short % 32) == (0, 0)


@pytest.mark.parametrize(
    ("picture", "outer"),
    [
        ((1280, 720), (512, 288)),
        ((1920, 1080), (512, 288)),
        ((720, 1280), (288, 512)),
        ((640, 480), (448, 352)),
        ((480, 640), (352, 448)),
        ((600, 400), (448, 352)),
        ((416, 416), (416, 416)),
        ((500, 400), (416, 416)),
        ((1000, 999), (416, 416)),
        ((1, 1000), (288, 512)),
        ((1000, 1), (512, 288)),
        ((1, 1), (416, 416)),
        pytest.param((512, 288), (512, 288), id="just fits"),
        pytest.param((512, 289), (448, 352), id="one line too many"),
    ],
)
def test_a_tight_input_is_the_longest_that_holds_the_picture(picture, outer):
    fit = Letterbox(*picture, 416, tight=True)
    assert fit.outer == outer
    assert max(fit.inner) == max(outer)


@given(width=st.integers(1, 3000), height=st.integers(1, 3000), steps=st.integers(1, 20))
def test_a_tight_input_holds_the_picture_in_one_of_five_shapes(width, height, steps):
    size = 32 * steps
    fit = Letterbox(width, height, size, tight=True)
    assert tuple(sorted(fit.outer, reverse=True)) in tight_sides(size)
    assert max(fit.inner) == max(fit.outer)
    assert all(inner <= outer for inner, outer in zip(fit.inner, fit.outer, strict=True))
    assert all(outer % 32 == 0 for outer in fit.outer)


def test_a_tight_letterbox_leaves_few_bars():
    fitted = Letterbox(160, 90, 320, tight=True).apply(np.full((90, 160, 3), 255, np.uint8))
    assert fitted.shape == (224, 384, 3)
    assert (fitted[:4] == PAD_GREY).all()
    assert (fitted[4:220] == 255).all()
    assert (fitted[220:] == PAD_GREY).all()


@given(
    width=st.integers(16, 3000),
    height=st.integers(16, 3000),
    size=st.sampled_from([96, 320, 416]),
    tight=st.booleans(),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
def test_a_box_put_into_the_input_and_back_is_the_same_box(width, height, size, tight, x, y):
    fit = Letterbox(width, height, size, tight)
    box = np.array([[0, 0, x * width, y * height]], np.float32)
    inner = np.array([*fit.inner, *fit.inner], np.float32)
    offset = np.array([fit.left, fit.top] * 2, np.float32)
    inside = box / [width, height, width, height] * inner + offset
    assert fit.to_picture(inside.astype(np.float32)) == pytest.approx(
        box, abs=max(width, height) * 1e-4
    )
