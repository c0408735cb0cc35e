"""How an order may be paid, and what proves that it was. Pure values; no money moves here.

A method says how long its order may wait and what it needs to see before an order is paid. Money
moves outside: into a drawer, on a card terminal, at a provider. The checkout keeps the proof.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from app.errors import InvalidPayment

QR_VALID_FOR = timedelta(minutes=3)
APPROVAL = re.compile(r"[0-9A-Za-z-]{4,20}")
METHOD = re.compile(r"[a-z][a-z0-9_]{0,31}")
MAX_KEY_LENGTH = 100
MAX_REFERENCE_LENGTH = 100
MAX_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Proof:
    """What a clerk or a provider states about money that came; each method asks for its part.

    received_minor: cash laid down, minor units. approval_number: as the card terminal printed it.
    provider_reference: the provider's own number of this payment, at most 100 characters.
    provider_event: the number of the message that told it, at most 100 characters.
    """

    received_minor: int | None = None
    approval_number: str = ""
    provider_reference: str = ""
    provider_event: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """One try to pay an order, as it ended; written once.

    amount_minor: what it was about, minor units of the order's currency. received_minor,
    change_minor: cash only. provider_reference: unique among a method's confirmed payments, ""
    when there is none. confirmed_by: a user's name, or the provider's. at: UTC.
    reason: why a failed try brought no money, at most 200 characters.
    provider_event: unique among all tries, so that no message counts twice; "" when none told it.
    """

    method: str
    amount_minor: int
    confirmed_by: str
    at: datetime
    received_minor: int | None = None
    change_minor: int | None = None
    approval_number: str = ""
    provider_reference: str = ""
    outcome: Literal["confirmed", "failed"] = "confirmed"
    reason: str = ""
    provider_event: str = ""


class PaymentMethod(Protocol):
    """One way to pay."""

    @property
    def name(self) -> str:
        """Short lower-case word, kept with the order."""
        ...

    @property
    def valid_for(self) -> timedelta | None:
        """How long an order may wait for its payment; None: until somebody ends it."""
        ...

    def accept(self, total_minor: int, proof: Proof, confirmed_by: str) -> Payment:
        """Return the payment of ``total_minor`` that ``proof`` proves.

        Raises InvalidPayment, in a sentence for the clerk, when the proof does not do.
        """
        ...


@dataclass(frozen=True, slots=True)
class ByClerk:
    """The clerk takes the money in whatever way and says so; nothing more is asked."""

    name: str = "clerk"
    valid_for: timedelta | None = None

    def accept(self, total_minor: int, proof: Proof, confirmed_by: str) -> Payment:  # noqa: ARG002
        """Take the clerk's word."""
        return _payment(self, total_minor, confirmed_by)


@dataclass(frozen=True, slots=True)
class Cash:
    """Cash over the counter: needs what was received, gives the change."""

    name: str = "cash"
    valid_for: timedelta | None = None

    def accept(self, total_minor: int, proof: Proof, confirmed_by: str) -> Payment:
        """Work out the change; less than the total is refused."""
        received = proof.received_minor
        if type(received) is not int:
            raise InvalidPayment("Enter the amount of cash received.", "cash_missing")
        if received < total_minor:
            raise InvalidPayment("The cash received is less than the total.", "cash_short")
        paid = _payment(self, total_minor, confirmed_by)
        return replace(paid, received_minor=received, change_minor=received - total_minor)


@dataclass(frozen=True, slots=True)
class Card:
    """A card on a terminal that stands alone: needs the approval number that it printed."""

    name: str = "card"
    valid_for: timedelta | None = None

    def accept(self, total_minor: int, proof: Proof, confirmed_by: str) -> Payment:
        """Keep the approval number: 4 to 20 letters, digits or hyphens."""
        if not APPROVAL.fullmatch(proof.approval_number):
            raise InvalidPayment(
                "Enter the approval number that the card terminal printed.", "approval_missing"
            )
        paid = _payment(self, total_minor, confirmed_by)
        return replace(paid, approval_number=proof.approval_number)


@dataclass(frozen=True, slots=True)
class ByTransfer:
    """A payment on the customer's phone, confirmed by a clerk or by the provider's message."""

    name: str = "qr"
    valid_for: timedelta | None = QR_VALID_FOR

    def accept(self, total_minor: int, proof: Proof, confirmed_by: str) -> Payment:
        """Take the clerk's or the provider's word, and the provider's reference if there is one."""
        if max(len(proof.provider_reference), len(proof.provider_event)) > MAX_REFERENCE_LENGTH:
            raise InvalidPayment(f"The reference is over {MAX_REFERENCE_LENGTH} characters.")
        return replace(
            _payment(self, total_minor, confirmed_by),
            provider_reference=proof.provider_reference,
            provider_event=proof.provider_event,
        )


Methods = Mapping[str, PaymentMethod]


def methods_by_name(*methods: PaymentMethod) -> Methods:
    """Gather methods under their names."""
    return {method.name: method for method in methods}


STANDARD_METHODS = methods_by_name(ByClerk(), Cash(), Card(), ByTransfer())


def check_request(method: object, idempotency_key: object, methods: Methods) -> PaymentMethod:
    """Return the method asked for.

    Raises InvalidPayment unless it is one of ``methods`` and the key has 1…100 characters.
    """
    if not isinstance(method, str) or not METHOD.fullmatch(method) or method not in methods:
        raise InvalidPayment(f"Pay by one of: {', '.join(methods)}.")
    if not isinstance(idempotency_key, str) or not idempotency_key.strip():
        raise InvalidPayment("The payment needs an idempotency key.")
    if len(idempotency_key) > MAX_KEY_LENGTH:
        raise InvalidPayment(f"The idempotency key is longer than {MAX_KEY_LENGTH} characters.")
    return methods[method]


def failed(
    method: str, amount_minor: int, reason: str, reference: str, told_by: str, event: str = ""
) -> Payment:
    """Describe a try that brought no money; the order goes on waiting."""
    return Payment(
        method,
        amount_minor,
        told_by,
        datetime.now(UTC),
        provider_reference=reference[:MAX_REFERENCE_LENGTH],
        outcome="failed",
        reason=reason[:MAX_REASON_LENGTH],
        provider_event=event,
    )


def _payment(method: PaymentMethod, total_minor: int, confirmed_by: str) -> Payment:
    return Payment(method.name, total_minor, confirmed_by, datetime.now(UTC))
