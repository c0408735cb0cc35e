"""How good detections are: COCO's average precision, the checkout metrics of RPC, the mistakes."""

from model.metrics.baskets import checkout_metrics, counted, counts
from model.metrics.coco import SIZES, AveragePrecision, average_precision, zone_ap50
from model.metrics.matching import (
    Hits,
    Reliability,
    best_precision,
    confusion,
    f1_over,
    find_hits,
    named_boxes,
    precision_recall,
    reliability,
    top_names,
)
from model.metrics.mistakes import (
    Mistake,
    PictureMistakes,
    describe,
    mistake_counts,
    worst_pictures,
)
from model.metrics.results import PictureResult

__all__ = [
    "SIZES",
    "AveragePrecision",
    "Hits",
    "Mistake",
    "PictureMistakes",
    "PictureResult",
    "Reliability",
    "average_precision",
    "best_precision",
    "checkout_metrics",
    "confusion",
    "counted",
    "counts",
    "describe",
    "f1_over",
    "find_hits",
    "mistake_counts",
    "named_boxes",
    "precision_recall",
    "reliability",
    "top_names",
    "worst_pictures",
    "zone_ap50",
]
