"""The audit trail becomes a chain, the orders of old included; verdicts are kept."""

import sqlalchemy as sa
from alembic import op

from payoff.registry import chain

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("orders", sa.Column("chain", sa.String(64), nullable=False, server_default=sa.text("''")))
    chain.fill(op.get_bind())
    op.create_table(
        "verdicts",
        sa.Column("id", _ID, nullable=False),
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("tested", sa.BigInteger, nullable=False),
        sa.Column("e_value", sa.Double, nullable=False),
        sa.Column("mean", sa.Double, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("evidence_digest", sa.String(64), nullable=False),
        sa.Column("software", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_verdicts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_verdicts_endpoint_id", "verdicts", ["endpoint", "id"])


def downgrade() -> None:
    op.drop_table("verdicts")
    op.drop_column("orders", "chain")
