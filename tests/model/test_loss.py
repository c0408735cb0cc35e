import math

import numpy as np
import pytest
import torch

from model.anchors import coco_anchors
from model.loss import LossConfig, NonFiniteLoss, YoloLoss
from model.targets import assign
from tests.model.helpers import raw_maps

SIZE, CLASSES = 64, 3
ONLY = {"box": 0.0, "objectness": 0.0, "no_object": 0.0, "classes": 0.0}


def batch(*rows):
    rows = np.array(rows, np.float32).reshape(-1, 5)
    scales = assign(rows[:, 1:], rows[:, 0].astype(int), coco_anchors(), SIZE)
    return [
        {
            "state": torch.from_numpy(t.state)[None],
            "box_cxcywh": torch.from_numpy(t.box_cxcywh)[None],
            "class_id": torch.from_numpy(t.class_id)[None],
        }
        for t in scales
    ]


def maps(fill_objectness=-10.0):
    out = []
    for raw in raw_maps(CLASSES, SIZE):
        raw[:, 4] = fill_objectness
        grid = raw.shape[-1]
        out.append(torch.from_numpy(raw).reshape(1, -1, grid, grid))
    return tuple(out)


def value(maps_, targets, **weights):
    weights = {"forgive_iou": 1.1} | weights
    return YoloLoss(coco_anchors(), LossConfig(**(ONLY | weights)))(maps_, targets)["loss"].item()


def test_even_odds_over_three_classes_cost_the_logarithm_of_three():
    assert value(maps(), batch((1, 0.5, 0.5, 0.3, 0.3)), classes=1.0) == pytest.approx(
        math.log(3), rel=1e-5
    )


def test_an_empty_picture_costs_a_softplus_for_each_cell():
    cells = 3 * (8 * 8 + 4 * 4 + 2 * 2)
    assert value(maps(0.0), batch(), no_object=1.0) == pytest.approx(cells * math.log(2), rel=1e-4)


def test_cells_that_are_not_judged_cost_nothing():
    rows = (0, 0.5, 0.5, 136 / 416, 130 / 416)
    judged = sum(int((t["state"] == 0).sum()) for t in batch(rows))
    assert value(maps(0.0), batch(rows), no_object=1.0) == pytest.approx(
        judged * math.log(2) / 3, rel=1e-4
    )


def test_a_box_that_sits_exactly_costs_nothing():
    width, height = 116 / 416, 90 / 416
    # σ(0) puts the centre into the middle of a cell of every scale only where the cells agree;
    # so judge the coarse scale alone, where the anchor is the box
    targets = batch((0, 0.75, 0.75, width, height))
    for scale in targets[:2]:
        scale["state"].zero_()
    assert value(maps(), targets, box=1.0) == pytest.approx(0, abs=1e-5)


def test_the_objectness_that_is_asked_for_is_the_overlap_that_is_reached():
    targets = batch((0, 0.75, 0.75, 116 / 416, 90 / 416))
    for scale in targets[:2]:
        scale["state"].zero_()
    assert value(maps(0.0), targets, objectness=1.0) == pytest.approx(math.log(2), rel=1e-4)
    assert value(maps(9.0), targets, objectness=1.0) < 0.001


def test_a_neighbour_that_finds_the_box_well_is_not_punished():
    width, height = 116 / 416, 90 / 416
    targets = batch((0, 0.75, 0.75, width, height))
    raw = maps(0.0)
    # the second anchor of the same cell, pulled exactly onto the box
    cells = raw[2].view(1, 3, -1, 2, 2)
    cells[0, 1, 2:4, 1, 1] = torch.log(torch.tensor([116 / 156, 90 / 198]))
    forgiven = value(raw, targets, no_object=1.0, forgive_iou=0.7)
    punished = value(raw, targets, no_object=1.0)
    assert targets[2]["state"][0, 1, 1, 1] == 0
    assert punished - forgiven >= math.log(2) / 3 * 0.99


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_part():
    broken = maps()
    broken[0][:, 4] = float("nan")
    with pytest.raises(NonFiniteLoss, match="no_object nan"):
        YoloLoss(coco_anchors())(broken, batch((0, 0.5, 0.5, 0.3, 0.3)))


def test_gradients_reach_every_part_of_a_positive():
    raw = tuple(m.clone().requires_grad_(True) for m in maps(0.0))
    YoloLoss(coco_anchors())(raw, batch((0, 0.6, 0.6, 0.4, 0.2)))["loss"].backward()
    per_channel = raw[2].grad.abs().sum((0, 2, 3)).view(3, -1)
    assert (per_channel.sum(0) > 0).all()
