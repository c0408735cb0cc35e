"""The database's tables, in SQL that SQLite and PostgreSQL both understand."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: aware in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone; ValueError."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give the zone back to databases that forget it."""
        if value is None or value.tzinfo is not None:
            return value.astimezone(UTC) if value else None
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Root of the tables."""


class OrderRow(Base):
    """One order; what was sold and for how much is written once, only its status goes on."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("total_minor >= 0", name="ck_orders_total"),
        CheckConstraint(
            "status IN ('open', 'awaiting_payment', 'paid', 'partly_refunded', 'refunded',"
            " 'cancelled', 'expired')",
            name="ck_orders_status",
        ),
        CheckConstraint(
            "refunded_minor >= 0 AND refunded_minor <= total_minor", name="ck_orders_refunded"
        ),
        UniqueConstraint("lane", "day", "day_count", name="uq_orders_lane_day_count"),
        Index("ix_orders_lane_id", "lane", "id"),
        Index("ix_orders_status", "status"),
        Index("ix_orders_paid_at", "paid_at"),
        Index("ix_orders_day", "day", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(100), unique=True)
    lane: Mapped[str] = mapped_column(String(50))
    status: Mapped[str] = mapped_column(String(20))
    currency: Mapped[str] = mapped_column(String(3))
    total_minor: Mapped[int] = mapped_column(BigInteger)
    cart_version: Mapped[int] = mapped_column(BigInteger)
    method: Mapped[str] = mapped_column(String(32))
    idempotency_key: Mapped[str] = mapped_column(String(100), unique=True)
    camera_counts: Mapped[dict[str, int]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str] = mapped_column(String(50))
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    day: Mapped[date] = mapped_column(Date)  # of the order, where the shop is
    day_count: Mapped[int]  # the lane's n-th order of that day, from 1
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paid_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refunded_minor: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lines: Mapped[list[OrderLineRow]] = relationship(
        order_by="OrderLineRow.position", lazy="selectin"
    )


class OrderLineRow(Base):
    """One line of an order, with names and price as they were."""

    __tablename__ = "order_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="ck_order_lines_quantity"),
        CheckConstraint("unit_price_minor >= 0", name="ck_order_lines_unit_price"),
        CheckConstraint("amount_minor = quantity * unit_price_minor", name="ck_order_lines_amount"),
        CheckConstraint("source IN ('camera', 'manual')", name="ck_order_lines_source"),
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    name_ko: Mapped[str] = mapped_column(String(100))
    name_en: Mapped[str] = mapped_column(String(100))
    quantity: Mapped[int]
    unit_price_minor: Mapped[int] = mapped_column(BigInteger)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(10))
    tax: Mapped[str] = mapped_column(String(10))


class MiscountRow(Base):
    """One kind of which the camera counted more or fewer than was paid for; written once."""

    __tablename__ = "miscounts"
    __table_args__ = (CheckConstraint("counted <> paid", name="ck_miscounts_differ"),)

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    counted: Mapped[int]
    paid: Mapped[int]


class PaymentRow(Base):
    """One try to pay an order, as it ended; written once."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("outcome IN ('confirmed', 'failed')", name="ck_payments_outcome"),
        CheckConstraint("amount_minor >= 0", name="ck_payments_amount"),
        CheckConstraint(
            "received_minor IS NULL OR change_minor = received_minor - amount_minor"
            " AND change_minor >= 0",
            name="ck_payments_change",
        ),
        Index(
            "ux_payments_order",
            "order_id",
            unique=True,
            sqlite_where=text("outcome = 'confirmed'"),
            postgresql_where=text("outcome = 'confirmed'"),
        ),
        Index(
            "ux_payments_reference",
            "method",
            "provider_reference",
            unique=True,
            sqlite_where=text("outcome = 'confirmed' AND provider_reference <> ''"),
            postgresql_where=text("outcome = 'confirmed' AND provider_reference <> ''"),
        ),
        Index(
            "ux_payments_event",
            "provider_event",
            unique=True,
            sqlite_where=text("provider_event <> ''"),
            postgresql_where=text("provider_event <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    method: Mapped[str] = mapped_column(String(32))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    confirmed_by: Mapped[str] = mapped_column(String(50))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_minor: Mapped[int | None] = mapped_column(BigInteger)
    change_minor: Mapped[int | None] = mapped_column(BigInteger)
    approval_number: Mapped[str] = mapped_column(String(20))
    provider_reference: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(200))
    provider_event: Mapped[str] = mapped_column(String(100), server_default="")


class RefundRow(Base):
    """Money given back; written once."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="ck_refunds_amount"),
        UniqueConstraint("order_id", "number", name="uq_refunds_order_number"),
        Index("ix_refunds_at", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    number: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(200))
    actor: Mapped[str] = mapped_column(String(50))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    idempotency_key: Mapped[str] = mapped_column(String(100), unique=True)
    provider_reference: Mapped[str] = mapped_column(String(100))
    lines: Mapped[list[RefundLineRow]] = relationship(
        order_by="RefundLineRow.position", lazy="selectin"
    )


class RefundLineRow(Base):
    """Some fruits of one order line, given back at the price that was paid."""

    __tablename__ = "refund_lines"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="ck_refund_lines_quantity"),
        CheckConstraint("amount_minor >= 0", name="ck_refund_lines_amount"),
        ForeignKeyConstraint(
            ["order_id", "position"],
            ["order_lines.order_id", "order_lines.position"],
            name="fk_refund_lines_order_line",
        ),
        Index("ix_refund_lines_order_line", "order_id", "position"),
    )

    refund_id: Mapped[int] = mapped_column(ForeignKey("refunds.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]
    quantity: Mapped[int]
    amount_minor: Mapped[int] = mapped_column(BigInteger)


class JournalRow(Base):
    """One record of the journal; the database refuses to change or delete it."""

    __tablename__ = "journal"

    lane: Mapped[str] = mapped_column(String(50), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[str] = mapped_column(String(32))  # ISO 8601, UTC, as it is hashed
    actor: Mapped[str] = mapped_column(String(50))
    event: Mapped[str] = mapped_column(String(50))
    details: Mapped[str] = mapped_column(Text)  # canonical JSON
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class JournalHeadRow(Base):
    """Where a lane's journal ends; its lock makes writers queue."""

    __tablename__ = "journal_heads"

    lane: Mapped[str] = mapped_column(String(50), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))


class UserRow(Base):
    """One account; the password only as an argon2id hash."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('clerk', 'owner')", name="ck_users_role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
