"""The tables of the metadata database, for SQLite and PostgreSQL alike. A change here needs a migration beside it.

Scalars are columns, so that a person with a SQL prompt can ask; what is nested is JSON text of a payoff record.
Times are microseconds since 1970, as everywhere.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = MetaData(
    naming_convention={  # a constraint without a name can be made but not dropped in a portable way
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _id() -> Column[int]:
    """Counts up and is never given twice. SQLite does that for INTEGER only, which holds 64 bits there."""
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _name(name: str, *more: Any, **options: Any) -> Column[str]:
    return Column(name, String(63), *more, nullable=False, **options)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str, **options: Any) -> Column[int]:
    return Column(name, Integer, nullable=False, **options)


def _us(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


models = Table("models", metadata, _name("name", primary_key=True), _us("created_at_us"))

versions = Table(
    "versions",
    metadata,
    _name("model", ForeignKey("models.name"), primary_key=True),
    _number("number", primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    _text("flavor"),
    _text("served"),
    Column("size_bytes", BigInteger, nullable=False),
    _us("created_at_us"),
    _text("author"),
    _text("environment"),
    _text("provenance"),
    _text("tags"),
    UniqueConstraint("model", "digest"),  # the same bytes are the same version
)

aliases = Table(
    "aliases",
    metadata,
    _name("model", primary_key=True),
    _name("alias", primary_key=True),
    _number("number"),
    ForeignKeyConstraint(["model", "number"], ["versions.model", "versions.number"]),
)

revisions = Table(
    "revisions",
    metadata,
    _name("endpoint", primary_key=True),
    _number("number", primary_key=True, autoincrement=False),
    _us("created_at_us"),
    _text("author"),
    _text("reason"),
    _text("arms"),
    _text("policy"),
)

endpoints = Table(
    "endpoints",
    metadata,
    _name("name", primary_key=True),
    _number("current"),
    ForeignKeyConstraint(["name", "current"], ["revisions.endpoint", "revisions.number"]),
)

orders = Table(
    "orders",
    metadata,
    _id(),
    _name("endpoint"),
    _text("verb"),
    _us("at_us"),
    _text("author"),
    _text("reason"),
    Column("before", Integer),
    _number("after"),
    _text("evidence"),
    Column("chain", String(64), nullable=False, server_default=text("''")),
    ForeignKeyConstraint(["endpoint", "before"], ["revisions.endpoint", "revisions.number"]),
    ForeignKeyConstraint(["endpoint", "after"], ["revisions.endpoint", "revisions.number"]),
    Index("ix_orders_endpoint_id", "endpoint", "id"),
    sqlite_autoincrement=True,
)

findings = Table(
    "findings",
    metadata,
    _id(),
    _name("endpoint"),
    _us("at_us"),
    _text("monitor"),
    _text("severity"),
    _text("text"),
    _text("data"),
    Index("ix_findings_endpoint_id", "endpoint", "id"),
    sqlite_autoincrement=True,
)

usage = Table(
    "usage",
    metadata,
    Column("hour_us", BigInteger, primary_key=True, autoincrement=False),
    Column("machine", String(255), primary_key=True),
    _name("endpoint", primary_key=True),
    _name("model", primary_key=True),
    _number("version", primary_key=True, autoincrement=False),
    Column("shadow", Boolean, primary_key=True),
    _name("what", primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

meters = Table(
    "meters",
    metadata,
    Column("machine", String(255), primary_key=True),
    _text("source"),
    _us("at_us"),
    _us("clock_us"),
    Column("cpu_ns", BigInteger, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    _id(),
    _name("endpoint"),
    _us("at_us"),
    _name("model"),
    _number("version"),
    _text("question"),
    Column("tested", BigInteger, nullable=False),
    Column("e_value", Double, nullable=False),
    Column("mean", Double, nullable=False),
    _text("verdict"),
    _text("settings"),
    Column("evidence_digest", String(64), nullable=False),
    _text("software"),
    Index("ix_verdicts_endpoint_id", "endpoint", "id"),
    sqlite_autoincrement=True,
)
