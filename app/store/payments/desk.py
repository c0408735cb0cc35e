"""Takes what a payment provider tells, and turns it into a paid order or into a record of why not.

Whatever the message says about money is kept: with its order, or, when there is no such order, in
the journal alone. A message that comes again changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from app.errors import IllegalTransition, InvalidPayment, OrderNotFound
from app.shop.checkout import Checkout
from app.shop.order import Order
from app.shop.payment import Payment, Proof, failed
from app.store.journal import Journal
from app.store.orders import SqlOrderStore
from app.store.payments.owed import OwedMoney, Told

log = logging.getLogger("checkout.payments")
Note = Callable[[str, str, Mapping[str, object]], None]

GIVE_BACK = "Give the money back."


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message.

    verdict: "paid"; "noted" (no money came); "differs" (not the order's amount or currency) and
    "late" (the order could no longer be paid, or was paid otherwise): that money must go back.
    repeated: the message had been taken before.
    """

    order: Order
    verdict: Literal["paid", "noted", "differs", "late"]
    repeated: bool = False

    @property
    def must_go_back(self) -> bool:
        """Whether money came that belongs to no order."""
        return self.verdict in ("differs", "late")


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
            return Taken(order, _verdict_of(known, told), repeated=True)
        if not told.paid:
            self._keep(order, told, told.reason)
            return Taken(order, "noted")
        if (told.amount_minor, told.currency) != (order.total_minor, order.currency):
            came = f"{told.amount_minor} {told.currency}"
            self._keep(order, told, f"{came} is not the total. {GIVE_BACK}")
            return Taken(order, "differs")
        return self._confirm(order, told)

    def _order(self, told: Told) -> Order:
        order = self._orders.find(told.order_number)
        if order is None or order.lane != self._lane:
            self._owe(told)
            self._note(told.by, "payment_unclaimed", {**told.details(), "paid": told.paid})
            raise OrderNotFound(f"Lane {self._lane} has no order {told.order_number}.")
        return order

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
        then the same method was confirmed without the provider's number.
        """
        [paid] = [one for one in self._orders.payments(order.id or 0) if one.outcome == "confirmed"]
        if paid.provider_event:
            return paid.provider_event == told.event
        if paid.method != told.method or paid.provider_reference not in ("", told.reference):
            return False
        self._keep_agreement(order, told, paid)
        return True

    def _keep_agreement(self, order: Order, told: Told, paid: Payment) -> None:
        details = {
            "order": order.number,
            "confirmed_by": paid.confirmed_by,
            "provider_reference": told.reference,
            "provider_event": told.event,
        }
        self._note(told.by, "payment_told_again", details)

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


def _verdict_of(known: Payment, told: Told) -> Literal["paid", "noted", "late"]:
    if known.outcome == "confirmed":
        return "paid"
    return "late" if told.paid else "noted"
