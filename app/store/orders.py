"""Orders in the database."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import OrderNotFound
from app.shop.order import Order, OrderLine, OrderStatus, order_number
from app.store.tables import OrderLineRow, OrderRow

if TYPE_CHECKING:
    from app.store.database import Database

COPIED = [field.name for field in fields(Order) if field.name not in ("id", "lines", "status")]


class SqlOrderStore:
    """The OrderStore on a Database; every method is one transaction, committed on return."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, order: Order) -> Order:
        """Store a new order; a known idempotency key returns the order that it made before."""
        try:
            with self._database.writing() as session:
                row = _by_key(session, order.idempotency_key) or _insert(session, order)
                return _order(row)
        except IntegrityError:  # another writer was faster, where writers do not queue
            existing = self.find_by_key(order.idempotency_key)
            if existing is None:
                raise
            return existing

    def set_status(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        """Move an order. Raises OrderNotFound, IllegalTransition, also to the loser of a race."""
        with self._database.writing() as session:
            before = _order(_get(session, order_id))
            after = before.move(status, actor)
            moved = session.connection().execute(
                update(OrderRow)
                .where(OrderRow.id == order_id, OrderRow.status == before.status.value)
                .values(
                    status=status.value, changed_at=after.changed_at, changed_by=after.changed_by
                )
            )
            if moved.rowcount == 1:
                return after
            session.expire_all()
            return _order(_get(session, order_id)).move(status, actor)

    def release(self, order_id: int) -> None:
        """Note, once, that the counter was seen empty after this order."""
        with self._database.writing() as session:
            session.execute(
                update(OrderRow)
                .where(OrderRow.id == order_id, OrderRow.released_at.is_(None))
                .values(released_at=datetime.now(UTC))
            )

    def get(self, order_id: int) -> Order:
        """Return one order; OrderNotFound when there is none."""
        with self._database.reading() as session:
            return _order(_get(session, order_id))

    def unfinished(self, lane: str) -> Order | None:
        """Return the lane's newest order if it awaits payment, or is paid but not yet released."""
        newest = select(OrderRow).where(OrderRow.lane == lane).order_by(OrderRow.id.desc()).limit(1)
        with self._database.reading() as session:
            row = session.scalar(newest)
            order = _order(row) if row else None
        if order is None or order.status is OrderStatus.AWAITING_PAYMENT:
            return order
        return order if order.status is OrderStatus.PAID and order.released_at is None else None

    def awaiting(self) -> list[Order]:
        """List the orders of all lanes that await payment, oldest first."""
        waiting = OrderRow.status == OrderStatus.AWAITING_PAYMENT.value
        with self._database.reading() as session:
            rows = session.scalars(select(OrderRow).where(waiting).order_by(OrderRow.id))
            return [_order(row) for row in rows]

    def find_by_key(self, idempotency_key: str) -> Order | None:
        """Return the order made with this idempotency key, if any."""
        with self._database.reading() as session:
            row = _by_key(session, idempotency_key)
            return _order(row) if row else None

    def ping(self) -> None:
        """Return when the store can be written, else raise StoreUnavailable."""
        self._database.ping()


def _by_key(session: Session, idempotency_key: str) -> OrderRow | None:
    return session.scalar(select(OrderRow).where(OrderRow.idempotency_key == idempotency_key))


def _get(session: Session, order_id: int) -> OrderRow:
    row = session.get(OrderRow, order_id)
    if row is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return row


def _insert(session: Session, order: Order) -> OrderRow:
    row = OrderRow(status=order.status.value, **{name: getattr(order, name) for name in COPIED})
    row.camera_counts = dict(order.camera_counts)
    row.lines = [OrderLineRow(position=n, **asdict(line)) for n, line in enumerate(order.lines)]
    row.number = order.idempotency_key  # unique until the id, and so the number, is known
    session.add(row)
    session.flush()
    row.number = order_number(order.lane, row.id)
    session.flush()
    return row


def _order(row: OrderRow) -> Order:
    copied = {name: getattr(row, name) for name in COPIED}
    return Order(id=row.id, status=OrderStatus(row.status), lines=_lines(row), **copied)


def _lines(row: OrderRow) -> tuple[OrderLine, ...]:
    names = [field.name for field in fields(OrderLine)]
    return tuple(OrderLine(**{name: getattr(line, name) for name in names}) for line in row.lines)
