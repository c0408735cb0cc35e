import math

import pytest
import torch

from model.anchors import coco_anchors
from model.loss import LOSS_PRESETS, LossConfig, NonFiniteLoss, YoloLoss
from tests.model.helpers import raw_maps

SIZE, CLASSES = 64, 3
CELLS = 3 * (8 * 8 + 4 * 4 + 2 * 2)
ONLY = {"box": 0.0, "objectness": 0.0, "no_object": 0.0, "classes": 0.0, "forgive_iou": 2.0}
# the first anchor of the coarse scale, in the middle of a cell of that scale: found exactly by 0s
EXACT = (0, 0.75, 0.75, 116 / 416, 90 / 416)
HALF = math.log(2)  # BCE of a logit 0


def rows(*boxes):
    return torch.tensor([(0, *box) for box in boxes], dtype=torch.float32).reshape(-1, 6)


def maps(fill_objectness=-10.0):
    out = []
    for raw in raw_maps(CLASSES, SIZE):
        raw[:, 4] = fill_objectness
        grid = raw.shape[-1]
        out.append(torch.from_numpy(raw).reshape(1, -1, grid, grid))
    return tuple(out)


def value(maps_, rows_, **choices):
    return YoloLoss(coco_anchors(), LossConfig(**(ONLY | choices)))(maps_, rows_)["loss"].item()


def test_even_odds_over_three_classes_cost_the_logarithm_of_three():
    assert value(maps(), rows((1, 0.5, 0.5, 0.3, 0.3)), classes=1.0) == pytest.approx(
        math.log(3), rel=1e-5
    )


def test_with_a_bce_for_each_class_even_odds_cost_three_coin_tosses():
    cost = value(maps(), rows((1, 0.5, 0.5, 0.3, 0.3)), classes=1.0, class_loss="bce")
    assert cost == pytest.approx(3 * HALF, rel=1e-5)


def test_label_smoothing_asks_for_less_than_certainty():
    sure = maps()
    for raw in sure:
        raw.view(1, 3, 8, *raw.shape[2:])[:, :, 5] = 20.0
    box = rows((0, 0.5, 0.5, 0.3, 0.3))
    for kind in ("cross_entropy", "bce"):
        assert value(sure, box, classes=1.0, class_loss=kind) < 2.1 * HALF
        smooth = value(sure, box, classes=1.0, class_loss=kind, label_smoothing=0.3)
        assert smooth > value(sure, box, classes=1.0, class_loss=kind) + 1


def test_an_empty_picture_costs_a_softplus_for_each_cell():
    assert value(maps(0.0), rows(), no_object=1.0) == pytest.approx(CELLS * HALF, rel=1e-4)


def test_cells_that_are_not_judged_cost_nothing():
    fits_two = rows((0, 0.5, 0.5, 136 / 416, 130 / 416))
    without = value(maps(0.0), fits_two, no_object=1.0, ignore_iou=2.0)
    assert without == pytest.approx((CELLS - 3) * HALF / 3, rel=1e-4)
    judged = value(maps(0.0), fits_two, no_object=1.0, ignore_iou=0.5)
    assert judged == pytest.approx(without - HALF / 3, rel=1e-4)


@pytest.mark.parametrize("kind", ["iou", "giou", "ciou", "mse"])
def test_a_box_that_sits_exactly_costs_nothing_and_one_that_does_not_costs(kind):
    exact = value(maps(), rows(EXACT), box=1.0, box_loss=kind, one_scale=True)
    beside = (0, 0.8, 0.7, 0.3, 0.25)
    assert exact == pytest.approx(0, abs=1e-5)
    assert value(maps(), rows(beside), box=1.0, box_loss=kind, one_scale=True) > 0.01


def test_squared_errors_are_those_of_the_raw_numbers():
    # the centre lies 0.4 of a cell from σ(0), the width is twice the anchor's
    wide = (0, 0.95, 0.75, 2 * 116 / 416, 90 / 416)
    cost = value(maps(), rows(wide), box=1.0, box_loss="mse", one_scale=True)
    assert cost == pytest.approx(0.4**2 + math.log(2) ** 2, rel=1e-3)


def test_the_objectness_that_is_asked_for_is_the_overlap_that_is_reached():
    for kind, unsure in (("bce", HALF), ("mse", 0.25), ("focal", HALF / 4)):
        choices = {"objectness": 1.0, "objectness_loss": kind, "one_scale": True}
        assert value(maps(0.0), rows(EXACT), **choices) == pytest.approx(unsure, rel=1e-4)
        assert value(maps(9.0), rows(EXACT), **choices) < 0.001


