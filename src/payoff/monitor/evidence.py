"""From the journal to the docket: whole predictions, in order, each exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow.compute

from payoff.journal import ids
from payoff.journal.matured import Matured as Settled
from payoff.journal.query import Journal
from payoff.journal.snapshot import Snapshot
from payoff.ledger.fees import fee_sql
from payoff.ledger.prices import Prices
from payoff.monitor.docket import Docket
from payoff.monitor.matured import Matured, matured
from payoff.monitor.worth import Worth
from payoff.records.endpoint import Revision
from payoff.registry.registry import Registry

PAGE = 1_000  # revisions read in one go
BATCH_MAX = 100_000  # rows judged in one go
SETTLE_US = 200_000  # a shadow's row, or another worker's, may come this much after one with a later id

compute: Any = pyarrow.compute  # its functions take plain values too, which its stubs do not know


@dataclass(frozen=True, slots=True)
class Step:
    """What a batch left: is there more at once, and from when on may rows mature without a new outcome?

    `beyond` counts the predictions in it whose worth came to more than money can be, and was left out. `rows` are what
    was judged.
    """

    more: bool
    held_until_us: int
    beyond: int = 0
    rows: Matured | None = None


def history(registry: Registry, endpoint: str, known: Sequence[Revision] = ()) -> list[Revision]:
    """The endpoint's revisions, oldest first; `known` are the first of them, which were read before."""
    last = known[-1].number if known else 0
    found: list[Revision] = []
    older: int | None = None
    while page := registry.revisions(endpoint, limit=PAGE, before=older):
        found += [revision for revision in page if revision.number > last]
        older = page[-1].number
        if older <= last + 1:
            break
    past = [*known]
    for revision in found[::-1]:
        past.append(_sharing(past[-1], revision) if past else revision)
    return past


def _sharing(before: Revision, revision: Revision) -> Revision:
    """The same with the columns of the versions that it has in common with the one before: all are kept, and each would
    have its own."""
    served = {arm.served.digest: arm.served for arm in before.arms}
    arms = tuple(
        replace(arm, served=same) if (same := served.get(arm.served.digest)) == arm.served else arm
        for arm in revision.arms
    )
    return replace(revision, arms=arms)


def newest_outcome(snapshot: Snapshot, endpoint: str, before_id: str) -> tuple[str | None, bool]:
    """The id of the newest outcome older than an id, None if there is none; and whether there are newer ones."""
    relation = snapshot.relations.get(("outcomes", endpoint))
    if relation is None:
        return None, False
    newest = [file.high for file in relation.files] + _newest(relation.fresh["id"])
    older, newer = [each for each in newest if each < before_id], max(newest, default="") >= before_id
    if newer:
        fresh: Any = relation.fresh["id"]
        older += _newest(fresh.filter(compute.less(fresh, before_id)))
    return max(older, default=None), newer


def _newest(ids_: Any) -> list[str]:
    return [compute.max(ids_).as_py()] if len(ids_) else []


def advance(
    docket: Docket, journal: Journal, past: Sequence[Revision], worth: Worth, prices: Prices, now_us: int
) -> Step:
    """Judge the next batch of what has matured."""
    docket.ask(past)
    if not docket.briefs:
        return Step(False, now_us)
    found = read(journal, past, docket.through or start(docket, past), worth, prices, now_us)
    rows = matured(found.rows, past, prices)
    docket.hear(rows)
    waits_since_us = ids.time_us(found.held_by) if found.held_by else now_us
    beyond = len(compute.unique(found.rows.filter(found.rows["beyond"])["id"]))
    return Step(len(rows) >= BATCH_MAX, waits_since_us + int(worth.window_s * 1e6), beyond, rows)


def read(journal: Journal, past: Sequence[Revision], after: str, worth: Worth, prices: Prices, now_us: int) -> Settled:
    """The next batch of settled rows after an id, each with its fee."""
    return journal.matured(
        past[-1].endpoint,
        after,
        worth.value,
        worth.fallback,
        worth.window_s,
        now_us,
        BATCH_MAX,
        settle_s=SETTLE_US / 1e6,
        declared=worth.declared,
        matures=worth.matures,
        fee_sql=fee_sql(prices.fees, {arm.model: arm.served.signature for arm in past[-1].arms}),
    )


def start(docket: Docket, past: Sequence[Revision]) -> str:
    """An id before the first row that any question is about."""
    return before(min(brief.since for brief in docket.briefs), past)


def before(since: int, past: Sequence[Revision]) -> str:
    """An id before the first row of a revision."""
    began_us = next(revision.created_at_us for revision in past if revision.number >= since)
    return ids.floor(began_us - SETTLE_US)
