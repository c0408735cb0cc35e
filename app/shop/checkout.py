"""One lane's checkout: the owner of its cart and of its current order, behind one lock.

open ── pay ──▶ awaiting_payment ── confirm ──▶ paid ── counter seen empty, at rest ──▶ open
  ▲────────── cancel, expire ───────────┘

While an order waits or is paid, the snapshot is frozen as the customer saw it. The basket itself
goes on following the camera behind it, so that cancelling returns to what lies on the counter.
The store is written before anything changes here: when it raises, nothing has happened.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from app.errors import (
    CartFrozen,
    IllegalTransition,
    InvalidPayment,
    OrderNotFound,
    StoreUnavailable,
    VersionConflict,
)
from app.shop import payable
from app.shop.cart import Cart, CartSnapshot, Doubt
from app.shop.catalog import Catalog
from app.shop.listeners import Listeners, Note, keep_no_note
from app.shop.order import Order, OrderStatus, OrderStore, log_move, order_from, utc_now
from app.shop.payment import STANDARD_METHODS, Methods, Proof, check_request

CameraState = Literal["ok", "stale", "down"]
Subscriber = Callable[[CartSnapshot, Order | None], None]

ABANDONED_AFTER_S = 120.0  # an empty, untouched counter: the next customer starts afresh
PAID_SHOWN_S = 4.0  # time to read the order number, even when the counter is empty already
EXPIRY_RETRY_S = 1.0  # how soon an expiry that the store refused is tried again

log = logging.getLogger("checkout.shop")


class Checkout:
    """Cart, order and the way from one to the other, for one lane. Safe from any thread."""

    def __init__(
        self,
        lane: str,
        catalog: Catalog,
        orders: OrderStore,
        clock: Callable[[], float] = time.monotonic,
        methods: Methods = STANDARD_METHODS,
        note: Note = keep_no_note,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Resume the lane's unfinished order, if the store has one.

        clock: seconds that never go back. methods: the ways to pay. note: takes down (actor,
        event, details) of what people changed in the basket; must neither wait nor raise. now: UTC,
        for what must outlast a restart. Until the first report the camera counts as down and the
        scene as not at rest. Raises StoreUnavailable.
        """
        self._lane, self._catalog, self._orders, self._clock = lane, catalog, orders, clock
        self._methods, self._note, self._now = methods, note, now
        self._lock = threading.Lock()
        self._listeners: Listeners[tuple[CartSnapshot, Order | None]] = Listeners()
        self._cart = Cart()
        self._camera: CameraState = "down"
        self._settled = False
        self._order: Order | None = None
        self._emptied = False
        self._names: dict[int, str] = {}
        self._paid_at_s = self._busy_at_s = clock()
        self._expiry_from_s = 0.0
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

    def see(
        self, counts: Mapping[str, int], settled: bool, doubts: tuple[Doubt, ...] = ()
    ) -> CartSnapshot:
        """Take the settled counts of one frame; ``settled`` False while the scene is not at rest.

        doubts: fruits among them that somebody has to name. Cheap when nothing changed. Without a
        working camera no scene is at rest, and what it saw last is kept. An empty counter at rest
        ends a paid sale, once it was shown for ``PAID_SHOWN_S``, and, after ``ABANDONED_AFTER_S``
        untouched, also the corrections that somebody left behind.
        """
        with self._changing():
            if self._camera != "ok":
                counts, settled, doubts = self._cart.counts, False, self._cart.doubts
            known = self._settled, self._cart.counts, self._cart.doubts
            if (settled, counts, doubts) != known:
                self._settled = settled
                self._cart = self._cart.see(counts, settled, doubts)
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

    def add_item(self, key: str, quantity: int, actor: str = "customer") -> CartSnapshot:
        """Add 1…99 missed fruits by hand. Raises CartFrozen, InvalidQuantity, UnknownItem."""
        return self._edit(
            f"manual:{key}", lambda cart: cart.add(key, quantity, self._catalog), actor
        )

    def change_line(
        self, line_id: str, quantity: int, actor: str = "customer", seen: int | None = None
    ) -> CartSnapshot:
        """Set a line to 0…99.

        seen: its quantity on the screen that the person looked at; None: as it is now. Raises
        CartFrozen, InvalidQuantity, LineNotFound, VersionConflict when another quantity was seen.
        """

        def change(cart: Cart) -> Cart:
            now = self._snapshot.quantity(line_id)
            if seen is not None and now not in (seen, quantity):  # sent twice it is one wish
                raise VersionConflict("The basket has changed: look at it again.")
            return cart.change(line_id, quantity)

        return self._edit(line_id, change, actor)

    def remove_line(self, line_id: str, actor: str = "customer") -> CartSnapshot:
        """Take a line out of the basket. Raises CartFrozen, LineNotFound."""
        return self.change_line(line_id, 0, actor)

    def name_fruit(self, fruit: int, key: str, actor: str = "customer") -> CartSnapshot:
        """Tell what a fruit in doubt is; the basket follows with the next frame (``take_names``).

        key: NOTHING_MISSING of a thing that is not recognised. Raises CartFrozen, LineNotFound when
        it is not in doubt, UnknownItem for another answer than those offered.
        """
        with self._changing():
            self._check_open()
            doubt = self._cart.doubt(fruit, key)
            self._names[fruit], self._busy_at_s = key, self._clock()
            self._note(actor, *doubt.answered(key))
            return self._snapshot

    def take_names(self) -> Mapping[int, str]:
        """Hand over, once, what people said that fruits are: keys by fruit."""
        with self._lock:
            names, self._names = self._names, {}
            return names

    def _check_open(self) -> None:
        if self._order is not None:
            raise CartFrozen("The basket is being paid: cancel the payment to change it.")

    def _edit(self, line_id: str, change: Callable[[Cart], Cart], actor: str) -> CartSnapshot:
        with self._changing():
            self._check_open()
            before = self._snapshot.quantity(line_id)
            self._cart = change(self._cart)
            self._busy_at_s = self._clock()
            self._refresh()
            after = self._snapshot.quantity(line_id)
            event = "line_removed" if not after else "line_changed" if before else "line_added"
            self._note(actor, event, {"line": line_id, "from": before, "to": after})
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
        way = check_request(method, idempotency_key, self._methods)
        with self._changing():
            order = self._orders.find_by_key(idempotency_key)
            if order is not None and order.lane != self._lane:
                raise InvalidPayment("This payment belongs to another lane: start again.")
            if order is None:
                self._take_up()
                self._check_payable(cart_version)
                seen = (self._snapshot, self._catalog, self._cart)
                draft = order_from(*seen, way, idempotency_key, self._now())
                order = self._orders.create(draft)
                log_move(order)
            # A known key with nothing frozen: the store kept the order, but its answer got lost.
            if self._order is None and order.status is OrderStatus.AWAITING_PAYMENT:
                self._order = order
                self._refresh()
            return order

    def confirm(
        self, order_id: int, actor: str, proof: Proof | None = None, method: str | None = None
    ) -> Order:
        """Note that ``actor`` has the money: committed to the store before any screen says paid.

        proof: what the method asks for. method: how it was paid; None: as the customer chose.
        Confirming a paid order again returns it. Raises OrderNotFound, IllegalTransition,
        InvalidPayment, StoreUnavailable.
        """

        def settle(order: Order) -> Order:
            way = self._methods.get(method or order.method)
            if way is None:
                raise InvalidPayment(f"Pay by one of: {', '.join(self._methods)}.")
            payment = way.accept(order.total_minor, proof or Proof(), actor)
            return self._orders.confirm(order_id, payment)

        return self._finish(order_id, OrderStatus.PAID, settle)

    def cancel(self, order_id: int, actor: str = "customer") -> Order:
        """Give up a payment and return to the basket, with its corrections, as it lies there now.

        Cancelling twice returns the order. Raises OrderNotFound, IllegalTransition once paid,
        StoreUnavailable.
        """
        cancelled = OrderStatus.CANCELLED
        return self._finish(
            order_id, cancelled, lambda _: self._orders.end(order_id, cancelled, actor)
        )

    def extend(self, order_id: int, actor: str = "customer") -> Order:
        """Give the waiting order its whole time once more, as often as anybody asks for it.

        Raises OrderNotFound, IllegalTransition when there is nothing to extend, StoreUnavailable.
        """
        with self._changing():
            order = self._order
            way = self._methods.get(order.method) if order and order.id == order_id else None
            if way is None:
                raise OrderNotFound(f"Lane {self._lane} is not waiting for order {order_id}.")
            self._order = self._orders.extend(order_id, way.valid_for or timedelta(), actor)
            self._listeners.add((self._snapshot, self._order))
            return self._order

    def expire(self) -> None:
        """End a payment that took too long; call it every second or so, it is cheap.

        A store that does not answer is asked again later; another process may have been faster.
        """
        order, now_s = self.current_order(), self._clock()
        if order is None or not order.overdue(self._now()) or now_s < self._expiry_from_s:
            return
        self._expiry_from_s = now_s + EXPIRY_RETRY_S
        order_id, expired = order.id or 0, OrderStatus.EXPIRED
        try:
            self._finish(order_id, expired, lambda _: self._orders.end(order_id, expired, "clock"))
        except (StoreUnavailable, IllegalTransition, OrderNotFound) as error:
            log.warning("order_expiry_failed number=%s reason=%s", order.number, error)

    def catch_up(self) -> None:
        """Follow the store after it failed: what it did may be done, and only its answer lost.

        Raises StoreUnavailable.
        """
        with self._changing():
            if self._order is not None:
                with suppress(OrderNotFound):
                    self._follow(self._stored(self._order.id or 0))
            self._take_up()

    def counter_cleared(self, order_id: int | None = None) -> CartSnapshot:
        """End a paid sale at once, on the clerk's word that its goods are gone.

        For a camera that is down, or that sees fruit where there is none. order_id: the sale that
        the clerk speaks of; None: whichever it is. Without such a sale nothing changes.
        """
        with self._changing():
            order = self._order
            if order is not None and order.sold and order_id in (None, order.id):
                self._release(order)
                self._refresh()
            return self._snapshot

    def _take_up(self) -> None:
        """Go on with an order that the store kept though it said that it did not."""
        order = None if self._order else self._orders.unfinished(self._lane)
        if order is not None and order.status is OrderStatus.AWAITING_PAYMENT:
            self._order = order
            self._refresh()

    def _stored(self, order_id: int) -> Order:
        """Read an order; one that vanished with its database no longer holds the basket."""
        try:
            return self._orders.get(order_id)
        except OrderNotFound:
            if self._order is not None and self._order.id == order_id and not self._order.sold:
                log.error("order_vanished number=%s", self._order.number)
                self._order = None
                self._refresh()
            raise

    def _check_payable(self, cart_version: int) -> None:
        seen = self._snapshot
        if self._order is not None:
            raise CartFrozen("This basket is already being paid.")
        if cart_version != seen.version:
            raise VersionConflict("The basket has changed: look at it again, then pay.")
        payable.check(seen, self._camera == "ok", self._settled)

    def _finish(
        self, order_id: int, status: OrderStatus, finish: Callable[[Order], Order]
    ) -> Order:
        """Let ``finish`` bring an order of this lane to ``status``, unless it is there already."""
        with self._changing():
            order = self._stored(order_id)
            if order.lane != self._lane:
                raise OrderNotFound(f"Lane {self._lane} has no order {order_id}.")
            if order.status is not status and not (status is OrderStatus.PAID and order.sold):
                try:
                    order = finish(order)
                    log_move(order)
                except IllegalTransition:
                    self._follow(self._orders.get(order_id))
                    raise
            self._follow(order)
            return order

    def _follow(self, order: Order) -> None:
        """Show that the current order went on, here or in another process."""
        shown = self._order
        if shown is None or shown.id != order.id or shown.status is order.status:
            return
        self._order = order if order.sold else None
        self._emptied = False
        self._paid_at_s = self._busy_at_s = self._clock()
        self._refresh(about=order)

    # Inside the lock

    def _watch_counter(self) -> None:
        """Let an empty counter end a paid sale, or a basket that somebody left behind."""
        now_s = self._clock()
        empty = self._settled and not self._cart.counts
        if not empty:
            self._busy_at_s = now_s
        if self._order is None:
            if now_s - self._busy_at_s >= ABANDONED_AFTER_S:
                self._abandon()
        elif self._order.sold:
            self._emptied = self._emptied or empty
            if self._emptied and now_s - self._paid_at_s >= PAID_SHOWN_S:
                self._release(self._order)

    def _abandon(self) -> None:
        lines = {line.id: line.quantity for line in self._snapshot.lines}
        if lines:
            self._note("clock", "no_sale", {"lines": lines})
        self._cart = Cart(doubts=self._cart.doubts)

    def _release(self, order: Order) -> None:
        """Begin a new basket, with what lies on the counter, now that a sale's goods have left."""
        try:
            self._orders.release(order.id or 0)
        except StoreUnavailable as error:
            log.warning("order_release_failed number=%s reason=%s", order.number, error)
        self._order, self._emptied = None, False
        seen, self._cart = self._cart, Cart()
        if self._camera == "ok":  # else those are the goods that have left
            self._cart = self._cart.see(seen.counts, self._settled, seen.doubts)

    def _refresh(self, about: Order | None = None) -> None:
        """Draw the snapshot anew; its version rises only when something on it changed."""
        old = self._snapshot
        if self._order is None:
            new = self._cart.snapshot(self._lane, old.version, self._catalog)
        else:
            new = self._order.snapshot(old.version)
        if new != old:
            self._snapshot = replace(new, version=old.version + 1)
            self._listeners.add((self._snapshot, about or self._order))

    # Telling the others

    @property
    def listener_failures(self) -> int:
        """How often a subscriber broke down on a change."""
        return self._listeners.failures

    def subscribe(self, callback: Subscriber) -> None:
        """Call ``callback`` with (snapshot, order) after each change, in order, outside the lock.

        order: the current one, the one just cancelled, or None. A callback must be quick; it may
        call this checkout. An error in it is logged and stops neither the sale nor the others.
        """
        self._listeners.subscribe(lambda event: callback(*event))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        finally:
            self._listeners.deliver()
