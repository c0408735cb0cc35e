"""What providers said that no payment of an order holds: above all money that must go back.

It is kept in the journal, so that no restart forgets it.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

from app.store.journal import Journal, Record

OWED, GIVEN_BACK = "payment_owed", "payment_given_back"
TOLD_AGAIN = "payment_told_again"


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider says about one payment.

    event: the message's own number, 1 to 100 characters, new for each. paid: whether money came;
    otherwise ``reason`` says why not. amount_minor: minor units of ``currency``. reference: the
    provider's number of the payment, "" for none. method: the way to pay that it belongs to. by:
    who tells it, as the records name him.
    """

    event: str
    order_number: str
    amount_minor: int
    currency: str
    paid: bool
    method: str
    by: str
    reference: str = ""
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What tells this money from all other, also where a provider uses a number twice."""
        return self.event, self.order_number, self.amount_minor, self.currency

    def is_about(self, reference: str, event: str) -> bool:
        """Whether this is the payment of that number, or the message itself."""
        return self.event == event or (self.reference != "" and self.reference == reference)

    def details(self) -> dict[str, object]:
        """The values as the journal keeps them."""
        return {
            "order": self.order_number,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "method": self.method,
            "provider_reference": self.reference,
            "provider_event": self.event,
        }


class OwedMoney:
    """What one lane owes, as its journal says. Safe from any thread."""

    def __init__(self, journal: Journal, lane: str) -> None:
        """Read what is owed from the journal. Raises StoreUnavailable."""
        self._journal, self._lane = journal, lane
        self._lock = threading.Lock()
        self._owed: dict[tuple[str, str, int, str], Told] = {}
        self._settled: set[tuple[str, str, int, str]] = set()
        self._confirmed: dict[str, Told] = {}  # by the order's number
        for record in journal.records(lane, (OWED, GIVEN_BACK, TOLD_AGAIN)):
            told = _told(record)
            if record.event == OWED:
                self._owed[told.key] = told
            elif record.event == GIVEN_BACK:
                self._settle(told)
            else:
                self._confirmed.setdefault(told.order_number, told)

    def all(self) -> list[Told]:
        """List what is owed, oldest first."""
        with self._lock:
            return list(self._owed.values())

    def knows(self, told: Told) -> bool:
        """Say whether a message's money is owed, or went back."""
        with self._lock:
            return told.key in self._owed or told.key in self._settled

    def add(self, told: Told) -> bool:
        """Write down that this money must go back; whether that is new. StoreUnavailable."""
        with self._lock:
            if told.key in self._owed or told.key in self._settled:
                return False
            self._journal.record(self._lane, told.by, OWED, told.details())
            self._owed[told.key] = told
            return True

    def gave_back(self, told: Told, actor: str) -> bool:
        """Write down that this money went back; whether that is new. StoreUnavailable."""
        with self._lock:
            if told.key in self._settled:
                return False
            self._journal.record(self._lane, actor, GIVEN_BACK, told.details())
            self._settle(told)
            return True

    def is_confirmed(self, told: Told) -> bool:
        """Say whether this is the money that a clerk confirmed before its message came.

        The first message about the order is, and is written down; another is when it is about the
        same payment. Raises StoreUnavailable.
        """
        with self._lock:
            first = self._confirmed.get(told.order_number)
            if first is None:
                self._journal.record(self._lane, told.by, TOLD_AGAIN, told.details())
                self._confirmed[told.order_number] = first = told
            return told.is_about(first.reference, first.event)

    def _settle(self, told: Told) -> None:
        self._owed.pop(told.key, None)
        self._settled.add(told.key)


def _told(record: Record) -> Told:
    details = json.loads(record.details)
    return Told(
        event=details["provider_event"],
        order_number=details["order"],
        amount_minor=details.get("amount_minor", 0),  # TOLD_AGAIN once did without it
        currency=details.get("currency", ""),
        paid=True,
        method=details.get("method", ""),  # records of version 0.2.0 lack it
        by=record.actor,
        reference=details["provider_reference"],
    )
