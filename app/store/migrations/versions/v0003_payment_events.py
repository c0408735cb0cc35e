"""The number of the message that told of a payment, unique: no message counts twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TOLD = sa.text("provider_event <> ''")


def upgrade() -> None:
    """Add the column without rebuilding the table, which keeps its triggers."""
    column = sa.Column("provider_event", sa.String(100), nullable=False, server_default="")
    op.add_column("payments", column)
    op.create_index(
        "ux_payments_event",
        "payments",
        ["provider_event"],
        unique=True,
        sqlite_where=TOLD,
        postgresql_where=TOLD,
    )


def downgrade() -> None:
    """Forget the messages' numbers."""
    op.drop_index("ux_payments_event", "payments")
    op.drop_column("payments", "provider_event")
