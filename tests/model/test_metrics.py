import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.metrics import (
    PictureResult,
    average_precision,
    best_confidence,
    checkout_metrics,
    confusion,
    counts,
    find_hits,
    one_per_fruit,
    precision_recall,
)

BOX, OTHER = [0, 0, 10, 10], [50, 50, 70, 70]


def picture(truth=(), found=()):
    """truth: (class, box); found: (class, score, box)."""
    return PictureResult(
        100,
        100,
        np.array([t[1] for t in truth], np.float32).reshape(-1, 4),
        np.array([t[0] for t in truth], int),
        np.array([f[2] for f in found], np.float32).reshape(-1, 4),
        np.array([f[0] for f in found], int),
        np.array([f[1] for f in found], np.float32),
    )


def test_finding_everything_exactly_is_an_ap_of_one():
    ap = average_precision([picture([(0, BOX), (1, OTHER)], [(0, 0.9, BOX), (1, 0.8, OTHER)])], 3)
    assert (ap.map50, ap.map) == pytest.approx((1, 1))
    assert ap.ap50[:2] == pytest.approx([1, 1])
    assert np.isnan(ap.ap50[2])


def test_a_class_that_is_never_found_counts_as_zero():
    ap = average_precision([picture([(0, BOX), (1, OTHER)], [(0, 0.9, BOX)])], 2)
    assert ap.map50 == pytest.approx(0.5)


@pytest.mark.parametrize("truth", [(), ((0, BOX),)])
def test_nothing_found_is_an_ap_of_zero(truth):
    assert average_precision([picture(truth)], 2).map50 == 0


def test_a_loose_box_counts_at_half_overlap_and_not_at_the_strict_ones():
    ap = average_precision([picture([(0, BOX)], [(0, 0.9, [0, 0, 10, 6])])], 1)
    assert ap.map50 == pytest.approx(1)
    assert ap.map == pytest.approx(0.3)  # IoU 0.6: right at 0.50, 0.55 and 0.60 of ten


def test_the_basket_metrics_of_a_hand_computed_case():
    truth = np.array([[1, 2], [0, 1]])
    found = np.array([[1, 1], [0, 1]])
    metrics = checkout_metrics(found, truth)
    assert metrics["cacc"] == 0.5
    assert metrics["acd"] == 0.5
    assert metrics["mccd"] == pytest.approx((0 / 1 + 1 / 3) / 2)
    assert metrics["mciou"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_class_that_is_only_imagined_lowers_the_mean_count_iou():
    assert checkout_metrics(np.array([[1, 1]]), np.array([[1, 0]]))["mciou"] == 0.5


def test_no_picture_is_no_mistake():
    nothing = np.zeros((0, 2), int)
    assert checkout_metrics(nothing, nothing) == {"cacc": 1, "acd": 0, "mccd": 0, "mciou": 1}


@given(st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=6))
def test_a_right_basket_is_perfect_whatever_is_in_it(rows):
    truth = np.array(rows)
    metrics = checkout_metrics(truth, truth)
    assert (metrics["cacc"], metrics["acd"], metrics["mccd"], metrics["mciou"]) == (1, 0, 0, 1)


def test_one_fruit_under_two_names_counts_once_under_the_better():
    found, truth = counts([picture([(1, BOX)], [(1, 0.8, BOX), (0, 0.6, BOX)])], 2, 0.5)
    assert found.tolist() == truth.tolist() == [[0, 1]]


def test_two_fruits_that_touch_count_twice():
    boxes = np.array([[0, 0, 10, 10], [8, 0, 18, 10]], float)
    assert one_per_fruit(boxes, np.array([0.7, 0.9]), 0.5).tolist() == [1, 0]


def test_only_boxes_that_reach_the_confidence_count():
    assert one_per_fruit(np.array([BOX, OTHER], float), np.array([0.5, 0.49]), 0.5).tolist() == [0]


def test_precision_and_recall_of_a_hand_computed_case():
    results = [picture([(0, BOX), (0, OTHER)], [(0, 0.9, BOX), (0, 0.8, [80, 80, 99, 99])])]
    precision, recall = precision_recall(find_hits(results, 2), 0.5)
    assert (precision[0], recall[0]) == (0.5, 0.5)
    assert np.isnan(precision[1])


def test_a_second_box_on_a_fruit_is_no_second_hit():
    results = [picture([(0, BOX)], [(0, 0.9, BOX), (0, 0.8, BOX)])]
    assert precision_recall(find_hits(results, 1), 0.5)[0][0] == 0.5


def test_the_confusion_matrix_has_a_row_and_a_column_for_the_background():
    results = [
        picture([(0, BOX), (1, OTHER)], [(1, 0.9, BOX), (0, 0.8, [20, 20, 30, 30])]),
    ]
    assert confusion(results, 2, 0.5).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_the_confidence_with_the_most_right_baskets_is_chosen_from_the_middle_of_its_range():
    results = [picture([(0, BOX)], [(0, 0.8, BOX), (0, 0.3, OTHER)])]
    assert 0.5 <= best_confidence(results, 1) <= 0.6
