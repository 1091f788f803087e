"""The audit trail as a chain: each order is signed with what it says, the revision it made, and the order before it.

Functions over a connection: who calls them opens the transaction. The formula never changes, or every trail that was
written before would look broken.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from payoff.records.events import Order
from payoff.registry import rows
from payoff.registry.schema import endpoints, orders, revisions

_ORDER = ("endpoint", "verb", "at_us", "author", "reason", "before", "after", "evidence")
_KEPT = ("id", *_ORDER, "chain")
_REVISION = ("number", "created_at_us", "author", "reason", "arms", "policy")
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the trail is no longer what was recorded; `order` is the first that does not fit."""

    order: Order
    text: str


def link(before: str, order: Mapping[str, Any], revision: Mapping[str, Any]) -> str:
    """The chain of an order: sha256 over the chain `before` it, its row and its revision's row, as they are stored."""
    said = [before, *(order[name] for name in _ORDER), *(revision[name] for name in _REVISION)]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def last(db: sa.Connection) -> str:
    """The chain of the last order; "" before the first."""
    return db.scalar(sa.select(orders.c.chain).order_by(orders.c.id.desc()).limit(1)) or ""


def verify(db: sa.Connection, latest: int | None) -> Broken | None:
    """The first order that is not what it was when it was given, or after which one is missing; None if there is none.

    `latest` looks at so many only, the last ones. That the very last orders of an endpoint were removed shows in its
    revisions, unless these were rewritten too: note the last chain elsewhere if that is to be feared.
    """
    first = 0
    if latest is not None:
        ids = sa.select(orders.c.id).order_by(orders.c.id.desc()).limit(latest).subquery()
        first = db.scalar(sa.select(sa.func.min(ids.c.id))) or 0
    before = db.scalar(sa.select(orders.c.chain).where(orders.c.id < first).order_by(orders.c.id.desc()).limit(1)) or ""
    for order, revision in _pairs(db, first):
        if revision["number"] is None or link(before, order, revision) != order["chain"]:
            found = rows.read(Order, order)
            return Broken(found, f"{_called(found)} is not what was recorded, or the one before it is missing")
        before = order["chain"]
    return _cut_off(db)


def fill(db: sa.Connection) -> None:
    """Sign every order there is, oldest first: for a trail that was written before there was a chain."""
    before = ""
    for order, revision in _pairs(db, 0):
        before = link(before, order, revision)
        db.execute(orders.update().where(orders.c.id == order["id"]).values(chain=before))


def _pairs(db: sa.Connection, first: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of each order from the id `first` on, oldest first, and of the revision it made."""
    made = (revisions.c.endpoint == orders.c.endpoint) & (revisions.c.number == orders.c.after)
    columns = [
        *(orders.c[name] for name in _KEPT),
        *(revisions.c[name].label(f"revision_{name}") for name in _REVISION),
    ]
    query = sa.select(*columns).select_from(orders.outerjoin(revisions, made)).order_by(orders.c.id).limit(_PAGE)
    while page := db.execute(query.where(orders.c.id >= first)).mappings().all():
        for row in page:
            yield {name: row[name] for name in _KEPT}, {name: row[f"revision_{name}"] for name in _REVISION}
        first = page[-1]["id"] + 1


def _cut_off(db: sa.Connection) -> Broken | None:
    """An endpoint that is further than its last order brought it."""
    made = sa.select(orders.c.endpoint, sa.func.max(orders.c.id).label("id")).group_by(orders.c.endpoint).subquery()
    ends = (
        sa.select(*(orders.c[name] for name in _KEPT), endpoints.c.current)
        .join(made, made.c.id == orders.c.id)
        .join(endpoints, endpoints.c.name == orders.c.endpoint)
        .where(endpoints.c.current != orders.c.after)
        .order_by(orders.c.id)
    )
    row = db.execute(ends.limit(1)).mappings().first()
    if row is None:
        return None
    found = rows.read(Order, dict(row))
    text = f"after {_called(found)} an order is missing: {found.endpoint} is at revision {row['current']}"
    return Broken(found, text)


def _called(order: Order) -> str:
    return f"order {order.id} ({order.verb} of {order.endpoint} by {order.author[:80]}, revision {order.after})"
