import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.anchors import coco_anchors, strides_of
from model.targets import EMPTY, IGNORED, POSITIVE, assign, rank_within
from tests.model.plain_targets import assign_plainly

SIZE = 416
ANCHORS = coco_anchors()
GRIDS = [SIZE // stride for stride in strides_of(ANCHORS)]


def assigned(*rows, batch=1, **choices):
    """Targets of rows (class, cx, cy, w, h) of one picture, or with the picture's index before."""
    rows = [row if len(row) == 6 else (0, *row) for row in rows]
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return assign(table, batch, torch.from_numpy(ANCHORS), GRIDS, **choices)


def test_no_box_leaves_every_cell_empty():
    assert all((t.state == EMPTY).all() and not len(t.picture) for t in assigned())


def test_each_scale_gives_the_box_to_its_best_anchor_in_the_cell_of_its_centre():
    width, height = 62 / 416, 45 / 416  # exactly the second anchor of the middle scale
    fine, middle, coarse = assigned((2, 0.5, 0.25, width, height))
    assert middle.state[0, 1, 6, 13] == POSITIVE
    assert [x.tolist() for x in (middle.anchor, middle.row, middle.column)] == [[1], [6], [13]]
    assert middle.class_id.tolist() == [2]
    assert middle.box_cxcywh[0].tolist() == np.float32([0.5, 0.25, width, height]).tolist()
    assert [len(t.picture) for t in (fine, middle, coarse)] == [1, 1, 1]
    assert fine.state[0, 2, 13, 26] == POSITIVE
    assert coarse.state[0, 0, 3, 6] == POSITIVE


def test_as_in_the_paper_only_the_scale_of_the_best_anchor_may_get_the_box():
    box = (2, 0.5, 0.25, 62 / 416, 45 / 416)
    assert [len(t.picture) for t in assigned(box, one_scale=True)] == [0, 1, 0]


def test_an_anchor_that_fits_well_but_was_not_chosen_is_not_judged():
    _, _, coarse = assigned((0, 0.5, 0.5, 136 / 416, 130 / 416))  # between 116×90 and 156×198
    assert sorted(coarse.state[0, :, 6, 6].tolist()) == [IGNORED, EMPTY, POSITIVE]


def test_of_two_boxes_in_one_cell_the_first_keeps_its_anchor_and_the_second_takes_another():
    box = (0.5, 0.5, 116 / 416, 90 / 416)
    _, _, coarse = assigned((0, *box), (1, *box))
    assert dict(zip(coarse.anchor.tolist(), coarse.class_id.tolist(), strict=True))[0] == 0
    assert sorted(coarse.class_id.tolist()) == [0, 1]


def test_a_fourth_box_in_a_cell_of_three_anchors_finds_no_place():
    box = (0.5, 0.5, 0.2, 0.2)
    assert all(
        sorted(t.class_id.tolist()) == [0, 1, 2] for t in assigned(*[(i, *box) for i in range(4)])
    )


def test_boxes_of_different_pictures_do_not_compete():
    box = (1, 0.5, 0.5, 0.2, 0.2)
    for targets in assigned((0, *box), (1, *box), batch=2):
        assert targets.picture.tolist() == [0, 1]
        assert targets.anchor[0] == targets.anchor[1]


@pytest.mark.parametrize(("x", "y", "cell"), [(1.0, 1.0, -1), (0.0, 0.0, 0)])
def test_a_centre_on_the_border_belongs_to_the_cell_there(x, y, cell):
    for targets in assigned((0, x, y, 0.1, 0.1)):
        assert (targets.state[0, :, cell, cell] == POSITIVE).any()


def test_a_box_without_area_is_passed_over():
    for width, height in ((0.0, 0.2), (0.2, 0.0), (0.0, 0.0)):
        assert all((t.state == EMPTY).all() for t in assigned((0, 0.5, 0.5, width, height)))


@pytest.mark.parametrize(
    ("groups", "ranks"), [([7, 3, 7, 7], [0, 0, 1, 2]), ([], []), ([5, 5], [0, 1])]
)
def test_rank_counts_within_each_group_in_order(groups, ranks):
    assert rank_within(torch.tensor(groups, dtype=torch.long)).tolist() == ranks


# few places and sizes, so that boxes meet in cells, on borders and on anchors
PLACE = st.one_of(st.sampled_from([0.0, 0.5, 0.51, 1.0]), st.floats(0, 1, width=32))
SIDE = st.one_of(st.sampled_from([0.0, 0.28, 0.375, 1.0]), st.floats(1 / 64, 1, width=32))
ROW = st.tuples(st.integers(0, 2), st.integers(0, 10), PLACE, PLACE, SIDE, SIDE)


@settings(deadline=None)
@given(st.lists(ROW, max_size=14), st.booleans(), st.sampled_from([0.3, 0.5, 2.0]))
@example([(0, c, 0.5, 0.5, 0.28, 0.28) for c in range(5)], False, 0.5)
def test_the_quick_way_gives_what_the_plain_loops_give(rows, one_scale, ignore_iou):
    choices = {"one_scale": one_scale, "ignore_iou": ignore_iou}
    plain = assign_plainly(rows, 3, ANCHORS.astype(float), GRIDS, **choices)
    for targets, (state, owner) in zip(assigned(*rows, batch=3, **choices), plain, strict=True):
        assert (targets.state.numpy() == state).all()
        places = zip(
            *(x.tolist() for x in (targets.picture, targets.anchor, targets.row, targets.column)),
            strict=True,
        )
        found = dict(
            zip(
                places,
                zip(targets.class_id.tolist(), targets.box_cxcywh.tolist(), strict=True),
                strict=True,
            )
        )
        assert found == {
            at: (rows[n][1], np.float32(rows[n][2:]).tolist()) for at, n in owner.items()
        }
