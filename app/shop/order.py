"""An order: a basket that is being paid or has been paid, and the moves that it may make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, cast

from app.errors import IllegalTransition
from app.shop.cart import Cart, CartSnapshot, Line, Source, Status, Words
from app.shop.catalog import Catalog, name_in


class OrderStatus(StrEnum):
    """Where an order stands; PAID and CANCELLED are final."""

    OPEN = "open"
    AWAITING_PAYMENT = "awaiting_payment"
    PAID = "paid"
    CANCELLED = "cancelled"


ALLOWED = {
    OrderStatus.OPEN: {OrderStatus.AWAITING_PAYMENT, OrderStatus.CANCELLED},
    OrderStatus.AWAITING_PAYMENT: {OrderStatus.PAID, OrderStatus.CANCELLED},
    OrderStatus.PAID: set[OrderStatus](),
    OrderStatus.CANCELLED: set[OrderStatus](),
}


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

    id, number: given by the store, None and "" before. total_minor: minor units of ``currency``.
    camera_counts: what the camera saw when the cart was frozen, before any correction.
    changed_at, changed_by: the last move; both timestamps are UTC.
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

    def move(self, status: OrderStatus, actor: str, at: datetime | None = None) -> Order:
        """Return the order in its new status; the only way there.

        actor: who decided it. at: UTC, default now. Raises IllegalTransition on any move that is
        not in ``ALLOWED``.
        """
        if status not in ALLOWED[self.status]:
            raise IllegalTransition(
                f"Order {self.number} is {self.status.value} and cannot become {status.value}."
            )
        return replace(self, status=status, changed_by=actor, changed_at=at or datetime.now(UTC))

    def snapshot(self, version: int) -> CartSnapshot:
        """Show the order as the frozen basket that it was made from."""
        return CartSnapshot(
            lane=self.lane,
            version=version,
            status=cast(Status, self.status.value),
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
    seen: CartSnapshot, catalog: Catalog, cart: Cart, method: str, idempotency_key: str
) -> Order:
    """Write the order of a basket as the customer saw it; the store has yet to keep it.

    Raises ValueError on a basket that is empty or holds a line without a price.
    """
    if not seen.lines:
        raise ValueError("an empty basket makes no order")
    now = datetime.now(UTC)
    return Order(
        lane=seen.lane,
        status=OrderStatus.AWAITING_PAYMENT,
        currency=seen.currency,
        total_minor=seen.total,
        lines=tuple(_sold(line, catalog) for line in seen.lines),
        cart_version=seen.version,
        method=method,
        idempotency_key=idempotency_key,
        created_at=now,
        changed_at=now,
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


def order_number(lane: str, order_id: int) -> str:
    """Return the number that people read out: "1-000042"."""
    return f"{lane}-{order_id:06d}"


class OrderStore(Protocol):
    """Where orders live. Every method may raise StoreUnavailable; nothing has changed then."""

    def create(self, order: Order) -> Order:
        """Store a new order and return it with id and number.

        An idempotency key that is already stored returns that order instead, never a second one.
        """
        ...

    def set_status(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        """Move an order and return it, committed. Raises OrderNotFound, IllegalTransition."""
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

    def ping(self) -> None:
        """Return when the store can be written, else raise StoreUnavailable."""
        ...
