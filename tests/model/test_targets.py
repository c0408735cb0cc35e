import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.anchors import coco_anchors
from model.targets import EMPTY, IGNORED, POSITIVE, assign

SIZE = 416


def assigned(*rows):
    rows = np.array(rows, np.float32).reshape(-1, 5)
    return assign(rows[:, 1:], rows[:, 0].astype(int), coco_anchors(), SIZE)


def test_no_box_leaves_every_cell_empty():
    assert all((t.state == EMPTY).all() for t in assigned())


def test_each_scale_gives_the_box_to_its_best_anchor_in_the_cell_of_its_centre():
    width, height = 62 / 416, 45 / 416  # exactly the second anchor of the middle scale
    fine, middle, coarse = assigned((2, 0.5, 0.25, width, height))
    assert middle.state[1, 6, 13] == POSITIVE
    assert middle.class_id[1, 6, 13] == 2
    assert middle.box_cxcywh[1, 6, 13].tolist() == np.float32([0.5, 0.25, width, height]).tolist()
    assert [(t.state == POSITIVE).sum() for t in (fine, middle, coarse)] == [1, 1, 1]
    assert fine.state[2, 13, 26] == POSITIVE
    assert coarse.state[0, 3, 6] == POSITIVE


def test_an_anchor_that_fits_well_but_was_not_chosen_is_not_judged():
    _, _, coarse = assigned((0, 0.5, 0.5, 136 / 416, 130 / 416))  # between 116×90 and 156×198
    states = coarse.state[:, 6, 6].tolist()
    assert sorted(states) == [IGNORED, EMPTY, POSITIVE]


def test_of_two_boxes_in_one_cell_the_first_keeps_its_anchor_and_the_second_takes_another():
    box = (0.5, 0.5, 116 / 416, 90 / 416)
    _, _, coarse = assigned((0, *box), (1, *box))
    assert sorted(coarse.class_id[:, 6, 6][coarse.state[:, 6, 6] == POSITIVE].tolist()) == [0, 1]
    assert coarse.class_id[0, 6, 6] == 0


def test_a_centre_on_the_far_border_belongs_to_the_last_cell():
    fine, _, coarse = assigned((0, 1.0, 1.0, 0.1, 0.1))
    assert (fine.state[:, 51, 51] == POSITIVE).any()
    assert (coarse.state[:, 12, 12] == POSITIVE).any()


def test_a_box_without_area_is_passed_over():
    assert all((t.state == EMPTY).all() for t in assigned((0, 0.5, 0.5, 0.0, 0.2)))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10),
            st.floats(0, 1),
            st.floats(0, 1),
            st.floats(0.01, 1),
            st.floats(0.01, 1),
        ),
        max_size=12,
    )
)
def test_no_scale_has_more_positives_than_boxes_and_every_positive_is_a_given_box(rows):
    given_boxes = {tuple(np.float32(row[1:]).tolist()) for row in rows}
    for targets in assigned(*rows):
        found = targets.box_cxcywh[targets.state == POSITIVE]
        assert len(found) <= len(rows)
        assert {tuple(box.tolist()) for box in found} <= given_boxes
