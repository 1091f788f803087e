"""What was metered by the hour, and up to where."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("hour_us", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.Column("what", sa.String(63), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "hour_us", "machine", "endpoint", "model", "version", "shadow", "what", name="pk_usage"
        ),
    )
    op.create_table(
        "meters",
        sa.Column("machine", sa.String(255), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("clock_us", sa.BigInteger, nullable=False),
        sa.Column("cpu_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("machine", name="pk_meters"),
    )


def downgrade() -> None:
    for table in ("meters", "usage"):
        op.drop_table(table)
