"""Payments, refunds, the journal, and tables that refuse to be changed.

A later migration that rebuilds one of the guarded tables with ``batch_alter_table`` must make its
triggers again: SQLite drops them with the old table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
CONFIRMED = sa.text("outcome = 'confirmed'")
REFERENCED = sa.text("outcome = 'confirmed' AND provider_reference <> ''")
STATUSES_BEFORE = "status IN ('open', 'awaiting_payment', 'paid', 'cancelled')"
STATUSES = (
    "status IN ('open', 'awaiting_payment', 'paid', 'partly_refunded', 'refunded',"
    " 'cancelled', 'expired')"
)
WRITTEN_ONCE = ("journal", "order_lines", "payments", "refunds", "refund_lines")
FIXED_OF_ORDERS = (
    "number, lane, currency, total_minor, cart_version, method, idempotency_key, camera_counts,"
    " created_at, day, day_count"
)


def upgrade() -> None:
    """Extend the orders, add the new tables, then guard what is written once."""
    _extend_orders()
    _create_payments()
    _create_refunds()
    _create_journal()
    _guard()


def downgrade() -> None:
    """Go back to orders alone; payments, refunds and the journal are lost."""
    _unguard()
    for table in ("journal_heads", "journal", "refund_lines", "refunds", "payments"):
        op.drop_table(table)
    op.execute("UPDATE orders SET status = 'paid' WHERE status IN ('partly_refunded', 'refunded')")
    op.execute("UPDATE orders SET status = 'cancelled' WHERE status = 'expired'")
    op.drop_index("ix_orders_paid_at", "orders")
    with op.batch_alter_table("orders") as orders:
        orders.drop_constraint("uq_orders_lane_day_count", type_="unique")
        orders.drop_constraint("ck_orders_status", type_="check")
        orders.drop_constraint("ck_orders_refunded", type_="check")
        for column in ("day", "day_count", "expires_at", "paid_at", "refunded_minor"):
            orders.drop_column(column)
        orders.create_check_constraint("ck_orders_status", STATUSES_BEFORE)


def _extend_orders() -> None:
    op.add_column("orders", sa.Column("day", sa.Date))
    op.add_column("orders", sa.Column("day_count", sa.Integer))
    op.add_column("orders", sa.Column("expires_at", MOMENT))
    op.add_column("orders", sa.Column("paid_at", MOMENT))
    op.add_column(
        "orders", sa.Column("refunded_minor", sa.BigInteger, nullable=False, server_default="0")
    )
    op.execute("UPDATE orders SET day = date(created_at), day_count = id")
    op.execute("UPDATE orders SET paid_at = changed_at WHERE status = 'paid'")
    with op.batch_alter_table("orders") as orders:
        orders.alter_column("day", existing_type=sa.Date, nullable=False)
        orders.alter_column("day_count", existing_type=sa.Integer, nullable=False)
        orders.drop_constraint("ck_orders_status", type_="check")
        orders.create_check_constraint("ck_orders_status", STATUSES)
        orders.create_check_constraint(
            "ck_orders_refunded", "refunded_minor >= 0 AND refunded_minor <= total_minor"
        )
        orders.create_unique_constraint("uq_orders_lane_day_count", ["lane", "day", "day_count"])
    op.create_index("ix_orders_paid_at", "orders", ["paid_at"])


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("order_id", sa.Integer, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("confirmed_by", sa.String(50), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("received_minor", sa.BigInteger),
        sa.Column("change_minor", sa.BigInteger),
        sa.Column("approval_number", sa.String(20), nullable=False),
        sa.Column("provider_reference", sa.String(100), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.CheckConstraint("outcome IN ('confirmed', 'failed')", name="ck_payments_outcome"),
        sa.CheckConstraint("amount_minor >= 0", name="ck_payments_amount"),
        sa.CheckConstraint(
            "received_minor IS NULL OR change_minor = received_minor - amount_minor"
            " AND change_minor >= 0",
            name="ck_payments_change",
        ),
    )
    op.create_index("ix_payments_order_id", "payments", ["order_id"])
    _create_unique_where("ux_payments_order", ["order_id"], CONFIRMED)
    _create_unique_where("ux_payments_reference", ["method", "provider_reference"], REFERENCED)
    op.execute(
        "INSERT INTO payments (order_id, method, amount_minor, confirmed_by, at, approval_number,"
        " provider_reference, outcome, reason)"
        " SELECT id, method, total_minor, changed_by, changed_at, '', '', 'confirmed', ''"
        " FROM orders WHERE status = 'paid'"
    )


def _create_unique_where(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(
        name, "payments", columns, unique=True, sqlite_where=where, postgresql_where=where
    )


def _create_refunds() -> None:
    op.create_table(
        "refunds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("order_id", sa.Integer, sa.ForeignKey("orders.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(50), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("idempotency_key", sa.String(100), nullable=False, unique=True),
        sa.Column("provider_reference", sa.String(100), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="ck_refunds_amount"),
        sa.UniqueConstraint("order_id", "number", name="uq_refunds_order_number"),
    )
    op.create_index("ix_refunds_at", "refunds", ["at"])
    op.create_table(
        "refund_lines",
        sa.Column("refund_id", sa.Integer, sa.ForeignKey("refunds.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("order_id", sa.Integer, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.CheckConstraint("quantity > 0", name="ck_refund_lines_quantity"),
        sa.CheckConstraint("amount_minor >= 0", name="ck_refund_lines_amount"),
        sa.ForeignKeyConstraint(
            ["order_id", "position"],
            ["order_lines.order_id", "order_lines.position"],
            name="fk_refund_lines_order_line",
        ),
    )
    op.create_index("ix_refund_lines_order_line", "refund_lines", ["order_id", "position"])


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("lane", sa.String(50), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(50), nullable=False),
        sa.Column("event", sa.String(50), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "journal_heads",
        sa.Column("lane", sa.String(50), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )


def _guard() -> None:
    """Let the database refuse whatever would change the past, or leave a gap in the journal."""
    guard = _guard_sqlite if op.get_bind().dialect.name == "sqlite" else _guard_postgresql
    guard()


def _guard_sqlite() -> None:
    for table in WRITTEN_ONCE:
        for action in ("UPDATE", "DELETE"):
            _sqlite_trigger(table, f"no_{action.lower()}", f"BEFORE {action} ON {table}")
    _sqlite_trigger("orders", "no_update", f"BEFORE UPDATE OF {FIXED_OF_ORDERS} ON orders")
    _sqlite_trigger("orders", "no_delete", "BEFORE DELETE ON orders")
    _sqlite_trigger(
        "journal",
        "in_order",
        "BEFORE INSERT ON journal WHEN NEW.number <>"
        " (SELECT COALESCE(MAX(number), 0) + 1 FROM journal WHERE lane = NEW.lane)",
    )


def _sqlite_trigger(table: str, rule: str, when: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_{rule} {when}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is written once'); END"
    )


def _guard_postgresql() -> None:
    refuse = "RAISE EXCEPTION '% is written once', TG_TABLE_NAME USING ERRCODE = '23001';"
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {refuse} END $$"
    )
    op.execute(
        "CREATE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM journal"
        f" WHERE lane = NEW.lane) THEN {refuse} END IF; RETURN NEW; END $$"
    )
    for table in (*WRITTEN_ONCE, "orders"):
        changes = "DELETE" if table == "orders" else "UPDATE OR DELETE"
        _postgresql_trigger(table, "no_change", f"BEFORE {changes} ON {table} FOR EACH ROW")
        _postgresql_trigger(table, "no_truncate", f"BEFORE TRUNCATE ON {table}")
    fixed = f"BEFORE UPDATE OF {FIXED_OF_ORDERS} ON orders FOR EACH ROW"
    _postgresql_trigger("orders", "no_update", fixed)
    in_order = "BEFORE INSERT ON journal FOR EACH ROW"
    _postgresql_trigger("journal", "in_order", in_order, "refuse_gap")


def _postgresql_trigger(table: str, rule: str, when: str, function: str = "refuse_change") -> None:
    op.execute(f"CREATE TRIGGER {table}_{rule} {when} EXECUTE FUNCTION {function}()")


def _unguard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for rule in ("order_lines_no_update", "order_lines_no_delete"):
            op.execute(f"DROP TRIGGER {rule}")
        for rule in ("orders_no_update", "orders_no_delete"):
            op.execute(f"DROP TRIGGER {rule}")
    else:
        op.execute("DROP FUNCTION refuse_change() CASCADE")
        op.execute("DROP FUNCTION refuse_gap() CASCADE")
