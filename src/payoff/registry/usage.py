"""What was metered, by the hour. Functions over a connection: who calls them opens the transaction."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from payoff.records.usage import Mark, Metered
from payoff.registry.schema import meters, usage

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}  # the same words in both dialects


def add(db: sa.Connection, mark: Mark, amounts: Iterable[Metered]) -> None:
    """Add these amounts to their hours, and move the machine's mark: both or, on an error, neither."""
    insert = _INSERT[db.dialect.name]
    rows = [one._asdict() for one in amounts if one.amount]
    if rows:
        more = insert(usage)
        total = usage.c.amount + more.excluded.amount
        db.execute(more.on_conflict_do_update(index_elements=list(usage.primary_key), set_={"amount": total}), rows)
    moved = insert(meters).values(mark._asdict())
    db.execute(moved.on_conflict_do_update(index_elements=[meters.c.machine], set_=mark._asdict()))


def mark(db: sa.Connection, machine: str) -> Mark | None:
    """Up to where this machine is metered; None if it never was."""
    row = db.execute(sa.select(meters).where(meters.c.machine == machine)).one_or_none()
    return None if row is None else Mark(**row._mapping)


def used(db: sa.Connection, since_us: int, until_us: int) -> list[Metered]:
    """The amounts of the hours that began in this time, hour by hour."""
    within = (usage.c.hour_us >= since_us) & (usage.c.hour_us < until_us)
    return [Metered(**row._mapping) for row in db.execute(sa.select(usage).where(within).order_by(*usage.primary_key))]


def began_us(db: sa.Connection) -> int | None:
    """When the first hour began that was metered; None if none was."""
    first: int | None = db.scalar(sa.select(sa.func.min(usage.c.hour_us)))
    return first
