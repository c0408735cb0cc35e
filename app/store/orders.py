"""Orders in the database, with their payments and refunds.

Whatever moves an order does so in one transaction: the order's row is locked (SQLite: the whole
database), the new records are written, the journal too. Who comes second sees the order as the
first left it, and is refused there.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import IllegalTransition, InvalidPayment, InvalidRefund, OrderNotFound
from app.shop.miscount import miscounts
from app.shop.order import SOLD, Order, OrderLine, OrderStatus, order_number
from app.shop.payment import Payment
from app.shop.refund import Refund, RefundLine, RefundRequest, refund_from
from app.store import order_events
from app.store.journal import Journal
from app.store.tables import (
    MiscountRow,
    OrderLineRow,
    OrderRow,
    PaymentRow,
    RefundLineRow,
    RefundRow,
)

if TYPE_CHECKING:
    from app.store.database import Database

COPIED = [field.name for field in fields(Order) if field.name not in ("id", "lines", "status")]
MOVED = ("changed_at", "changed_by", "paid_at")
LARGEST_ID = 2**63 - 1  # SQLite refuses to be asked for a larger one
PAYMENT = [field.name for field in fields(Payment)]
REFUND = [field.name for field in fields(Refund) if field.name != "lines"]


class SqlOrderStore:
    """The OrderStore on a Database; every method is one transaction, committed on return."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, order: Order) -> Order:
        """Store a new order; a known idempotency key returns the order that it made before."""
        try:
            with self._database.writing() as session:
                # A lane's orders queue here, so that no two get the same number of the day.
                Journal.wait_for_turn(session, order.lane)
                row = _by_key(session, order.idempotency_key)
                return _order(row) if row else _insert(session, order)
        except IntegrityError:  # another lane was faster with the same key
            existing = self.find_by_key(order.idempotency_key)
            if existing is None:
                raise
            return existing

    def confirm(self, order_id: int, payment: Payment) -> Order:
        """Note the payment and move the order to PAID.

        Raises OrderNotFound; IllegalTransition, also to the loser of a race; InvalidPayment when
        the payment is for another amount, or its reference has paid an order before.
        """
        try:
            with self._database.writing() as session:
                order = _locked(session, order_id)
                if payment.amount_minor != order.total_minor or payment.outcome != "confirmed":
                    raise InvalidPayment(
                        "The payment is not for this order's total.", "amount_differs"
                    )
                paid = _move(session, order, OrderStatus.PAID, payment.confirmed_by, payment.at)
                session.add(_payment_row(order_id, payment))
                session.flush()
                order_events.paid(session, paid, payment)
                return paid
        except IntegrityError as error:
            raise InvalidPayment(
                "This payment has already paid another order.", "reference_used"
            ) from error

    def end(self, order_id: int, status: OrderStatus, actor: str) -> Order:
        """Move an unpaid order to CANCELLED or EXPIRED.

        Raises OrderNotFound; IllegalTransition, also to the loser of a race.
        """
        with self._database.writing() as session:
            order = _locked(session, order_id)
            if status not in (OrderStatus.CANCELLED, OrderStatus.EXPIRED):
                raise IllegalTransition(f"Order {order.number} cannot end as {status.value}.")
            ended = _move(session, order, status, actor)
            order_events.ended(session, ended)
            return ended

    def extend(self, order_id: int, valid_for: timedelta, actor: str) -> Order:
        """Give a waiting order its whole time once more, from now on.

        Raises OrderNotFound; IllegalTransition when it no longer waits, or waits for ever.
        """
        with self._database.writing() as session:
            order = _locked(session, order_id).extended(valid_for)
            _set(session, order_id, expires_at=order.expires_at)
            order_events.extended(session, order, actor)
            return order

    def note_failed(self, order_id: int, payment: Payment) -> None:
        """Keep a try that brought no money; the order stays as it is. Raises OrderNotFound.

        A message that is known already (``provider_event``) is not noted again.
        """
        try:
            with self._database.writing() as session:
                order = _locked(session, order_id)
                session.add(_payment_row(order_id, payment))
                session.flush()
                order_events.payment_failed(session, order, payment)
        except IntegrityError:
            if self.find_event(payment.provider_event) is None:
                raise

    def find_event(self, provider_event: str) -> tuple[int, Payment] | None:
        """Return the order's id and the try to pay that a provider's message told of, if known."""
        told = (PaymentRow.provider_event == provider_event, PaymentRow.provider_event != "")
        with self._database.reading() as session:
            row = session.scalar(select(PaymentRow).where(*told))
            return (row.order_id, _payment(row)) if row else None

    def refund(self, order_id: int, request: RefundRequest, actor: str) -> Refund:
        """Give money back, whole or by line; a known idempotency key returns the first refund.

        Raises OrderNotFound, IllegalTransition for an order that is not paid, InvalidRefund.
        """
        try:
            return self._refund(order_id, request, actor)
        except IntegrityError as error:
            raise InvalidRefund("This wish has already refunded another order.") from error

    def _refund(self, order_id: int, request: RefundRequest, actor: str) -> Refund:
        with self._database.writing() as session:
            order = _locked(session, order_id)
            before = _refunds(session, order_id)
            for known in before:
                if known.idempotency_key == request.idempotency_key:
                    return known
            refund = refund_from(order, before, request, actor, datetime.now(UTC))
            given_minor = order.refunded_minor + refund.amount_minor
            whole = given_minor == order.total_minor
            status = OrderStatus.REFUNDED if whole else OrderStatus.PARTLY_REFUNDED
            refunded = _move(session, order, status, actor, refund.at)
            row = _refund_row(refund)
            session.add(row)
            _set(session, order_id, refunded_minor=given_minor)
            session.flush()
            order_events.refunded(session, refunded, refund)
            return _refund(row)

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

    def find(self, number: str) -> Order | None:
        """Return the order with this number, if any."""
        with self._database.reading() as session:
            row = session.scalar(select(OrderRow).where(OrderRow.number == number))
            return _order(row) if row else None

    def payments(self, order_id: int) -> list[Payment]:
        """List all tries to pay an order, oldest first."""
        wanted = select(PaymentRow).where(PaymentRow.order_id == order_id).order_by(PaymentRow.id)
        with self._database.reading() as session:
            return [_payment(row) for row in session.scalars(wanted)]

    def payment(self, order_id: int) -> Payment | None:
        """Return how an order was paid; None when it was not."""
        confirmed = PaymentRow.outcome == "confirmed"  # at most one of an order: ux_payments_order
        wanted = select(PaymentRow).where(PaymentRow.order_id == order_id, confirmed)
        with self._database.reading() as session:
            row = session.scalar(wanted)
            return _payment(row) if row else None

    def refunds(self, order_id: int) -> list[Refund]:
        """List an order's refunds, oldest first."""
        with self._database.reading() as session:
            return _refunds(session, order_id)

    def unfinished(self, lane: str) -> Order | None:
        """Return the lane's newest order if it awaits payment, or is paid but not yet released."""
        newest = select(OrderRow).where(OrderRow.lane == lane).order_by(OrderRow.id.desc()).limit(1)
        with self._database.reading() as session:
            row = session.scalar(newest)
            order = _order(row) if row else None
        if order is None or order.status is OrderStatus.AWAITING_PAYMENT:
            return order
        return order if order.status in SOLD and order.released_at is None else None

    def awaiting(self) -> list[Order]:
        """List the orders of all lanes that await payment, oldest first."""
        waiting = OrderRow.status == OrderStatus.AWAITING_PAYMENT.value
        with self._database.reading() as session:
            rows = session.scalars(select(OrderRow).where(waiting).order_by(OrderRow.id))
            return [_order(row) for row in rows]

    def not_paid_by(self, lane: str, method: str, since: datetime) -> list[Order]:
        """List a lane's orders that were to be paid in a way and were not, newest first.

        They wait for it, or were cancelled, expired or paid otherwise since then (UTC).
        """
        waits = OrderRow.status == OrderStatus.AWAITING_PAYMENT.value
        paid = select(PaymentRow.id).where(
            PaymentRow.order_id == OrderRow.id,
            PaymentRow.method == method,
            PaymentRow.outcome == "confirmed",
        )
        wanted = select(OrderRow).where(
            OrderRow.lane == lane,
            OrderRow.method == method,
            waits | (OrderRow.changed_at >= since),
            ~paid.exists(),
        )
        with self._database.reading() as session:
            return [_order(row) for row in session.scalars(wanted.order_by(OrderRow.id.desc()))]

    def of_day(self, day: date, before_id: int | None, most: int) -> list[Order]:
        """List the newest orders begun on a day of the shop's calendar, of all lanes.

        before_id: only those before this one; None: from the last. most: at most that many.
        """
        wanted = select(OrderRow).where(OrderRow.day == day).order_by(OrderRow.id.desc())
        if before_id is not None:
            wanted = wanted.where(OrderRow.id < before_id)
        with self._database.reading() as session:
            return [_order(row) for row in session.scalars(wanted.limit(most))]

    def find_by_key(self, idempotency_key: str) -> Order | None:
        """Return the order made with this idempotency key, if any."""
        with self._database.reading() as session:
            row = _by_key(session, idempotency_key)
            return _order(row) if row else None


