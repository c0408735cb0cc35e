"""Our average precision against pycocotools, the reference, on the same detections."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model.metrics import PictureResult, average_precision, best_precision, find_hits

CLASSES = 4  # the last never occurs in the truth


def picture(rng, fruits, imagined, digits=6, size=640):
    """Fruits that are mostly found, a little beside and sometimes under another name."""
    corner = rng.uniform(0, size * 0.8, (fruits, 2))
    truth = np.concatenate((corner, corner + rng.uniform(8, size * 0.4, (fruits, 2))), axis=1)
    truth_class = rng.integers(0, CLASSES - 1, fruits)
    seen = rng.random(fruits) < 0.8
    sides = np.tile(truth[seen, 2:] - truth[seen, :2], 2)
    beside = truth[seen] + sides * rng.uniform(-0.2, 0.2, sides.shape)
    loose = rng.uniform(0, size / 2, (imagined, 2))
    boxes = np.concatenate((beside, np.concatenate((loose, loose + 90), axis=1)))
    guessed = np.where(rng.random(seen.sum()) < 0.2, CLASSES - 1, truth_class[seen])
    classes = np.concatenate((guessed, rng.integers(0, CLASSES, imagined)))
    scores = np.round(rng.random(len(boxes)), digits)
    return PictureResult(
        size,
        size,
        truth.astype(np.float32),
        truth_class,
        boxes.astype(np.float32),
        classes,
        scores.astype(np.float32),
    )


def annotation(number, image, box, class_id, **more):
    x1, y1, x2, y2 = map(float, box)
    return {
        "id": number,
        "image_id": image,
        "category_id": int(class_id),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        **more,
    }


def reference(results):
    """pycocotools' precision (IoUs, recalls, classes, sizes, limits)."""
    truth, found = COCO(), COCO()
    rows, guesses = [], []
    for image, r in enumerate(results):
        for box, class_id in zip(r.truth_xyxy, r.truth_class, strict=True):
            rows.append(annotation(len(rows) + 1, image, box, class_id))
        for box, class_id, score in zip(r.found_xyxy, r.found_class, r.found_score, strict=True):
            guesses.append(annotation(len(guesses) + 1, image, box, class_id, score=float(score)))
    images = [{"id": i} for i in range(len(results))]
    categories = [{"id": i} for i in range(CLASSES)]
    with contextlib.redirect_stdout(io.StringIO()):
        for coco, annotations in ((truth, rows), (found, guesses)):
            coco.dataset = {"images": images, "annotations": annotations, "categories": categories}
            coco.createIndex()
        judge = COCOeval(truth, found, "bbox")
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][..., -1]


def mean(precision):
    valid = precision[precision > -1]
    return valid.mean() if valid.size else np.nan


def scenes(seed):
    """One set of pictures for each kind of difficulty."""
    rng = np.random.default_rng(seed)
    return {
        "plain": [picture(rng, 6, 4) for _ in range(12)],
        "equal scores": [picture(rng, 6, 6, digits=1) for _ in range(12)],
        "empty pictures": [picture(rng, n, m) for n, m in ((0, 0), (5, 0), (0, 7), (6, 6), (0, 0))],
        "one fruit": [picture(rng, 1, 0), picture(rng, 1, 3)],
        "only small fruit": [picture(rng, 8, 8, size=60) for _ in range(5)],
        "over a hundred boxes a class": [picture(rng, 30, 700) for _ in range(2)],
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", scenes(0))
def test_every_figure_agrees_with_pycocotools(seed, kind):
    results = scenes(seed)[kind]
    ours, theirs = average_precision(results, CLASSES), reference(results)
    every, sizes = theirs[:, :, :, 0], ours.by_size
    close = {"abs": 1e-6, "nan_ok": True}
    assert ours.map == pytest.approx(np.nan_to_num(mean(every)), abs=1e-6)
    assert ours.map50 == pytest.approx(np.nan_to_num(mean(every[0])), abs=1e-6)
    assert ours.ap == pytest.approx([mean(every[..., i]) for i in range(CLASSES)], **close)
    assert ours.ap50 == pytest.approx([mean(every[0, :, i]) for i in range(CLASSES)], **close)
    assert list(sizes.values()) == pytest.approx(
        [mean(theirs[..., i]) for i in range(1, 4)], **close
    )
    assert np.isnan(ours.ap[CLASSES - 1])


def test_boxes_over_coco_s_limit_do_not_count():
    box = np.array([[0, 0, 50, 50]], np.float32)
    wrong = np.tile(np.array([[200, 200, 250, 250]], np.float32), (100, 1))
    scores = np.append(np.full(100, 0.9), 0.5).astype(np.float32)
    hidden = PictureResult(
        300, 300, box, np.zeros(1, int), np.concatenate((wrong, box)), np.zeros(101, int), scores
    )
    assert average_precision([hidden], CLASSES).map50 == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["plain", "empty pictures", "one fruit", "only small fruit"])
def test_the_precision_recall_curve_holds_the_area_that_coco_reports(seed, kind):
    """Our own matching draws the curve; interpolated at COCO's recalls it must give COCO's AP50."""
    results = scenes(seed)[kind]
    hits, coco = find_hits(results, CLASSES), average_precision(results, CLASSES)
    for class_id in np.flatnonzero(hits.truth):
        _, precision, recall = hits.curve(class_id)
        best = best_precision(precision, recall, np.linspace(0, 1, 101))
        assert np.mean(best) == pytest.approx(coco.ap50[class_id], abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_boxes_of_one_score_enter_the_curve_together_whatever_their_order(seed):
    results = scenes(seed)["equal scores"]
    forward, backward = find_hits(results, CLASSES), find_hits(results[::-1], CLASSES)
    for class_id in np.flatnonzero(forward.truth):
        for one, other in zip(forward.curve(class_id), backward.curve(class_id), strict=True):
            assert one.tolist() == other.tolist()
