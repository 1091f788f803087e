"""The paths that take what really happened: checked, journaled and flushed before the reply; refusals are counted."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from litestar import Request, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import Parameter
from numpy.typing import NDArray

from payoff.api.engines import Engines, House
from payoff.api.lists import Limit
from payoff.api.refused import Refusal, refusal
from payoff.api.sent import UNKNOWN, UNREADABLE, Sent, Wrong, exchanged, read, valid, wrongs
from payoff.clock import iso
from payoff.errors import BadInput
from payoff.journal import frame, ids
from payoff.journal.frame import Learned, Stream
from payoff.ledger import rates
from payoff.records import Column, Policy, names

SHOWN = 20  # refused rows in a reply
LISTED = 100  # of one call, in the list of what was refused
KeepGood = Annotated[bool, Parameter(description="Take the good rows where others are refused, and list those.")]


@post("/endpoints/{endpoint:str}/outcomes", status_code=200)
async def outcomes(
    request: Request[Any, Any, Any], house: House, endpoint: str, keep_good: KeepGood = False
) -> dict[str, Any]:
    """Says what really happened: rows with `prediction_id`, the endpoint's outcome columns and, if known, `value`.

    JSON records or columns, JSON lines, CSV, Arrow, Parquet. `value` is money, and overrules the endpoint's value
    expression. Optional: `at`, when it happened; `part`, the name of an instalment; `currency` of the value. Of each
    part the last word counts, and parts add up: late, repeated, corrected and reversed outcomes are fine. A row that
    cannot be booked refuses the call, or with `keep_good` only itself; those of unknown predictions are left out and
    listed. When the reply comes they are kept.
    """
    body = await request.body()
    content_type = request.headers.get("content-type", "application/json")
    return await sync_to_thread(_take, house, names.check(endpoint, "endpoint"), body, content_type, keep_good)


@get("/endpoints/{endpoint:str}/outcomes/refused", sync_to_thread=True)
def refused(house: House, endpoint: str, limit: Limit = 100) -> dict[str, Any]:
    """How many outcomes were refused, by reason, and the latest of them, newest first."""
    name = house.registry.current(names.check(endpoint, "endpoint")).endpoint
    tally = house.refused.of(name)
    latest = [{"at": iso(one.at_us), **_plain(one)} for one in tally.latest[:limit]]
    return {"endpoint": name, "refused": tally.total, "reasons": dict(tally.counts), "latest": latest}


def _take(house: Engines, endpoint: str, body: bytes, content_type: str, keep_good: bool) -> dict[str, Any]:
    policy, now_us = house.registry.current(endpoint).policy, house.clock()
    try:
        sent = read(body, content_type, policy)
        value, unpriced = exchanged(sent, policy.currency, _rates(house, sent), now_us)
    except BadInput as error:
        house.refused.add(endpoint, {UNREADABLE: 1}, [refusal(now_us, UNREADABLE, str(error))])
        raise
    wrong = _first([*wrongs(sent, now_us), *unpriced])
    if any(one.rows.any() for one in wrong) and not keep_good:
        raise _whole(house, endpoint, sent, wrong, now_us)
    wrong = _first([*wrong, _strangers(house, endpoint, sent)])
    left_out = _count(house, endpoint, sent, wrong, now_us)
    good = ~np.any([one.rows for one in wrong], axis=0)
    taken = sent.take(good)
    repeated = _repeated(house, endpoint, taken)
    kept = _keep(house, endpoint, policy, taken, value.take(good)) if len(taken) else None
    unknown = sent.told[wrong[-1].rows].tolist()
    return {
        "endpoint": endpoint,
        "accepted": len(taken),
        "repeated": repeated,
        "refused": len(sent) - len(taken),
        "reasons": {one.reason: int(one.rows.sum()) for one in wrong if one.rows.any()},
        "refusals": [_plain(one) for one in left_out],
        "unknown": len(unknown),
        "unknown_ids": list(dict.fromkeys(unknown))[:SHOWN],
        "outcome_id": kept,
    }


def _rates(house: Engines, sent: Sent) -> rates.Rates:
    """The table of the home, where some row asks for it."""
    return rates.read(house.home) if valid(sent.currency).any() else rates.Rates()


def _strangers(house: Engines, endpoint: str, sent: Sent) -> Wrong:
    """Rows about predictions that the endpoint never made."""
    known = house.journal.known_ids(endpoint, sent.told.tolist())
    return Wrong(
        UNKNOWN,
        np.fromiter((one not in known for one in sent.told), bool, len(sent)),
        lambda row: f"{sent.told[row]} is no prediction of {endpoint}; expected the prediction_id of an answer",
    )


def _repeated(house: Engines, endpoint: str, sent: Sent) -> int:
    """How many rows replace an earlier word on the same part of the same prediction, in this call or before it."""
    parts = sent.part.values.tolist() if valid(sent.part).any() else [None] * len(sent)
    named = [part or None for part in parts]
    before = house.journal.told_parts(endpoint, sent.told.tolist())
    fresh = set(zip(sent.told.tolist(), named, strict=True)) - before
    return len(sent) - len(fresh)


def _first(found: Iterable[Wrong]) -> list[Wrong]:
    """The same, each row only with the first reason that it has."""
    kept: list[Wrong] = []
    for one in found:
        own = one.rows & ~np.any([other.rows for other in kept], axis=0) if kept else one.rows
        kept.append(Wrong(one.reason, own, one.words))
    return kept


def _whole(house: Engines, endpoint: str, sent: Sent, wrong: Sequence[Wrong], now_us: int) -> BadInput:
    """Why nothing of a call is taken; its wrong rows are counted."""
    counted = _count(house, endpoint, sent, wrong, now_us)
    bad = sum(int(one.rows.sum()) for one in wrong)
    more = f"; {bad - 1:,} more rows cannot be booked" if bad > 1 else ""
    good = f", or take the {len(sent) - bad:,} good ones with keep_good=true" if bad < len(sent) else ""
    return BadInput(
        f"row {counted[0].row} (the first is 0): {counted[0].what}{more}; nothing was taken: send the call again "
        f"without them{good}"
    )


def _count(house: Engines, endpoint: str, sent: Sent, wrong: Sequence[Wrong], now_us: int) -> list[Refusal]:
    """Count the refused rows, keep the words of the last ones, and give those of the first ones, in their order."""
    reasons = {row: one for one in wrong for row in np.flatnonzero(one.rows).tolist()}
    rows = sorted(reasons)

    def told(some: Sequence[int]) -> list[Refusal]:
        return [refusal(now_us, reasons[row].reason, reasons[row].words(row), row, str(sent.told[row])) for row in some]

    if rows:
        counts = {one.reason: int(one.rows.sum()) for one in wrong if one.rows.any()}
        house.refused.add(endpoint, counts, told(rows[-LISTED:]))
    return told(rows[:SHOWN])


def _plain(one: Refusal) -> dict[str, Any]:
    return {"row": one.row, "prediction_id": one.prediction_id, "reason": one.reason, "what": one.what}


def _keep(house: Engines, endpoint: str, policy: Policy, sent: Sent, value: Column) -> str:
    """Journals the outcomes and returns the id of the last."""
    told = {
        frame.HAPPENED: sent.at,
        frame.PART: sent.part,
        frame.AMOUNT: Column(sent.value.values, valid(sent.value) & valid(sent.currency)),
        frame.CURRENCY: sent.currency,
    }
    given = {column: each if valid(each).any() else None for column, each in told.items()}
    truth = [("outcome", field) for field in policy.outcome if field.name in sent.truths]
    stream = Stream("outcomes", endpoint, columns=(*truth, frame.VALUE, *(c for c, each in given.items() if each)))
    with house.writing:
        own_high, own_low = house.ids.take(len(sent))
        at_us: NDArray[np.int64] = np.full(len(sent), house.clock(), np.int64)
        house.outcomes.note(
            stream,
            Learned(len(sent), own_high, own_low, at_us, sent.high, sent.low, sent.truths, value, *given.values()),
        )
        house.outcomes.flush()
    house.watch.nudge()
    return ids.text(own_high[-1:], own_low[-1:])[0]


HANDLERS = [outcomes, refused]
