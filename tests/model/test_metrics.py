import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics import (
    PictureResult,
    average_precision,
    best_precision,
    checkout_metrics,
    confusion,
    counted,
    counts,
    f1_over,
    find_hits,
    precision_recall,
    reliability,
    top_names,
    zone_ap50,
)

UNHURRIED = settings(deadline=None, max_examples=60)  # other work may share the machine
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


def test_only_boxes_that_reach_the_confidence_count():
    assert counted(picture([], [(0, 0.5, BOX), (1, 0.49, OTHER)]), 0.5).tolist() == [0]


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


@st.composite
def crowds(draw):
    """A picture of up to eight boxes on a coarse grid, so that many lie on one another."""
    step = st.integers(0, 4).map(lambda n: n * 5.0)
    boxes = st.tuples(step, step).map(lambda at: [*at, at[0] + 20, at[1] + 20])
    scores = st.sampled_from([0.15, 0.3, 0.5, 0.5, 0.7, 0.9])
    found = draw(st.lists(st.tuples(st.integers(0, 2), scores, boxes), max_size=8))
    return picture(draw(st.lists(st.tuples(st.integers(0, 2), boxes), max_size=4)), found)


@UNHURRIED
@given(crowds(), st.sampled_from([0.2, 0.5, 0.8]))
def test_what_counts_at_a_confidence_is_what_counts_at_a_lower_one_and_reaches_it(crowd, least):
    low, high = counted(crowd, 0.1), counted(crowd, least)
    assert high.tolist() == low[crowd.found_score[low] >= least].tolist()


@UNHURRIED
@given(crowds())
def test_every_true_box_is_in_one_cell_of_the_confusion_and_so_is_every_counted_one(crowd):
    matrix = confusion([crowd], 3, 0.4)
    truth = np.bincount(crowd.truth_class, minlength=3)
    assert matrix[:3].sum(1).tolist() == truth.tolist()
    assert matrix[:, :3].sum(0).tolist() == counts([crowd], 3, 0.4)[0][0].tolist()
    assert matrix[3, 3] == 0


@UNHURRIED
@given(crowds())
def test_a_higher_confidence_never_finds_more(crowd):
    hits = find_hits([crowd], 3)
    recalls = np.nan_to_num([precision_recall(hits, c)[1] for c in (0.1, 0.4, 0.6, 0.95)])
    assert (np.diff(recalls, axis=0) <= 0).all()
    assert hits.right.sum() <= hits.truth.sum()


@pytest.mark.parametrize(
    ("box", "central"),
    [
        ([45, 45, 55, 55], True),
        ([20, 45, 30, 55], True),  # a centre on the line belongs to the middle
        ([19, 45, 29, 55], False),
        ([45, 71, 55, 81], False),
        ([0, 0, 100, 100], True),  # however large
    ],
)
def test_a_box_belongs_to_the_zone_of_its_centre(box, central):
    zones = zone_ap50([picture([(0, box)], [(0, 0.9, box)])], 1)
    assert zones["centre" if central else "border"] == pytest.approx(1)
    assert np.isnan(zones["border" if central else "centre"])


def test_what_is_imagined_at_the_border_does_not_lower_the_centre():
    middle, corner = [40, 40, 60, 60], [0, 0, 20, 20]
    results = [picture([(0, middle), (0, corner)], [(0, 0.9, [80, 0, 99, 20]), (0, 0.8, middle)])]
    assert zone_ap50(results, 1) == pytest.approx({"border": 0, "centre": 1})


def test_a_size_without_truth_has_no_average_precision():
    ap = average_precision([picture([(0, [0, 0, 40, 40])], [(0, 0.9, [0, 0, 40, 40])])], 1)
    assert ap.by_size == pytest.approx({"small": np.nan, "medium": 1, "large": np.nan}, nan_ok=True)


@pytest.mark.parametrize(
    ("names_there", "first", "among_three"),
    [
        ([(0, 0.9)], 1, 1),
        ([(1, 0.9), (0, 0.2)], 0, 1),
        ([(1, 0.9), (2, 0.8), (0, 0.2)], 0, 1),
        ([(1, 0.9), (2, 0.8), (3, 0.7), (0, 0.2)], 0, 0),
        ([(1, 0.9), (1, 0.8), (1, 0.7), (0, 0.2)], 0, 1),  # a name counts once
        ([(1, 0.9)], 0, 0),
        ([], np.nan, np.nan),
    ],
)
def test_the_right_name_is_looked_for_among_the_best_on_its_place(names_there, first, among_three):
    results = [picture([(0, BOX)], [(name, score, BOX) for name, score in names_there])]
    assert top_names(results, 1) == pytest.approx(first, nan_ok=True)
    assert top_names(results, 3) == pytest.approx(among_three, nan_ok=True)


def test_a_name_elsewhere_is_no_name_on_this_place():
    assert top_names([picture([(0, BOX)], [(1, 0.9, BOX), (0, 0.8, OTHER)])], 3) == 0


def test_scores_are_held_against_the_share_that_is_right():
    right, wrong = picture([(0, BOX)], [(0, 0.8, BOX)]), picture([(0, BOX)], [(1, 0.8, BOX)])
    measured = reliability([right, right, right, wrong], bins=5)
    assert measured.boxes.tolist() == [0, 0, 0, 0, 4]
    assert measured.accuracy[4] == 0.75
    assert measured.ece == pytest.approx(0.05)


def test_a_score_of_one_falls_into_the_last_bin():
    assert reliability([picture([(0, BOX)], [(0, 1.0, BOX)])], bins=4).boxes.tolist() == [
        0,
        0,
        0,
        1,
    ]


def test_nothing_found_has_no_calibration_error():
    assert np.isnan(reliability([picture([(0, BOX)])]).ece)


def test_f1_follows_from_the_boxes_that_reach_each_confidence():
    """Two fruits: the first box is right, the second wrong, the third right."""
    found = [(0, 0.9, BOX), (0, 0.6, [80, 80, 99, 99]), (0, 0.3, OTHER)]
    curve = find_hits([picture([(0, BOX), (0, OTHER)], found)], 1).curve(0)
    over = f1_over(np.array([0.0, 0.3, 0.31, 0.6, 0.61, 0.9, 0.91]), *curve)
    assert over == pytest.approx([0.8, 0.8, 0.5, 0.5, 2 / 3, 2 / 3, 0])


def test_a_class_that_is_never_found_has_an_empty_curve_and_no_f1():
    curve = find_hits([picture([(0, BOX)])], 1).curve(0)
    assert [len(part) for part in curve] == [0, 0, 0]
    assert f1_over(np.array([0.0, 0.5]), *curve).tolist() == [0, 0]
    assert best_precision(*curve[1:], np.array([0.0, 1.0])).tolist() == [0, 0]
