"""Giving money back: whole or by line, never more than was paid, exactly what was paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from app.errors import InvalidRefund
from app.shop.payment import MAX_KEY_LENGTH, MAX_REASON_LENGTH, MAX_REFERENCE_LENGTH

if TYPE_CHECKING:
    from app.shop.order import Order


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """What a clerk asks for.

    quantities: how many of which line (its place in the order, from 0); None: all that is left.
    reason: 1…200 characters. idempotency_key: 1…100 characters, new for each wish; sent again it
    returns the refund that it made. provider_reference: of the money's way back, at most 100
    characters, "" for none. refunds_seen: how many refunds the clerk knew of; None: never mind.
    """

    reason: str
    idempotency_key: str
    quantities: Mapping[int, int] | None = None
    provider_reference: str = ""
    refunds_seen: int | None = None


@dataclass(frozen=True, slots=True)
class RefundLine:
    """Some fruits of one line, at the price that was paid; amount in minor units."""

    position: int
    quantity: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back for an order; written once.

    id: given by the store. number: 1 for the order's first refund. amount_minor: over 0, minor
    units of the order's currency, the sum of the lines. at: UTC.
    """

    order_id: int
    number: int
    amount_minor: int
    reason: str
    actor: str
    at: datetime
    lines: tuple[RefundLine, ...]
    idempotency_key: str
    provider_reference: str = ""
    id: int | None = None


def refund_from(
    order: Order, before: Sequence[Refund], request: RefundRequest, actor: str, at: datetime
) -> Refund:
    """Work out a refund of an order that has had the refunds ``before``.

    Raises InvalidRefund when there is nothing to refund, when the request asks for a line that is
    not there, for less than one fruit or for more than are left, or when somebody else refunded
    after the clerk had looked.
    """
    _check_words(request)
    if request.refunds_seen not in (None, len(before)):
        raise InvalidRefund(
            "Money was given back for this order in the meantime: look at it again.",
            "refund_meanwhile",
        )
    left = quantities_left(order, before)
    wanted = left if request.quantities is None else request.quantities
    for position, quantity in wanted.items():
        if position not in left or type(quantity) is not int or quantity < 1:
            raise InvalidRefund(
                "Choose what to refund: a line of this order, 1 or more of it.", "refund_choice"
            )
        if quantity > left[position]:
            raise InvalidRefund(
                "That is more than was paid for and not yet refunded.", "refund_too_much"
            )
    lines = tuple(
        RefundLine(position, wanted[position], wanted[position] * line.unit_price_minor)
        for position, line in enumerate(order.lines)
        if position in wanted
    )
    amount_minor = sum(line.amount_minor for line in lines)
    if amount_minor == 0:
        raise InvalidRefund("There is nothing left to refund.", "refund_nothing_left")
    return Refund(
        order_id=order.id or 0,
        number=len(before) + 1,
        amount_minor=amount_minor,
        reason=request.reason.strip(),
        actor=actor,
        at=at,
        lines=lines,
        idempotency_key=request.idempotency_key,
        provider_reference=request.provider_reference,
    )


def quantities_left(order: Order, refunds: Sequence[Refund]) -> dict[int, int]:
    """How many fruits of each line were paid for and not given back; lines with none left out."""
    left = {position: line.quantity for position, line in enumerate(order.lines)}
    for line in (line for refund in refunds for line in refund.lines):
        left[line.position] -= line.quantity
    return {position: quantity for position, quantity in left.items() if quantity > 0}


def _check_words(request: RefundRequest) -> None:
    if not 0 < len(request.reason.strip()) <= MAX_REASON_LENGTH:
        raise InvalidRefund(
            f"Give the reason, in at most {MAX_REASON_LENGTH} characters.", "refund_reason"
        )
    if not 0 < len(request.idempotency_key.strip()) <= MAX_KEY_LENGTH:
        raise InvalidRefund("The refund needs an idempotency key of 1 to 100 characters.")
    if len(request.provider_reference) > MAX_REFERENCE_LENGTH:
        raise InvalidRefund(f"The reference is over {MAX_REFERENCE_LENGTH} characters.")
