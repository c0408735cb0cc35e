"""Where the camera was wrong: what it counted in a basket against what was then paid for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.shop.order import Order


@dataclass(frozen=True, slots=True)
class Miscount:
    """One kind of one order, in pieces: ``counted`` by the camera, ``paid`` for; never the same."""

    key: str
    counted: int
    paid: int


def miscounts(order: Order) -> list[Miscount]:
    """List the kinds that somebody corrected, by key; empty when the camera was believed.

    The camera's line and the one added by hand count together: both are the same fruit.
    """
    paid: Counter[str] = Counter()
    for line in order.lines:
        paid[line.key] += line.quantity
    counted = order.camera_counts
    return [
        Miscount(key, counted.get(key, 0), paid[key])
        for key in sorted({*counted, *paid})
        if counted.get(key, 0) != paid[key]
    ]
