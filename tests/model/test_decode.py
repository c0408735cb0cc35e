import numpy as np
import pytest

from model.anchors import coco_anchors
from model.boxes import Letterbox
from model.calibration import Calibration
from model.decode import (
    decode,
    fruits,
    one_per_fruit,
    shared_with_others,
    suppress,
    to_detections,
)
from model.runtimes.base import BaseDetector
from tests.model.helpers import info, raw_maps

SIZE, CLASSES = 64, 2


def logit(p):
    return np.log(p / (1 - p))


def one_box(objectness=0.9, odds=(0.0, 3.0), cell=(1, 1), anchor=0, scale=2):
    maps = raw_maps(CLASSES, SIZE)
    maps[scale][anchor, :, cell[0], cell[1]] = [0, 0, 0, 0, logit(objectness), *odds]
    return maps


def test_nothing_found_gives_no_boxes():
    boxes, scores, class_ids = decode(raw_maps(CLASSES, SIZE), coco_anchors(), SIZE, 0.1)
    assert boxes.shape == (0, 4)
    assert len(scores) == len(class_ids) == 0


def test_a_cell_becomes_the_box_that_the_paper_says():
    boxes, scores, class_ids = decode(one_box(), coco_anchors(), SIZE, 0.1)
    width, height = np.array([116, 90]) / 416 * SIZE
    # σ(0) = 0.5: the middle of cell (1, 1) at stride 32 is pixel 48
    expected = [48 - width / 2, 48 - height / 2, 48 + width / 2, 48 + height / 2]
    assert boxes[0] == pytest.approx(expected, rel=1e-5)
    assert scores[0] == pytest.approx(0.9 * np.exp(3) / (1 + np.exp(3)), rel=1e-5)
    assert class_ids.tolist() == [1]


def test_a_box_is_returned_under_both_names_that_reach_the_confidence():
    boxes, scores, class_ids = decode(one_box(odds=(0.0, 0.0)), coco_anchors(), SIZE, 0.4)
    assert sorted(class_ids.tolist()) == [0, 1]
    assert scores == pytest.approx([0.45, 0.45])
    assert (boxes[0] == boxes[1]).all()


def test_classes_that_do_not_exclude_each_other_are_scored_each_on_its_own():
    maps = one_box(odds=(logit(0.8), logit(0.7)))
    _, scores, class_ids = decode(maps, coco_anchors(), SIZE, 0.1, "sigmoid")
    assert class_ids.tolist() == [0, 1]
    assert scores == pytest.approx([0.9 * 0.8, 0.9 * 0.7], rel=1e-5)


@pytest.mark.parametrize(
    ("apple", "peach", "overlap", "expected"),
    [
        pytest.param(0.4, 0.6, 40, 0.16, id="surely a peach"),
        pytest.param(0.6, 0.4, 40, 0.6, id="rather an apple"),
        pytest.param(0.5, 0.5, 40, 0.5, id="as likely the one as the other"),
        pytest.param(0.4, 0.6, 0, 0.4, id="the peach lies elsewhere"),
    ],
)
def test_a_fruit_keeps_a_share_of_its_score_where_something_else_is_surer(
    apple, peach, overlap, expected
):
    boxes = np.array([[0, 0, 40, 40], [40 - overlap, 0, 80 - overlap, 40]], np.float32)
    scores = shared_with_others(boxes, np.array([apple, peach]), np.array([0, 1]), told=1)
    assert scores == pytest.approx([expected, peach])


def test_classes_that_are_not_told_take_their_share_of_the_score_and_are_not_told():
    maps, fit = one_box(odds=(0.0, np.log(3.0))), Letterbox(64, 64, SIZE)
    both = to_detections(maps, coco_anchors(), fit, ("a", "b"), 0.01)
    assert [(d.key, round(d.score, 3)) for d in both] == [("b", 0.675), ("a", 0.225)]
    told = to_detections(maps, coco_anchors(), fit, ("a",), 0.01)
    assert [d.key for d in told] == ["a"]
    assert told[0].score == pytest.approx(0.225 * 0.25)
    assert to_detections(maps, coco_anchors(), fit, ("a",), 0.1) == []
    lines = Calibration((1.0,), (1.0,))  # of what is told alone
    [calibrated] = to_detections(maps, coco_anchors(), fit, ("a",), 0.01, calibration=lines)
    assert calibrated.score > told[0].score


