"""What the camera got wrong, kept apart so that reports need not unpack every order; days."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COUNTS = "SELECT id, camera_counts FROM orders WHERE id > :last ORDER BY id LIMIT 1000"
PAID = (
    "SELECT order_id, key, SUM(quantity) FROM order_lines"
    " WHERE order_id > :last AND order_id <= :until GROUP BY order_id, key"
)
ADD = (
    "INSERT INTO miscounts (order_id, key, counted, paid) VALUES (:order_id, :key, :counted, :paid)"
)


def upgrade() -> None:
    """Create the table, work it out for the orders that are there, then guard it."""
    op.create_table(
        "miscounts",
        sa.Column("order_id", sa.Integer, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("counted", sa.Integer, nullable=False),
        sa.Column("paid", sa.Integer, nullable=False),
        sa.CheckConstraint("counted <> paid", name="ck_miscounts_differ"),
    )
    op.create_index("ix_orders_day", "orders", ["day", "id"])
    _fill()
    _guard()


def downgrade() -> None:
    """Drop what can be worked out again; its triggers go with it."""
    op.drop_index("ix_orders_day", "orders")
    op.drop_table("miscounts")


def _fill() -> None:
    connection, last = op.get_bind(), 0
    while orders := connection.execute(sa.text(COUNTS), {"last": last}).all():
        until = orders[-1].id
        paid = connection.execute(sa.text(PAID), {"last": last, "until": until})
        pieces = {(order_id, key): [0, int(quantity)] for order_id, key, quantity in paid}
        for order_id, counts in orders:
            counts = json.loads(counts) if isinstance(counts, str) else counts
            for key, counted in counts.items():
                pieces.setdefault((order_id, key), [0, 0])[0] = counted
        wrong = [
            {"order_id": order_id, "key": key, "counted": counted, "paid": sold}
            for (order_id, key), (counted, sold) in pieces.items()
            if counted != sold
        ]
        if wrong:
            connection.execute(sa.text(ADD), wrong)
        last = until


def _guard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER miscounts_no_{action.lower()} BEFORE {action} ON miscounts"
                " BEGIN SELECT RAISE(ABORT, 'miscounts is written once'); END"
            )
    else:
        for rule, when in (
            ("no_change", "UPDATE OR DELETE ON miscounts FOR EACH ROW"),
            ("no_truncate", "TRUNCATE ON miscounts"),
        ):
            op.execute(
                f"CREATE TRIGGER miscounts_{rule} BEFORE {when} EXECUTE FUNCTION refuse_change()"
            )
