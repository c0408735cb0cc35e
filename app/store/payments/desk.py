"""Takes what a payment provider tells, and turns it into a paid order or into a record of why not.

Whatever the message says about money is kept: with its order, or, when there is no such order, in
the journal alone. A message that comes again changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.errors import IllegalTransition, InvalidPayment, OrderNotFound
from app.shop.checkout import Checkout
from app.shop.listeners import Note
from app.shop.order import Order
from app.shop.payment import Payment, Proof, failed
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from app.store.payments.owed import OwedMoney, Told

log = logging.getLogger("checkout.payments")

Verdict = Literal["paid", "noted", "differs", "late"]
GIVE_BACK = "Give the money back."


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message.

    verdict: "paid"; "noted" (no money came); "differs" (not the order's amount or currency) and
    "late" (the order could no longer be paid, or was paid otherwise): that money must go back.
    repeated: the message had been taken before.
    """

    order: Order
    verdict: Verdict
    repeated: bool = False


class PaymentDesk:
    """Where providers' messages about one lane's orders arrive. Safe from any thread."""

    def __init__(
        self,
        lane: str,
        checkout: Checkout,
        orders: SqlOrderStore,
        journal: Journal,
        note: Note,
    ) -> None:
        """note: takes down (actor, event, details); must neither wait nor raise.

        Raises StoreUnavailable.
        """
        self._lane, self._checkout, self._orders, self._note = lane, checkout, orders, note
        self._owed = OwedMoney(journal, lane)
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called after each change of what is owed."""
        self._listeners.append(listener)

    def owed(self) -> list[Told]:
        """List money that came for no order and must go back, oldest first."""
        return self._owed.all()

    def given_back(self, told: Told, actor: str) -> None:
        """Note that the money of a message went back. Raises StoreUnavailable."""
        if self._owed.gave_back(told, actor):
            self._tell()

    def take(self, told: Told) -> Taken:
        """Take a message whose sender is known to be the provider.

        Raises OrderNotFound, having noted the message; StoreUnavailable, having done nothing.
        """
        order = self._order(told)
        known = self._orders.find_event(told.event)
        if known is not None:
            return self._again(order, told, *known)
        if not told.paid:
            self._keep(order, told, told.reason)
            return Taken(order, "noted")
        if _differs(told, order):
            came = f"{told.amount_minor} {told.currency}"
            self._keep(order, told, f"{came} is not the total. {GIVE_BACK}")
            return Taken(order, "differs")
        return self._confirm(order, told)

    def _order(self, told: Told) -> Order:
        order = self._orders.find(told.order_number)
        if order is None:
            self._owe(told)
        if order is None or order.lane != self._lane:  # another lane's desk is the one to take it
            self._note(told.by, "payment_unclaimed", {**told.details(), "paid": told.paid})
            raise OrderNotFound(f"Lane {self._lane} has no order {told.order_number}.")
        return order

    def _again(self, order: Order, told: Told, order_id: int, known: Payment) -> Taken:
        """Answer as before, unless the provider used one number for two messages."""
        before: Verdict = "differs" if _differs(told, order) else "late"
        if known.outcome == "confirmed":
            before = "paid"
        elif not self._owed.knows(told):
            before = "noted"
        same = (order.id, told.amount_minor, told.paid)
        if not told.paid or same == (order_id, known.amount_minor, before != "noted"):
            return Taken(order, before, repeated=True)
        self._keep(order, told, f"Message {told.event} had said something else. {GIVE_BACK}")
        return Taken(order, "late")

    def _confirm(self, order: Order, told: Told) -> Taken:
        proof = Proof(provider_reference=told.reference, provider_event=told.event)
        try:
            order = self._checkout.confirm(order.id or 0, told.by, proof, told.method)
        except IllegalTransition:
            self._keep(order, told, f"The order could no longer be paid. {GIVE_BACK}")
            return Taken(self._orders.get(order.id or 0), "late")
        except InvalidPayment as error:
            self._keep(order, told, f"{error} {GIVE_BACK}")
            return Taken(order, "late")
        if self._paid_by(order, told):
            return Taken(order, "paid")
        self._keep(order, told, f"The order had been paid otherwise. {GIVE_BACK}")
        return Taken(order, "late")

    def _paid_by(self, order: Order, told: Told) -> bool:
        """Whether this is the money that the order was paid with.

        A clerk who saw the payment in the provider's app may have been faster than its message:
        then the same method was confirmed without the provider's numbers.
        """
        paid = self._orders.payment(order.id or 0)
        if paid is None or paid.method != told.method:
            return False
        if not paid.provider_event and not paid.provider_reference:
            return self._owed.is_confirmed(told)
        return told.is_about(paid.provider_reference, paid.provider_event)

    def _keep(self, order: Order, told: Told, reason: str) -> None:
        log.warning("payment_not_taken number=%s reason=%r", order.number, reason)
        self._owe(told)  # first: a message that is known is not looked at again
        about = (told.method, told.amount_minor, reason, told.reference, told.by, told.event)
        self._orders.note_failed(order.id or 0, failed(*about))

    def _owe(self, told: Told) -> None:
        if told.paid and self._owed.add(told):
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def _differs(told: Told, order: Order) -> bool:
    return (told.amount_minor, told.currency) != (order.total_minor, order.currency)
