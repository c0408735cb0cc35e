"""An order: a basket that is being paid or has been paid, and the moves that it may make.

OPEN → AWAITING_PAYMENT → PAID → PARTLY_REFUNDED → REFUNDED
  └────────────┴→ CANCELLED, or EXPIRED when nobody paid in time
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, cast

from app.errors import IllegalTransition
from app.shop.cart import Cart, CartSnapshot, Line, Source, Status, Words
from app.shop.catalog import Catalog, name_in
from app.shop.payment import Payment, PaymentMethod
from app.shop.refund import Refund, RefundRequest

log = logging.getLogger("checkout.shop")


class OrderStatus(StrEnum):
    """Where an order stands; REFUNDED, CANCELLED and EXPIRED are final."""

    OPEN = "open"
    AWAITING_PAYMENT = "awaiting_payment"
    PAID = "paid"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ALLOWED = {
    OrderStatus.OPEN: {OrderStatus.AWAITING_PAYMENT, OrderStatus.CANCELLED},
    OrderStatus.AWAITING_PAYMENT: {
        OrderStatus.PAID,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
    },
    OrderStatus.PAID: {OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED},
    OrderStatus.PARTLY_REFUNDED: {OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED},
    OrderStatus.REFUNDED: set[OrderStatus](),
    OrderStatus.CANCELLED: set[OrderStatus](),
    OrderStatus.EXPIRED: set[OrderStatus](),
}
SOLD = (OrderStatus.PAID, OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED)  # money was taken


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line as it was sold: a copy, so a later price change never touches it. Minor units."""

    key: str
    name_ko: str
    name_en: str
    quantity: int
    unit_price_minor: int
    amount_minor: int
    source: Source
    tax: str

    def as_cart_line(self) -> Line:
        """Show the line on a frozen basket."""
        return Line(
            id=f"{self.source}:{self.key}",
            key=self.key,
            name_ko=self.name_ko,
            name_en=self.name_en,
            quantity=self.quantity,
            unit_price=self.unit_price_minor,
            amount=self.amount_minor,
            source=self.source,
        )

    def name(self, language: str) -> str:
        """Name in ``language`` ("ko", else English)."""
        return name_in(language, self.name_ko, self.name_en)


@dataclass(frozen=True, slots=True)
class Order:
    """One sale or attempted sale.

    id, number: given by the store, None and "" before. total_minor, refunded_minor: minor units of
    ``currency``; refunded_minor never exceeds total_minor. method: what the customer chose.
    camera_counts: what the camera saw when the cart was frozen, before any correction.
    changed_at, changed_by: the last move. All moments are UTC.
    expires_at: from then on the order can no longer be paid; None when it waits for ever.
    paid_at: when the money was there; None before. Refunds leave it.
    released_at: when the counter was seen empty after the sale; None until then.
    """

    lane: str
    status: OrderStatus
    currency: str
    total_minor: int
    lines: tuple[OrderLine, ...]
    cart_version: int
    method: str
    idempotency_key: str
    created_at: datetime
    changed_at: datetime
    changed_by: str = "customer"
    camera_counts: Mapping[str, int] = field(default_factory=dict)
    id: int | None = None
    number: str = ""
    released_at: datetime | None = None
    expires_at: datetime | None = None
    paid_at: datetime | None = None
    refunded_minor: int = 0

    @property
    def sold(self) -> bool:
        """Whether money was taken, even if some or all of it was given back."""
        return self.status in SOLD

    def overdue(self, at: datetime) -> bool:
        """Whether it still waits for its payment, but can no longer be paid."""
        waiting = self.status is OrderStatus.AWAITING_PAYMENT
        return waiting and self.expires_at is not None and at >= self.expires_at

    def move(self, status: OrderStatus, actor: str, at: datetime | None = None) -> Order:
        """Return the order in its new status; the only way there.

        actor: who decided it. at: UTC, default now. Raises IllegalTransition on any move that is
        not in ``ALLOWED``, on a payment that comes too late and on an expiry that comes too early.
        """
        at = at or utc_now()
        paid, expired = status is OrderStatus.PAID, status is OrderStatus.EXPIRED
        in_time = self.overdue(at) is expired if paid or expired else True
        if status not in ALLOWED[self.status] or not in_time:
            raise IllegalTransition(
                f"Order {self.number} is {self.status.value} and cannot become {status.value}."
            )
        paid_at = at if paid else self.paid_at
        return replace(self, status=status, changed_by=actor, changed_at=at, paid_at=paid_at)

    def extended(self, valid_for: timedelta, at: datetime | None = None) -> Order:
        """Return the order with ``valid_for`` to pay from now on.

        at: UTC, default now. Raises IllegalTransition unless it still waits and has an end.
        """
        at = at or utc_now()
        waits = self.status is OrderStatus.AWAITING_PAYMENT and not self.overdue(at)
        if not waits or self.expires_at is None:
            raise IllegalTransition(f"Order {self.number} cannot be given more time.")
        return replace(self, expires_at=at + valid_for)

    def snapshot(self, version: int) -> CartSnapshot:
        """Show the order as the frozen basket that it was made from."""
        return CartSnapshot(
            lane=self.lane,
            version=version,
            status=cast(Status, "paid" if self.sold else self.status.value),
            currency=self.currency,
            total=self.total_minor,
            lines=tuple(line.as_cart_line() for line in self.lines),
            unpriced=(),
            order_id=self.id,
        )

    def basket(self) -> Cart:
        """Rebuild the basket, with what people said about it, as it was when it was frozen."""
        sold = {(line.source, line.key): line.quantity for line in self.lines}
        cart = Cart(dict(self.camera_counts))
        words = {}
        for key in {*self.camera_counts, *(line.key for line in self.lines)}:
            seen = self.camera_counts.get(key, 0)
            said = Words().with_said(seen, sold.get(("camera", key), 0))
            words[key] = said.with_manual(seen, sold.get(("manual", key), 0))
        return replace(cart, words=words)