def test_two_scales_have_strides_16_and_32():
    maps = one_box(cell=(1, 3), scale=1)[1:]
    boxes, _, _ = decode(maps, coco_anchors(2), SIZE, 0.1)
    width, height = np.array([10, 14]) / 416 * SIZE
    # the middle of row 1, column 3 at stride 16 is (56, 24)
    expected = [56 - width / 2, 24 - height / 2, 56 + width / 2, 24 + height / 2]
    assert boxes[0] == pytest.approx(expected, rel=1e-5)


def test_a_map_of_a_rectangle_has_its_own_rows_and_columns():
    lower_half = [raw[:, :, raw.shape[2] // 2 :] for raw in one_box(cell=(1, 1))]
    (box,), _, _ = decode(lower_half, coco_anchors(), SIZE, 0.1)
    # what was row 1 at stride 32 is row 0; column 1 stays
    assert (box[:2] + box[2:]) / 2 == pytest.approx([48, 16], rel=1e-5)


@pytest.mark.parametrize(("confidence", "found"), [(0.44, 2), (0.46, 0)])
def test_the_confidence_is_the_lowest_score_kept(confidence, found):
    assert len(decode(one_box(odds=(0.0, 0.0)), coco_anchors(), SIZE, confidence)[1]) == found


def test_huge_logits_neither_warn_nor_overflow():
    maps = one_box(odds=(0.0, 1e4))
    maps[2][0, :4, 1, 1] = [1e4, -1e4, 1e4, 1e4]
    boxes, scores, _ = decode(maps, coco_anchors(), SIZE, 0.5)
    assert np.isfinite(boxes).all()
    assert scores[0] == pytest.approx(0.9)


def test_nms_keeps_the_better_of_two_boxes_of_one_class_and_both_of_two_classes():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10]], np.float32)
    scores = np.array([0.6, 0.9, 0.5], np.float32)
    assert suppress(boxes, scores, np.array([0, 0, 1])).tolist() == [1, 2]


def test_nms_of_nothing_is_nothing():
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0), np.zeros(0, int)).tolist() == []


def test_nms_keeps_two_fruits_of_one_class_that_touch():
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10]], np.float32)
    assert len(suppress(boxes, np.array([0.9, 0.8]), np.array([0, 0]))) == 2


def test_detections_come_in_picture_pixels_clipped_to_the_picture():
    fit = Letterbox(640, 320, SIZE)
    found = to_detections(one_box(cell=(1, 0)), coco_anchors(), fit, ("a", "b"), 0.5)
    (detection,) = found
    assert detection.key == "b"
    x1, y1, x2, y2 = detection.box_xyxy
    width = 116 / 416 * SIZE * 10
    assert (x1, x2) == pytest.approx((160 - width / 2, 160 + width / 2), abs=0.1)
    assert y2 == 320
    assert 0 < y1 < 320


WHOLE = [0, 0, 20, 20]


@pytest.mark.parametrize(
    ("other", "name", "expected"),
    [
        pytest.param([0, 0, 20, 18], 1, 1, id="one box under two names"),
        pytest.param([0, 0, 20, 8], 0, 1, id="a part of it, under its name"),
        pytest.param([-5, 0, 15, 8], 0, 1, id="most of a part of it"),
        pytest.param([-7, 0, 13, 8], 0, 2, id="a smaller one of its kind, hidden by less"),
        pytest.param([0, 0, 20, 8], 1, 2, id="another kind before it"),
        pytest.param([12, 0, 32, 20], 0, 2, id="a half-hidden one of its kind"),
        pytest.param([0, 0, 20, 9], 1, 2, id="a smaller one of another kind"),
        pytest.param([30, 30, 50, 50], 0, 2, id="one elsewhere"),
    ],
)
def test_a_fruit_is_one_however_often_it_was_found(other, name, expected):
    boxes = np.array([other, WHOLE], np.float32)
    for scores in (np.array([0.6, 0.9]), np.array([0.9, 0.6])):
        kept = one_per_fruit(boxes, scores, np.array([name, 0]))
        assert len(kept) == expected
        assert kept[0] == np.argmax(scores)


def test_a_picture_with_nothing_in_it_has_no_fruits():
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    assert one_per_fruit(*nothing).tolist() == fruits([]) == []


class OneBox(BaseDetector):
    """Sees one box wherever it looks, equally likely of two classes."""

    def raw_maps(self, fitted):
        return one_box(odds=(0.0, 0.0))


def test_without_a_confidence_a_detector_tells_each_fruit_once():
    detector = OneBox(info(names=("apple", "pear"), image_size=SIZE, confidence=0.3))
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    assert [d.key for d in detector.detect(picture, 0.3)] == ["apple", "pear"]
    assert [d.key for d in detector.detect(picture)] == ["apple"]
