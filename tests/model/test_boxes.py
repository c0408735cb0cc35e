import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.boxes import PAD_GREY, Letterbox, cxcywh_to_xyxy, iou_wh, iou_xyxy, paired_iou


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


@given(
    width=st.integers(16, 3000),
    height=st.integers(16, 3000),
    size=st.sampled_from([96, 320, 416]),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
def test_a_box_put_into_the_input_and_back_is_the_same_box(width, height, size, x, y):
    fit = Letterbox(width, height, size)
    box = np.array([[0, 0, x * width, y * height]], np.float32)
    inner = np.array([*fit.inner, *fit.inner], np.float32)
    offset = np.array([fit.left, fit.top] * 2, np.float32)
    inside = box / [width, height, width, height] * inner + offset
    assert fit.to_picture(inside.astype(np.float32)) == pytest.approx(
        box, abs=max(width, height) * 1e-4
    )