def test_a_loose_box_is_asked_for_less_objectness_unless_one_is_asked_for():
    loose = (0, 0.95, 0.95, 0.5, 0.5)
    choices = {"objectness": 1.0, "one_scale": True}
    sure = value(maps(9.0), rows(loose), **choices)
    assert sure > 1
    assert value(maps(9.0), rows(loose), **choices, objectness_target="one") < 0.001


def test_focal_forgets_the_easy_empty_cells():
    easy, plain = maps(-3.0), value(maps(-3.0), rows(), no_object=1.0)
    focal = value(easy, rows(), no_object=1.0, objectness_loss="focal")
    assert focal == pytest.approx(plain * torch.sigmoid(torch.tensor(-3.0)).item() ** 2, rel=1e-3)


def test_hard_negatives_count_only_the_worst_empty_cells():
    raw = maps(-8.0)
    raw[0].view(1, 3, 8, 8, 8)[0, 1, 4, 2, 5] = 3.0
    box = rows((0, 0.5, 0.5, 0.3, 0.3))  # a positive in each scale
    worst = value(raw, box, no_object=1.0, hard_negatives=1)
    softplus = math.log1p(math.exp(3.0)) + 2 * math.log1p(math.exp(-8.0))
    assert worst == pytest.approx(softplus / 3, rel=1e-3)


def test_a_neighbour_that_finds_the_box_well_is_not_punished():
    raw = maps(0.0)
    # the second anchor of the same cell, pulled exactly onto the box
    cells = raw[2].view(1, 3, -1, 2, 2)
    cells[0, 1, 2:4, 1, 1] = torch.log(torch.tensor([116 / 156, 90 / 198]))
    forgiven = value(raw, rows(EXACT), no_object=1.0, forgive_iou=0.7)
    punished = value(raw, rows(EXACT), no_object=1.0)
    assert punished - forgiven == pytest.approx(HALF / 3, rel=1e-3)


def test_boxes_of_one_picture_do_not_forgive_another():
    pair = tuple(torch.cat((m, m)) for m in maps(0.0))
    one = rows(EXACT)
    other = one.clone()
    other[:, 0] = 1
    both = value(pair, torch.cat((one, other)), no_object=1.0, forgive_iou=0.1)
    assert both == pytest.approx(value(maps(0.0), one, no_object=1.0, forgive_iou=0.1), rel=1e-5)


@pytest.mark.parametrize(("reduction", "divisor"), [("positives", 3), ("pictures", 1)])
def test_sums_are_divided_as_asked(reduction, divisor):
    box = rows((1, 0.5, 0.5, 0.3, 0.3))
    cost = value(maps(), box, classes=1.0, reduction=reduction)
    assert cost == pytest.approx(3 * math.log(3) / divisor, rel=1e-5)


def test_the_mean_counts_each_scale_alike():
    assert value(maps(0.0), rows(), no_object=1.0, reduction="mean") == pytest.approx(3 * HALF)


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_part():
    broken = maps()
    broken[0][:, 4] = float("nan")
    with pytest.raises(NonFiniteLoss, match="no_object nan"):
        YoloLoss(coco_anchors())(broken, rows((0, 0.5, 0.5, 0.3, 0.3)))


@pytest.mark.parametrize("preset", sorted(LOSS_PRESETS))
def test_every_preset_sends_gradients_to_every_part_of_a_positive(preset):
    raw = tuple(m.clone().requires_grad_(True) for m in maps(0.0))
    YoloLoss(coco_anchors(), LOSS_PRESETS[preset])(raw, rows((0, 0.6, 0.6, 0.4, 0.2)))[
        "loss"
    ].backward()
    per_channel = raw[2].grad.abs().sum((0, 2, 3)).view(3, -1)
    assert (per_channel.sum(0) > 0).all()


def test_a_picture_of_half_the_size_with_doubled_anchors_asks_for_the_same_boxes():
    loss = YoloLoss(coco_anchors() / 2, LossConfig(**(ONLY | {"box": 1.0, "one_scale": True})))
    assert loss(maps(), rows(EXACT), anchor_scale=2.0)["loss"].item() == pytest.approx(0, abs=1e-5)


def test_two_scales_are_the_coarser_ones():
    loss = YoloLoss(coco_anchors(2))
    assert torch.isfinite(loss(maps()[1:], rows(EXACT))["loss"])
