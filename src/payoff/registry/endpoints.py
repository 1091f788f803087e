"""Endpoints: numbered revisions, which of them is current, and the orders that made each. Functions over a connection:
who calls them opens the transaction.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from payoff.errors import Conflict
from payoff.records.endpoint import Revision
from payoff.records.events import Order
from payoff.records.names import check, is_drill
from payoff.registry import chain, rows
from payoff.registry.missing import missing, no_number
from payoff.registry.pages import page
from payoff.registry.schema import endpoints, orders, revisions
from payoff.store import database

_NONE_YET = "there is none yet: `payoff deploy PATH` makes one"
_CURRENT = sa.select(revisions).join(
    endpoints, (endpoints.c.name == revisions.c.endpoint) & (endpoints.c.current == revisions.c.number)
)


def record(db: sa.Connection, revision: Revision, verb: str, evidence: Mapping[str, Any]) -> Order:
    """The revision becomes current, by an order of its author at its time; Conflict if it does not follow the last."""
    endpoint = check(revision.endpoint, "endpoint")
    database.alone(db, "orders")  # each order is chained to the one before it
    mine = sa.select(endpoints.c.current).where(endpoints.c.name == endpoint)
    before = db.scalar(mine.with_for_update())
    if revision.number != (before or 0) + 1:
        raise overtaken(revision, before)
    made = rows.row(revision)
    db.execute(revisions.insert().values(made))
    if before is None:
        db.execute(endpoints.insert().values(name=endpoint, current=1))
    else:
        db.execute(endpoints.update().where(endpoints.c.name == endpoint).values(current=revision.number))
    return _note(db, _order(revision, verb, before, evidence), made)


def overtaken(revision: Revision, now: int | None) -> Conflict:
    """Someone else was faster, or the revision was made from something that is not there."""
    state = "does not exist" if now is None else f"is now at revision {now}"
    return Conflict(
        f"someone changed endpoint {revision.endpoint!r} meanwhile: it {state}, and this change would make revision "
        f"{revision.number}; look at it and repeat the order"
    )


def number(db: sa.Connection, endpoint: str) -> int | None:
    """The current revision's number; None if there is no such endpoint."""
    return db.scalar(sa.select(endpoints.c.current).where(endpoints.c.name == endpoint))


def current(db: sa.Connection, endpoint: str) -> Revision:
    """What the endpoint is to serve."""
    row = db.execute(_CURRENT.where(endpoints.c.name == endpoint)).first()
    if row is None:
        raise _no_endpoint(db, endpoint)
    return rows.read(Revision, row)


def everything(db: sa.Connection) -> list[Revision]:
    """The current revision of every endpoint, by name."""
    return [rows.read(Revision, row) for row in db.execute(_CURRENT.order_by(endpoints.c.name))]


def revision(db: sa.Connection, endpoint: str, wanted: int) -> Revision:
    """One revision, current or old."""
    mine = revisions.c.endpoint == endpoint
    row = db.execute(sa.select(revisions).where(mine, revisions.c.number == wanted)).first()
    if row is not None:
        return rows.read(Revision, row)
    numbers = db.scalars(sa.select(revisions.c.number).where(mine)).all()
    if not numbers:
        raise _no_endpoint(db, endpoint)
    raise no_number(f"endpoint {endpoint!r} has no revision", wanted, numbers)


def history(db: sa.Connection, endpoint: str, limit: int, before: int | None) -> list[Revision]:
    """The revisions, newest first."""
    query = page(sa.select(revisions).where(revisions.c.endpoint == endpoint), revisions.c.number, limit, before)
    found = [rows.read(Revision, row) for row in db.execute(query)]
    if not found and number(db, endpoint) is None:
        raise _no_endpoint(db, endpoint)
    return found


def given(db: sa.Connection, endpoint: str | None, limit: int, before: int | None) -> list[Order]:
    """The orders, newest first; of one endpoint or of all."""
    query = page(sa.select(orders), orders.c.id, limit, before)
    if endpoint is not None:
        query = query.where(orders.c.endpoint == endpoint)
    found = [rows.read(Order, row) for row in db.execute(query)]
    if not found and endpoint is not None and number(db, endpoint) is None:
        raise _no_endpoint(db, endpoint)
    return found


def tallied(db: sa.Connection) -> dict[tuple[str, str, bool], int]:
    """How many orders there were, by endpoint, verb, and whether a guard gave them."""
    by_guard = orders.c.author.startswith("guard").label("by_guard")
    query = sa.select(orders.c.endpoint, orders.c.verb, by_guard, sa.func.count())
    rows_ = db.execute(query.group_by(orders.c.endpoint, orders.c.verb, by_guard))
    return {(endpoint, verb, bool(guard)): count for endpoint, verb, guard, count in rows_}


def _order(revision: Revision, verb: str, before: int | None, evidence: Mapping[str, Any]) -> Order:
    return Order(
        id=0,
        endpoint=revision.endpoint,
        verb=verb,
        at_us=revision.created_at_us,
        author=revision.author,
        reason=revision.reason,
        before=before,
        after=revision.number,
        evidence=dict(evidence),
    )


def _note(db: sa.Connection, order: Order, made: Mapping[str, Any]) -> Order:
    row = rows.row(order)
    del row["id"]
    row["chain"] = chain.link(chain.last(db), row, made)
    row["id"] = db.execute(orders.insert().values(row).returning(orders.c.id)).scalar_one()
    return rows.read(Order, row)


def _no_endpoint(db: sa.Connection, endpoint: str) -> Exception:
    known = (name for name in db.scalars(sa.select(endpoints.c.name)) if not is_drill(name))
    return missing("endpoint", endpoint, known, _NONE_YET)
