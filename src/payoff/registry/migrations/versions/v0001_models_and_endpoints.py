"""Models, versions, aliases; endpoints, revisions, orders, findings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _models()
    _endpoints()
    _events()


def downgrade() -> None:
    for table in ("findings", "orders", "endpoints", "revisions", "aliases", "versions", "models"):
        op.drop_table(table)


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )
    op.create_table(
        "versions",
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("flavor", sa.Text, nullable=False),
        sa.Column("served", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("provenance", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("model", "number", name="pk_versions"),
        sa.ForeignKeyConstraint(["model"], ["models.name"], name="fk_versions_model"),
        sa.UniqueConstraint("model", "digest", name="uq_versions_model_digest"),
    )
    op.create_table(
        "aliases",
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("alias", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("model", "alias", name="pk_aliases"),
        sa.ForeignKeyConstraint(
            ["model", "number"], ["versions.model", "versions.number"], name="fk_aliases_model_number"
        ),
    )


def _endpoints() -> None:
    op.create_table(
        "revisions",
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("created_at_us", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("arms", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "number", name="pk_revisions"),
    )
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("current", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_endpoints"),
        _revision("endpoints", "name", "current"),
    )


def _events() -> None:
    op.create_table(
        "orders",
        sa.Column("id", _ID, nullable=False),
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("before", sa.Integer, nullable=True),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        _revision("orders", "endpoint", "before"),
        _revision("orders", "endpoint", "after"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_orders_endpoint_id", "orders", ["endpoint", "id"])
    op.create_table(
        "findings",
        sa.Column("id", _ID, nullable=False),
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("monitor", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_findings_endpoint_id", "findings", ["endpoint", "id"])


def _revision(table: str, endpoint: str, number: str) -> sa.ForeignKeyConstraint:
    """A reference to one revision of one endpoint."""
    return sa.ForeignKeyConstraint(
        [endpoint, number], ["revisions.endpoint", "revisions.number"], name=f"fk_{table}_{endpoint}_{number}"
    )
