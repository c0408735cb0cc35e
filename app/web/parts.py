"""The running checkout: every part once, wired, started and stopped together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.errors import StoreUnavailable
from app.settings import Settings
from app.shop.catalog import Catalog
from app.shop.checkout import Checkout
from app.store.database import Database
from app.store.journal import Journal
from app.store.notes import Notes
from app.store.orders import SqlOrderStore
from app.store.payments.desk import PaymentDesk
from app.store.payments.portone import PortOne
from app.store.payments.portone_desk import PortOneDesk
from app.store.prices_xlsx import PriceWatcher
from app.store.users import SqlUsers
from app.store.watch import StoreWatch
from app.vision.camera import Camera, LatestFrame
from app.vision.lane import Lane, LaneObserver, LaneState
from app.vision.settle import SettleConfig, Settler
from app.web.calls import StaffCalls
from app.web.metrics import Metrics
from app.web.receipt_desk import ReceiptDesk
from app.web.sockets import Hub
from model.detector import Detector, load_detector

log = logging.getLogger("checkout.parts")

Loader = Callable[[Path, str], Detector]
AT_ONCE = 2  # frames to look at side by side; more would only be answered later


@dataclass(frozen=True, slots=True)
class PartState:
    """Whether a part can do its work, and if not, why."""

    ok: bool
    reason: str = ""


class Parts:
    """Camera, detector, prices, database, checkout and browsers of one lane.

    Making it reads the database and the weights; threads run between ``start`` and ``stop``.
    Without a detector, a camera or prices it runs all the same: the automatic way is closed, the
    clerk's is open, and ``readiness`` says what is missing.
    """

    def __init__(self, settings: Settings, load: Loader | None = None) -> None:
        """load: makes the detector, else ``load_detector`` does.

        Raises SettingsError, StoreUnavailable.
        """
        self.database = Database(settings.database_url)
        self.database.migrate()
        self.orders, self.users = SqlOrderStore(self.database), SqlUsers(self.database)
        journal = Journal(self.database)
        self.notes = Notes(journal, settings.lane)
        self.payments = settings.payments
        self.checkout = Checkout(
            *(settings.lane, Catalog(), self.orders),
            methods=self.payments.methods(),
            note=self.notes.note,
        )
        self.watch = StoreWatch(self.database, settings.lane, back=self.checkout.catch_up)
        self.desk = PaymentDesk(settings.lane, self.checkout, self.orders, journal, self.notes.note)
        self.portone = (
            PortOneDesk(settings.lane, PortOne(self.payments.portone), self.desk, self.orders)
            if self.payments.portone
            else None
        )
        self.prices = PriceWatcher(settings.prices, self._take_prices)
        load = load or partial(load_detector, at_once=AT_ONCE, image_size=settings.image_size)
        self.detector, self._no_detector = load_or_say_why(load, settings)
        self.latest = LatestFrame()
        self.camera = Camera(settings.camera, self.latest)
        self.calls, self.metrics = StaffCalls(settings.lane), Metrics()
        self.hub = Hub(self.checkout, self.calls, self.problem)
        self.lane = self._make_lane(settings.language)
        self.receipts = ReceiptDesk(
            settings.receipts, self.orders, self.notes, changed=self.hub.announce_call
        )
        self.metrics.read_from(self)
        self.calls.subscribe(self.hub.announce_call)
        self.desk.subscribe(self.hub.announce_call)

    def _make_lane(self, language: str) -> Lane:
        return Lane(
            self.camera,
            self.latest,
            self.detector,
            Settler(SettleConfig.of(self.detector) if self.detector else None),
            self.checkout,
            self.hub.publish_frame,
            self.hub.wants_frames,
            names=lambda: {
                key: item.name(language) for key, item in self.prices.catalog.items.items()
            },
            observer=LaneObserver(
                state=self._take_lane_state,
                detect_seconds=self.metrics.detect.observe,
                capture_to_emit_seconds=self.metrics.emit.observe,
            ),
        )

    def _take_prices(self, catalog: Catalog) -> None:
        self.checkout.replace_catalog(catalog)
        prices = {item.key: item.price_minor for item in catalog.sellable()}
        details = {"version": catalog.version, "currency": catalog.currency, "prices": prices}
        self.notes.note("price sheet", "prices_changed", details)

    def _take_lane_state(self, lane: LaneState) -> None:
        self.checkout.expire()
        before = self.hub.state.lane.camera
        self.hub.publish_lane(lane)
        if lane.camera != before:
            event = "camera_back" if lane.camera == "ok" else "camera_lost"
            self.notes.note("camera", event, {"state": lane.camera})

    def start(self) -> None:
        """Start the threads; raises SourceError when the camera set is one that cannot be."""
        self.notes.start()
        self.watch.start()
        if self.portone:
            self.portone.start()
        self.receipts.start()
        self.prices.start()
        self.camera.start()
        self.lane.start()

    def stop(self) -> None:
        """Let the browsers go, then stop every thread; a second call does nothing more."""
        self.hub.close()
        self.lane.stop()
        self.camera.stop()
        self.prices.stop()
        self.receipts.stop()
        if self.portone:
            self.portone.stop()
        self.notes.stop()
        self.watch.stop()
        self.database.close()
        log.info("stopped")

    def problem(self) -> str | None:
        """The code of what a customer should know first; None when all is well."""
        if self.database.trouble:
            return "store_unavailable"
        if self.camera.state != "ok":
            return "camera_down"
        if self.detector is None or self.lane.failing:
            return "detector_down"
        return None if self.prices.catalog.items else "prices_missing"

    def readiness(self) -> Mapping[str, PartState]:
        """The state of each part that a sale needs."""
        return {
            "camera": self._camera_state(),
            "detector": self._detector_state(),
            "prices": self._prices_state(),
            "database": self._database_state(),
        }

    def _camera_state(self) -> PartState:
        status = self.camera.status()
        return PartState(status.state == "ok", status.problem or "")

    def _detector_state(self) -> PartState:
        if self.detector is None:
            return PartState(False, self._no_detector)
        failing = self.lane.failing
        return PartState(not failing, "detector failing, see the log" if failing else "")

    def _prices_state(self) -> PartState:
        problem = self.prices.problem
        return PartState(problem is None, str(problem) if problem else "")

    def _database_state(self) -> PartState:
        if not self.database.trouble:
            with suppress(StoreUnavailable):  # which is the trouble from then on
                self.database.ping()
        return PartState(not self.database.trouble, self.database.trouble)


def load_or_say_why(load: Loader, settings: Settings) -> tuple[Detector | None, str]:
    """The detector, or None and one line about why there is none."""
    try:
        return load(settings.weights, settings.runtime), ""
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the shop must open
        reason = f"{settings.weights.name}: {' '.join(str(error).split()) or type(error).__name__}"
        log.error("detector_missing reason=%r", reason)
        return None, reason