def _locked(session: Session, order_id: int) -> Order:
    """Read an order and keep everybody else from moving it until the transaction ends."""
    return _order(_get(session, order_id, {"of": OrderRow}))


def _move(
    session: Session, order: Order, status: OrderStatus, actor: str, at: datetime | None = None
) -> Order:
    """Change an order's status: the only place that does. Raises IllegalTransition."""
    moved = order.move(status, actor, at)
    _set(
        session,
        order.id or 0,
        status=status.value,
        **{name: getattr(moved, name) for name in MOVED},
    )
    return moved


def _set(session: Session, order_id: int, **values: object) -> None:
    session.execute(update(OrderRow).where(OrderRow.id == order_id).values(**values))


def _by_key(session: Session, idempotency_key: str) -> OrderRow | None:
    return session.scalar(select(OrderRow).where(OrderRow.idempotency_key == idempotency_key))


def _get(session: Session, order_id: int, lock: dict[str, Any] | None = None) -> OrderRow:
    known = order_id <= LARGEST_ID
    row = session.get(OrderRow, order_id, with_for_update=lock) if known else None
    if row is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    return row


def _insert(session: Session, order: Order) -> Order:
    row = OrderRow(status=order.status.value, **{name: getattr(order, name) for name in COPIED})
    row.camera_counts = dict(order.camera_counts)
    row.lines = [OrderLineRow(position=n, **asdict(line)) for n, line in enumerate(order.lines)]
    row.day = order.created_at.astimezone().date()
    row.day_count = _orders_of_day(session, row) + 1
    row.number = order_number(row.lane, row.day, row.day_count)
    session.add(row)
    session.flush()
    created = _order(row)
    session.add_all(MiscountRow(order_id=row.id, **asdict(one)) for one in miscounts(created))
    order_events.created(session, created)
    return created


