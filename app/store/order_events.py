"""What the journal says about an order: enough to tell a sale from the journal alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from sqlalchemy.orm import Session

from app.shop.order import Order
from app.shop.payment import Payment
from app.shop.refund import Refund
from app.store.journal import Details, Journal


def created(session: Session, order: Order) -> None:
    """Write down a basket that is to be paid, with all of its lines."""
    details = {
        "method": order.method,
        "cart_version": order.cart_version,
        "camera_counts": dict(order.camera_counts),
        "lines": [asdict(line) for line in order.lines],
    }
    _append(session, order, f"order_{order.status.value}", details)


def paid(session: Session, order: Order, payment: Payment) -> None:
    """Write down that money was taken, how, and how much of it for which tax class."""
    _append(session, order, "order_paid", {"tax": tax_totals(order), **_proof(payment)})


def payment_failed(session: Session, order: Order, payment: Payment) -> None:
    """Write down a try that brought no money."""
    details = {"reason": payment.reason, **_proof(payment)}
    _append(session, order, "payment_failed", details, payment.confirmed_by)


def extended(session: Session, order: Order, actor: str) -> None:
    """Write down until when a customer may pay now."""
    until = order.expires_at.isoformat() if order.expires_at else None
    _append(session, order, "order_extended", {"until": until}, actor)


def ended(session: Session, order: Order) -> None:
    """Write down that an order was cancelled or expired."""
    _append(session, order, f"order_{order.status.value}", {})


def refunded(session: Session, order: Order, refund: Refund) -> None:
    """Write down that money was given back, for what and why."""
    tax: Counter[str] = Counter()
    for line in refund.lines:
        tax[order.lines[line.position].tax] += line.amount_minor
    details = {
        "refund": refund.number,
        "amount_minor": refund.amount_minor,
        "reason": refund.reason,
        "provider_reference": refund.provider_reference,
        "tax": dict(tax),
        "lines": [{**asdict(line), "key": order.lines[line.position].key} for line in refund.lines],
    }
    _append(session, order, "order_refunded", details)


def tax_totals(order: Order) -> dict[str, int]:
    """How much of an order's total belongs to each tax class, minor units."""
    totals: Counter[str] = Counter()
    for line in order.lines:
        totals[line.tax] += line.amount_minor
    return dict(totals)


def _proof(payment: Payment) -> Details:
    names = ("method", "received_minor", "change_minor", "approval_number", "provider_reference")
    told = {"provider_event": payment.provider_event} if payment.provider_event else {}
    return told | {name: getattr(payment, name) for name in names}


def _append(
    session: Session, order: Order, event: str, details: Details, actor: str | None = None
) -> None:
    same = {"order": order.number, "total_minor": order.total_minor, "currency": order.currency}
    Journal.append(session, order.lane, actor or order.changed_by, event, {**same, **details})
