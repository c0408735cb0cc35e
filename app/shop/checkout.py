"""One lane's checkout: the owner of its cart and of its current order, behind one lock.

open ── pay ──▶ awaiting_payment ── confirm ──▶ paid ── counter seen empty, at rest ──▶ open
  ▲────────────── cancel ───────────────┘

While an order waits or is paid, the snapshot is frozen as the customer saw it. The basket itself
goes on following the camera behind it, so that cancelling returns to what lies on the counter.
The store is written before anything changes here: when it raises, nothing has happened.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from app.errors import (
    CannotPay,
    CartFrozen,
    InvalidPayment,
    OrderNotFound,
    StoreUnavailable,
    VersionConflict,
)
from app.shop.cart import Cart, CartSnapshot
from app.shop.catalog import Catalog
from app.shop.order import Order, OrderStatus, OrderStore, order_from

CameraState = Literal["ok", "stale", "down"]
Subscriber = Callable[[CartSnapshot, Order | None], None]

ABANDONED_AFTER_S = 120.0  # an empty, untouched counter: the next customer starts afresh
PAID_SHOWN_S = 4.0  # time to read the order number, even when the counter is empty already
MAX_KEY_LENGTH = 100
METHOD = re.compile(r"[a-z][a-z0-9_]{0,31}")
EVENTS_KEPT = 64  # a snapshot holds the whole state, so a slow subscriber may miss old ones

log = logging.getLogger("checkout.shop")


class Checkout:
    """Cart, order and the way from one to the other, for one lane. Safe from any thread."""

    def __init__(
        self,
        lane: str,
        catalog: Catalog,
        orders: OrderStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Resume the lane's unfinished order, if the store has one.

        clock: seconds that never go back. Until the first report the camera counts as down and
        the scene as not at rest. Raises StoreUnavailable.
        """
        self._lane, self._catalog, self._orders, self._clock = lane, catalog, orders, clock
        self._lock = threading.Lock()
        self._events: deque[tuple[CartSnapshot, Order | None]] = deque(maxlen=EVENTS_KEPT)
        self._subscribers: list[Subscriber] = []
        self._delivering = False
        self._cart = Cart()
        self._camera: CameraState = "down"
        self._settled = False
        self._order: Order | None = None
        self._emptied = False
        self._paid_at_s = self._busy_at_s = clock()
        # Calendar ms: a version seen before a restart never fits another basket by chance.
        self._snapshot = self._cart.snapshot(lane, time.time_ns() // 1_000_000, catalog)
        self._resume(orders.unfinished(lane))

    def _resume(self, order: Order | None) -> None:
        if order is None:
            return
        self._order = order
        if order.status is OrderStatus.AWAITING_PAYMENT:
            self._cart = order.basket()
        version = max(self._snapshot.version, order.cart_version + 1)
        self._snapshot = order.snapshot(version)

    # What the camera and the price sheet say

    def see(self, counts: Mapping[str, int], settled: bool) -> CartSnapshot:
        """Take the settled counts of one frame; ``settled`` False while the scene is not at rest.

        Cheap when nothing changed. Without a working camera no scene is at rest. An empty counter
        at rest ends a paid sale, once it was shown for ``PAID_SHOWN_S``, and, after
        ``ABANDONED_AFTER_S`` untouched, also the corrections that somebody left behind.
        """
        with self._changing():
            settled = settled and self._camera == "ok"
            if settled != self._settled or counts != self._cart.counts:
                self._settled = settled
                self._cart = self._cart.see(counts, settled)
            self._watch_counter()
            self._refresh()
            return self._snapshot

    def camera_state(self, state: CameraState) -> CartSnapshot:
        """Take the camera's health; after anything but "ok" the scene must come to rest anew."""
        with self._changing():
            self._camera = state
            if state != "ok":
                self._settled = False
            return self._snapshot

    def replace_catalog(self, catalog: Catalog) -> CartSnapshot:
        """Price an open cart anew; a frozen one keeps its prices."""
        with self._changing():
            self._catalog = catalog
            self._refresh()
            return self._snapshot

    # What the customer and the clerk do with the basket

    def snapshot(self) -> CartSnapshot:
        """Return the basket as it is now."""
        with self._lock:
            return self._snapshot

    def add_item(self, key: str, quantity: int) -> CartSnapshot:
        """Add 1…99 missed fruits by hand. Raises CartFrozen, InvalidQuantity, UnknownItem."""
        return self._edit(lambda cart: cart.add(key, quantity, self._catalog))

    def change_line(self, line_id: str, quantity: int) -> CartSnapshot:
        """Set a line to 0…99. Raises CartFrozen, InvalidQuantity, LineNotFound."""
        return self._edit(lambda cart: cart.change(line_id, quantity))

    def remove_line(self, line_id: str) -> CartSnapshot:
        """Take a line out of the basket. Raises CartFrozen, LineNotFound."""
        return self.change_line(line_id, 0)

    def _edit(self, change: Callable[[Cart], Cart]) -> CartSnapshot:
        with self._changing():
            if self._order is not None:
                raise CartFrozen("The basket is being paid: cancel the payment to change it.")
            self._cart = change(self._cart)
            self._busy_at_s = self._clock()
            self._refresh()
            return self._snapshot

    # The sale

    def current_order(self) -> Order | None:
        """Return the order that waits for payment or whose goods still lie on the counter."""
        with self._lock:
            return self._order

    def pay(self, cart_version: int, method: str, idempotency_key: str) -> Order:
        """Freeze the cart that the browser saw and write its order, awaiting payment.

        idempotency_key: 1…100 characters, new for each wish to pay; sent again, whenever, it
        returns the order that it made. Raises InvalidPayment, VersionConflict, CartFrozen,
        CannotPay, StoreUnavailable.
        """
        check_request(method, idempotency_key)
        with self._changing():
            order = self._orders.find_by_key(idempotency_key)
            if order is not None and order.lane != self._lane:
                raise InvalidPayment("This payment belongs to another lane: start again.")
            if order is None:
                self._check_payable(cart_version)
                order = self._orders.create(
                    order_from(self._snapshot, self._catalog, self._cart, method, idempotency_key)
                )
                log_move(order)
            # A known key with nothing frozen: the store kept the order, but its answer got lost.
            if self._order is None and order.status is OrderStatus.AWAITING_PAYMENT:
                self._order = order
                self._refresh()
            return order

    def confirm(self, order_id: int, actor: str) -> Order:
        """Note that ``actor`` has the money: committed to the store before any screen says paid.

        Confirming a paid order again returns it. Raises OrderNotFound, IllegalTransition,
        StoreUnavailable.
        """
        return self._finish(order_id, OrderStatus.PAID, actor)

    def cancel(self, order_id: int, actor: str = "customer") -> Order:
        """Give up a payment and return to the basket, with its corrections, as it lies there now.

        Cancelling twice returns the order. Raises OrderNotFound, IllegalTransition once paid,
        StoreUnavailable.
        """
        return self._finish(order_id, OrderStatus.CANCELLED, actor)

    def counter_cleared(self) -> CartSnapshot:
        """End a paid sale at once, on the clerk's word that its goods are gone.

        For a camera that is down, or that sees fruit where there is none. Without a paid sale
        nothing changes.
        """
        with self._changing():
            if self._order is not None and self._order.status is OrderStatus.PAID:
                self._release(self._order)
                self._refresh()
            return self._snapshot

    def _check_payable(self, cart_version: int) -> None:
        seen = self._snapshot
        if self._order is not None:
            raise CartFrozen("This basket is already being paid.")
        if cart_version != seen.version:
            raise VersionConflict("The basket has changed: look at it again, then pay.")
        if not seen.lines:
            raise CannotPay("cart_empty", "The basket is empty.")
        if seen.unpriced:
            raise CannotPay("unpriced", "An item has no price: ask the clerk.")
        if self._camera != "ok":
            if any(line.source == "camera" for line in seen.lines):
                raise CannotPay("camera_down", "The camera does not answer: ask the clerk.")
        elif not self._settled:
            raise CannotPay("not_settled", "Wait until the fruit lies still.")

    def _finish(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        with self._changing():
            order = self._orders.get(order_id)
            if order.lane != self._lane:
                raise OrderNotFound(f"Lane {self._lane} has no order {order_id}.")
            if order.status is not status:
                order = self._orders.set_status(order_id, status, actor)
                log_move(order)
            shown = self._order
            if shown is not None and shown.id == order_id and shown.status is not order.status:
                self._order = order if order.status is OrderStatus.PAID else None
                self._emptied = False
                self._paid_at_s = self._busy_at_s = self._clock()
                self._refresh(about=order)
            return order

    # Inside the lock

    def _watch_counter(self) -> None:
        """Let an empty counter end a paid sale, or a basket that somebody left behind."""
        now_s = self._clock()
        empty = self._settled and not self._cart.counts
        if not empty:
            self._busy_at_s = now_s
        if self._order is None:
            if now_s - self._busy_at_s >= ABANDONED_AFTER_S:
                self._cart = Cart()
        elif self._order.status is OrderStatus.PAID:
            self._emptied = self._emptied or empty
            if self._emptied and now_s - self._paid_at_s >= PAID_SHOWN_S:
                self._release(self._order)

    def _release(self, order: Order) -> None:
        """Begin a new basket, with what lies on the counter, now that a sale's goods have left."""
        try:
            self._orders.release(order.id or 0)
        except StoreUnavailable as error:
            log.warning("order_release_failed number=%s reason=%s", order.number, error)
        self._order, self._emptied = None, False
        self._cart = Cart().see(self._cart.counts, self._settled)

    def _refresh(self, about: Order | None = None) -> None:
        """Draw the snapshot anew; its version rises only when something on it changed."""
        old = self._snapshot
        if self._order is None:
            new = self._cart.snapshot(self._lane, old.version, self._catalog)
        else:
            new = self._order.snapshot(old.version)
        if new != old:
            self._snapshot = replace(new, version=old.version + 1)
            self._events.append((self._snapshot, about or self._order))

    # Telling the others

    def subscribe(self, callback: Subscriber) -> None:
        """Call ``callback`` with (snapshot, order) after each change, in order, outside the lock.

        order: the current one, the one just cancelled, or None. A callback must be quick; it may
        call this checkout. An error in it is logged and stops neither the sale nor the others.
        """
        with self._lock:
            self._subscribers.append(callback)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            yield
        self._deliver()

    def _deliver(self) -> None:
        """Hand out what is waiting; one thread at a time, so that the order is kept."""
        while True:
            with self._lock:
                if self._delivering or not self._events:
                    return
                self._delivering = True
                event, subscribers = self._events.popleft(), tuple(self._subscribers)
            for callback in subscribers:
                try:
                    callback(*event)
                except Exception:
                    log.exception("subscriber_failed")
            with self._lock:
                self._delivering = False


def check_request(method: object, idempotency_key: object) -> None:
    """Raise InvalidPayment unless method and key have the form that ``pay`` states."""
    if not isinstance(method, str) or not METHOD.fullmatch(method):
        raise InvalidPayment("The payment method must be a short lower-case word.")
    if not isinstance(idempotency_key, str) or not idempotency_key.strip():
        raise InvalidPayment("The payment needs an idempotency key.")
    if len(idempotency_key) > MAX_KEY_LENGTH:
        raise InvalidPayment(f"The idempotency key is longer than {MAX_KEY_LENGTH} characters.")


def log_move(order: Order) -> None:
    """Log one line for an order that has just reached its status."""
    log.info(
        "order_%s number=%s total_minor=%d currency=%s by=%r",
        *(order.status.value, order.number, order.total_minor, order.currency, order.changed_by),
    )