def _orders_of_day(session: Session, row: OrderRow) -> int:
    same = (OrderRow.lane == row.lane, OrderRow.day == row.day)
    return session.scalar(select(func.max(OrderRow.day_count)).where(*same)) or 0


def _order(row: OrderRow) -> Order:
    copied = {name: getattr(row, name) for name in COPIED}
    return Order(id=row.id, status=OrderStatus(row.status), lines=_lines(row), **copied)


def _lines(row: OrderRow) -> tuple[OrderLine, ...]:
    names = [field.name for field in fields(OrderLine)]
    return tuple(OrderLine(**{name: getattr(line, name) for name in names}) for line in row.lines)


def _payment_row(order_id: int, payment: Payment) -> PaymentRow:
    return PaymentRow(order_id=order_id, **asdict(payment))


def _payment(row: PaymentRow) -> Payment:
    return Payment(**{name: getattr(row, name) for name in PAYMENT})


def _refund_row(refund: Refund) -> RefundRow:
    row = RefundRow(**{name: getattr(refund, name) for name in REFUND})
    row.lines = [RefundLineRow(order_id=refund.order_id, **asdict(line)) for line in refund.lines]
    return row


def _refund(row: RefundRow) -> Refund:
    names = [field.name for field in fields(RefundLine)]
    lines = (RefundLine(**{name: getattr(line, name) for name in names}) for line in row.lines)
    return Refund(lines=tuple(lines), **{name: getattr(row, name) for name in REFUND})


def _refunds(session: Session, order_id: int) -> list[Refund]:
    wanted = select(RefundRow).where(RefundRow.order_id == order_id).order_by(RefundRow.number)
    return [_refund(row) for row in session.scalars(wanted)]
