"""Asks PortOne what became of orders, and hands what it says to the desk."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

from app.errors import CheckoutError, StoreUnavailable
from app.shop.order import Order, OrderStatus
from app.store.orders import SqlOrderStore
from app.store.payments.desk import PaymentDesk, Taken
from app.store.payments.portone import PortOne

EVERY_S = 10.0
ASKED_FOR = timedelta(minutes=30)  # after an order ended: whoever paid then gets it back
ASKED_ONCE_FOR = timedelta(days=3)  # without an answer before: the internet was away
STOP_WITHIN_S = 5.0

log = logging.getLogger("checkout.payments")


class PortOneDesk:
    """One lane's orders at PortOne, between ``start`` and ``stop`` asked about by itself, too.

    A webhook may never come, and a customer may pay in the moment in which the order ends.
    """

    def __init__(self, lane: str, portone: PortOne, desk: PaymentDesk, orders: SqlOrderStore):
        self.portone = portone
        self._lane, self._desk, self._orders = lane, desk, orders
        self._done: set[int] = set()  # ended longer ago, and answered since
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask, every ten seconds."""
        self._thread = threading.Thread(target=self._run, name="portone", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, unless PortOne takes long to answer; harmless when it never started."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)

    def ask(self, order: Order) -> Taken | None:
        """Take what PortOne says about an order; money that belongs to none goes back at once.

        What an earlier try could not give back, or not write down, is given back with it. None
        while nothing is decided. Raises ProviderUnavailable, StoreUnavailable.
        """
        told = self.portone.look(order)
        taken = self._desk.take(told) if told else None
        for owed in self._desk.owed():
            if (owed.by, owed.order_number) == ("portone", order.number):
                self.portone.give_back(order, "The order could not be paid with this.")
                self._desk.given_back(owed, owed.by)
        return taken

    def look(self) -> None:
        """Ask about every order that waits for PortOne, or ended a short while ago without it.

        One that PortOne does not answer about, or cannot give back, keeps none of the others.
        """
        now = datetime.now(UTC)
        for order in self._orders.not_paid_by(self._lane, "portone", now - ASKED_ONCE_FOR):
            order_id = order.id or 0
            if order_id in self._done:
                continue
            try:
                self.ask(order)
            except CheckoutError as error:
                log.warning("portone_not_asked number=%s reason=%s", order.number, error)
                continue
            waits = order.status is OrderStatus.AWAITING_PAYMENT
            if not waits and order.changed_at < now - ASKED_FOR:
                self._done.add(order_id)

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.look()
            except StoreUnavailable:
                pass  # whoever watches the database says so
            except Exception:  # a thread that dies would leave money where nobody looks for it
                log.exception("portone_watch_failed")