def order_from(
    seen: CartSnapshot,
    catalog: Catalog,
    cart: Cart,
    method: PaymentMethod,
    idempotency_key: str,
    at: datetime | None = None,
) -> Order:
    """Write the order of a basket as the customer saw it; the store has yet to keep it.

    at: UTC, default now. Raises ValueError on a basket that is empty or holds a line without a
    price.
    """
    if not seen.lines:
        raise ValueError("an empty basket makes no order")
    now = at or utc_now()
    return Order(
        lane=seen.lane,
        status=OrderStatus.AWAITING_PAYMENT,
        currency=seen.currency,
        total_minor=seen.total,
        lines=tuple(_sold(line, catalog) for line in seen.lines),
        cart_version=seen.version,
        method=method.name,
        idempotency_key=idempotency_key,
        created_at=now,
        changed_at=now,
        expires_at=now + method.valid_for if method.valid_for else None,
        camera_counts=dict(cart.counts),
    )


def _sold(line: Line, catalog: Catalog) -> OrderLine:
    item = catalog.get(line.key)
    if item is None or line.unit_price is None or line.amount is None:
        raise ValueError(f"{line.key} has no price")
    return OrderLine(
        key=line.key,
        name_ko=line.name_ko,
        name_en=line.name_en,
        quantity=line.quantity,
        unit_price_minor=line.unit_price,
        amount_minor=line.amount,
        source=line.source,
        tax=item.tax,
    )


def order_number(lane: str, day: date, count: int) -> str:
    """Return the number that people read out: "1-261122-0042" for the 42nd of that day."""
    return f"{lane}-{day:%y%m%d}-{count:04d}"


class OrderStore(Protocol):
    """Where orders live. Every method may raise StoreUnavailable; nothing has changed then."""

    def create(self, order: Order) -> Order:
        """Store a new order and return it with id and number.

        An idempotency key that is already stored returns that order instead, never a second one.
        """
        ...

    def confirm(self, order_id: int, payment: Payment) -> Order:
        """Note the payment and move the order to PAID, committed together.

        Raises OrderNotFound, IllegalTransition, InvalidPayment when the amount is another one or
        the provider's reference has already paid an order.
        """
        ...

    def end(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        """Move an unpaid order to CANCELLED or EXPIRED. Raises OrderNotFound, IllegalTransition."""
        ...

    def extend(self, order_id: int, valid_for: timedelta, actor: str) -> Order:
        """Give a waiting order more time. Raises OrderNotFound, IllegalTransition."""
        ...

    def refund(self, order_id: int, request: RefundRequest, actor: str) -> Refund:
        """Give money back: a new record, and the order moves. See app.shop.refund."""
        ...

    def release(self, order_id: int) -> None:
        """Note that the counter was seen empty after this sale, so that it is over."""
        ...

    def get(self, order_id: int) -> Order:
        """Return one order; OrderNotFound when there is none."""
        ...

    def unfinished(self, lane: str) -> Order | None:
        """Return the lane's newest order if it awaits payment, or is paid but not yet released."""
        ...

    def awaiting(self) -> list[Order]:
        """List the orders of all lanes that await payment, oldest first."""
        ...

    def find_by_key(self, idempotency_key: str) -> Order | None:
        """Return the order made with this idempotency key, if any."""
        ...


def utc_now() -> datetime:
    """The moment now, in UTC."""
    return datetime.now(UTC)


def log_move(order: Order) -> None:
    """Log one line for an order that has just reached its status."""
    log.info(
        "order_%s number=%s total_minor=%d currency=%s by=%r",
        *(order.status.value, order.number, order.total_minor, order.currency, order.changed_by),
    )
