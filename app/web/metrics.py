"""Figures for Prometheus, in a registry of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.shop.cart import CartSnapshot
from app.shop.order import Order
from app.vision.lane import LaneStats

if TYPE_CHECKING:
    from app.web.parts import Parts

DETECT_BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
EMIT_BUCKETS_S = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.5, 1.0)


class Metrics:
    """What is observed as it happens; the rest is read from the parts when Prometheus asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.detect = Histogram(
            "checkout_detect_seconds",
            "Time of one detection.",
            buckets=DETECT_BUCKETS_S,
            registry=self.registry,
        )
        self.emit = Histogram(
            "checkout_capture_to_emit_seconds",
            "From a frame's capture to handing its picture to the browsers' queues.",
            buckets=EMIT_BUCKETS_S,
            registry=self.registry,
        )
        self.orders = Counter(
            "checkout_orders",
            "Orders that came to a status since the start.",
            ["status"],
            registry=self.registry,
        )
        self._counted: Order | None = None

    def read_from(self, parts: Parts) -> None:
        """Show the parts' own counters too."""
        self.registry.register(PartsCollector(parts))
        parts.checkout.subscribe(self._count_order)

    def _count_order(self, _cart: CartSnapshot, order: Order | None) -> None:
        if order is not None and order != self._counted:
            self.orders.labels(status=str(order.status)).inc()
        self._counted = order


class PartsCollector(Collector):
    """Reads counters where they are kept, at the moment of asking."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        """All counters and gauges of camera, lane, cart, browsers and prices."""
        camera, lane = self._parts.camera.status(), self._parts.lane.stats()
        yield counter("frames_captured", "Frames read from the camera.", camera.frames)
        yield counter("frames_dropped", "Frames that nobody looked at in time.", camera.dropped)
        yield counter("camera_restarts", "Times the camera was opened again.", camera.restarts)
        yield counter("detections", "Frames through the detector.", lane.detections)
        yield counter("frames_still", "Frames of a scene at rest without a change.", lane.still)
        yield counter("detection_failures", "Frames the detector failed on.", lane.failures)
        yield counter("pictures_emitted", "Pictures handed to browsers' queues.", lane.emitted)
        yield recent_latency(lane)
        yield gauge("camera_up", "1 while the camera's frames are fresh.", camera.state == "ok")
        yield gauge("cart_version", "Version of the cart.", self._parts.checkout.snapshot().version)
        yield gauge("browsers", "Connected browsers.", self._parts.hub.connected)
        yield counter(
            "listener_failures",
            "Changes of the checkout that a part of the program broke down on.",
            self._parts.checkout.listener_failures,
        )
        yield counter(
            "notes_lost", "Notes that the journal could not take.", self._parts.notes.lost
        )
        yield gauge(
            "receipts_unprinted", "Receipts that the printer owes.", self._parts.receipts.owed()
        )
        yield gauge("price_sheet_valid", "1 while the sheet as saved is in force.", self._priced())

    def _priced(self) -> bool:
        return self._parts.prices.problem is None


def recent_latency(lane: LaneStats) -> Metric:
    """Capture to emit as two quantiles, finer than the histogram's; none before a picture."""
    name, text = "checkout_capture_to_emit_recent_seconds", "Quantiles of the last 1024 pictures."
    family = GaugeMetricFamily(name, text, labels=["quantile"])
    quantiles = {"0.5": lane.capture_to_emit_p50_ms, "0.95": lane.capture_to_emit_p95_ms}
    for quantile, ms in quantiles.items():
        if ms is not None:
            family.add_metric([quantile], ms / 1000)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    """One counter."""
    return CounterMetricFamily(f"checkout_{name}", text, value=value)


def gauge(name: str, text: str, value: float) -> Metric:
    """One gauge."""
    return GaugeMetricFamily(f"checkout_{name}", text, value=float(value))
