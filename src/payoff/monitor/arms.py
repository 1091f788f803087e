"""An experiment side by side: what every arm earned per decision, and how much more than the champion, by segment too.

Rows that several arms could have come to are compared by the chance that each had of coming to its arm; a version that
only watches is compared on the rows that both were asked about. The error of 5% is shared by all differences that are
shown, over arms and segments, so that all their intervals hold together, at every look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.clock import Clock, now_us
from payoff.deploy.guards import BEATS
from payoff.errors import Conflict
from payoff.expressions.expression import Expression, parse
from payoff.expressions.scope import Scope
from payoff.journal.query import Journal
from payoff.ledger.prices import Prices
from payoff.monitor.compare import ERROR, Effect, Mean, beside, how, mean, randomised
from payoff.monitor.docket import Shares
from payoff.monitor.matured import HOLDOUT, Matured
from payoff.monitor.rails import Rails, blocks
from payoff.monitor.settled import Settled, settled
from payoff.monitor.worth import DEPENDS, worth
from payoff.records import merge
from payoff.records.endpoint import Arm, Policy, Revision, Role
from payoff.stats.betting import evidence
from payoff.stats.ratio import sample_ratio

SEGMENTS_MAX = 20
FALLBACK = "fallback"
MISMATCH = 0.001  # the error with which a sample ratio is called broken
NONE = "(none)"  # the segment of rows for which the expression says nothing

Names = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Side:
    """One arm, or the hold-out: what its own rows earned, and how that compares; `watches`: it answers nobody.

    `guardrails` says what speaks against it beside the money, or is not known yet.
    """

    name: str
    role: str
    share: float
    watches: bool
    earned: Mean
    unknown: int  # matured rows without a known value
    rails: Rails
    effect: Effect | None = None
    guardrails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows for which the expression says `name`."""

    name: str
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """`rival` is who the others are compared with.

    `error` is what each interval of a difference may err, its part of ERROR. `more` counts segments not shown.

    `log_e` is the log of the evidence that rows did not fall to the arms in their shares; None where counts cannot
    tell, for customers keep to an arm.
    """

    endpoint: str
    currency: str
    rival: str
    sides: tuple[Side, ...]
    error: float
    log_e: float | None
    covariate: str | None
    by: str | None = None
    segments: tuple[Segment, ...] = ()
    more: int = 0
    refusal: str | None = None


def experiment(
    journal: Journal, past: Sequence[Revision], prices: Prices, by: str | None = None, clock: Clock = now_us
) -> Experiment:
    """The arms of an endpoint's current revision.

    BadInput for an expression that does not fit the inputs, Conflict where nothing has matured yet.
    """
    current = past[-1]
    expression = None if by is None else parse(by, Scope(inputs=merge.inputs(current)))
    sql = worth(current)
    rows = settled(journal, list(past), sql, prices, clock())
    if not bool(np.isfinite(rows.rows.worth).any()):
        raise Conflict(
            f"nothing is known of {current.endpoint} yet: {len(rows.rows):,} predictions have matured, and none has a "
            "value; send outcomes, or wait until they count"
        )
    asked = _asked(current, sql.refusal is None)
    compared = sum(one.role != Role.CHAMPION for one, _ in asked) or 1
    parts, more = ([], 0) if expression is None else _parts(journal, current, expression, rows.rows)
    error = ERROR / compared / max(1, len(parts))
    segments = tuple(
        Segment(name, _sides(current, _taken(rows, mask), asked, error)) for name, mask in parts if mask.any()
    )
    return Experiment(
        current.endpoint,
        current.policy.currency,
        _rival(current) or FALLBACK,
        _sides(current, rows, asked, ERROR / compared if not parts else error),
        error,
        ratio(rows.rows, rows.shares),
        current.policy.covariate,
        by,
        segments,
        more,
        DEPENDS if sql.refusal and any(watches for _, watches in asked) else None,
    )


def ratio(rows: Matured, shares: Mapping[int, Shares]) -> float | None:
    """The log of the evidence that answered rows did not fall to the sides in their shares, over all revisions."""
    answered = rows.take(~rows.shadow)
    found: list[float] = []
    for number in np.unique(answered.revision).tolist():
        share = shares.get(number, Shares({}))
        if share.drawn and len(share.sides) > 1:
            sides = answered.side[answered.revision == number]
            counts = [int((sides == side).sum()) for side in share.sides]
            found.append(sample_ratio(counts, list(share.sides.values())))
    return sum(found) if found else None


def plain(found: Experiment) -> dict[str, Any]:
    """As JSON: amounts in units, per decision."""
    e_value = None if found.log_e is None else evidence(found.log_e)
    return {
        "endpoint": found.endpoint,
        "currency": found.currency,
        "compared_with": found.rival,
        "arms": [_plain(side) for side in found.sides],
        "sample_ratio": {
            "e_value": e_value,
            "threshold": 1 / MISMATCH,
            "mismatch": found.log_e is not None and found.log_e >= -log(MISMATCH),
            "note": _ratio_words(found.log_e),
        },
        "by": found.by,
        "segments": [{"segment": one.name, "arms": [_plain(side) for side in one.sides]} for one in found.segments],
        "more_segments": found.more,
        "error": found.error,
        "note": words(found),
        "assumptions": list(_assumptions(found)),
    }


def words(found: Experiment) -> str:
    """Who is ahead, if that is known."""
    if found.log_e is not None and found.log_e >= -log(MISMATCH):
        return "The arms do not get the shares they should: nothing here can be trusted until that is understood."
    sure = [(side, side.effect.mean) for side in found.sides if side.effect is not None and side.effect.mean.interval]
    told = [
        f"{side.name} earns {abs(one.value):,.4g} {found.currency} {'more' if one.value > 0 else 'less'} per decision"
        for side, one in sure
        if one.interval is not None and (one.interval.low > 0 or one.interval.high < 0)
    ]
    if told:
        return f"Than {found.rival}: {'; '.join(told)}."
    return f"Nothing shows yet that any arm earns more or less than {found.rival}."


def _assumptions(found: Experiment) -> list[str]:
    told = [
        f"the error of {ERROR:.4g} is shared: each interval of a difference errs in at most {found.error:.4g} of cases "
        "over all looks, so that all of them hold together with 95%"
    ]
    if found.covariate is not None:
        told.append(f"what follows {found.covariate} is taken out of the differences, by what earlier rows showed")
    told.append("differences are net of computing; rows decided at random are in no difference")
    if found.more:
        told.append(f"{found.more:,} more segments have fewer decisions and are not shown; they are in the whole")
    return told if found.refusal is None else [*told, found.refusal]


def _ratio_words(log_e: float | None) -> str:
    if log_e is None:
        return "customers keep to an arm, or one arm has all: counts of decisions do not tell whether shares are kept"
    kept = "not kept" if log_e >= -log(MISMATCH) else "kept, as far as the counts tell"
    return f"the shares are {kept}"


def _asked(revision: Revision, watched_known: bool) -> list[tuple[Arm, bool]]:
    """The arms with whether each is looked at where it watches, the champion first.

    A killed one is, if anybody knows what it would have earned; else by what it earned before.
    """
    order = list(Role)
    arms = sorted(revision.arms, key=lambda arm: order.index(arm.role))
    return [(arm, arm.role is Role.SHADOW or (arm.role is Role.KILLED and watched_known)) for arm in arms]


def _rival(revision: Revision) -> str:
    """Who the others are compared with: the champion; where none answers, the hold-out, or the fallback."""
    champion = revision.arm(Role.CHAMPION)
    return _named(champion) if champion else HOLDOUT if revision.policy.holdout else ""


def _parts(
    journal: Journal, revision: Revision, expression: Expression, rows: Matured
) -> tuple[list[tuple[str, NDArray[np.bool_]]], int]:
    """The largest segments, each with which rows are its own; and how many are left out."""
    declared = {"inputs": merge.inputs(revision)}
    table = journal.parts(revision.endpoint, expression.duckdb(), declared)
    known = dict(zip(table["id"].to_pylist(), table["part"].to_pylist(), strict=True))
    own: Names = np.array([known.get(each) or NONE for each in rows.ids.tolist()], dtype=object)
    found, counts = np.unique(own.astype(str), return_counts=True)
    largest = found[np.argsort(-counts, kind="stable")][:SEGMENTS_MAX]
    return [(str(name), own == name) for name in largest], max(0, len(found) - SEGMENTS_MAX)


def _taken(rows: Settled, mask: NDArray[np.bool_]) -> Settled:
    return Settled(rows.rows.take(mask), rows.covariate[mask], rows.shares)


def _sides(revision: Revision, rows: Settled, asked: Sequence[tuple[Arm, bool]], error: float) -> tuple[Side, ...]:
    rival = _rival(revision)
    found = [_side(revision, rows, arm, watches, rival, error) for arm, watches in asked]
    for name, role in ((HOLDOUT, HOLDOUT), ("", FALLBACK)):
        if share := rows.shares[revision.number].sides.get(name, 0.0):
            found.append(_other(rows, name, role, share, rival, error))
    return tuple(found)


def _other(rows: Settled, name: str, role: str, share: float, rival: str, error: float) -> Side:
    """The hold-out, or what the fallback answers in place of a champion."""
    own = rows.rows.take((rows.rows.side == name) & ~rows.rows.shadow)
    told = mean(own.worth[np.isfinite(own.worth)], error)
    against: Effect | None = None
    if name != rival:
        against = randomised(rows.rows, name, rival, rows.shares, error, rows.covariate, net=True)
    return Side(role, role, share, False, told, len(own) - told.n, Rails(), against)


def _side(revision: Revision, rows: Settled, arm: Arm, watches: bool, rival: str, error: float) -> Side:
    name = _named(arm)
    own = rows.rows.take((rows.rows.arm == name) & (rows.rows.shadow == watches))
    known = own.worth[np.isfinite(own.worth)]
    effect: Effect | None = None
    speaks: tuple[str, ...] = ()
    rails = Rails().after(rows.rows, name)
    if rival != name:
        if watches and rival:
            effect = beside(rows.rows, name, rival, error)
        elif not watches:
            effect = randomised(rows.rows, name, rival, rows.shares, error, rows.covariate, net=True)
            if rival not in (HOLDOUT, ""):  # which compute nothing
                theirs = Rails().after(rows.rows, rival)
                speaks = tuple(blocks(rails, theirs, _margins(revision.policy), error))
    share = rows.shares[revision.number].sides.get(name, 0.0)
    return Side(name, str(arm.role), share, watches, mean(known, error), len(own) - len(known), rails, effect, speaks)


def _margins(policy: Policy) -> Mapping[str, float]:
    """What the guard that promotes asks for beside money; nothing where there is none."""
    return next((guard.guardrails for guard in policy.guards if guard.when == BEATS), {})


def _named(arm: Arm) -> str:
    return f"{arm.model} v{arm.version}"


def _plain(side: Side) -> dict[str, Any]:
    between, rails = side.earned.interval, side.rails
    return {
        "arm": side.name,
        "role": side.role,
        "share": side.share,
        "watches": side.watches,
        "decisions": side.earned.n,
        "unknown": side.unknown,
        "value": side.earned.value,
        "low": None if between is None else between.low,
        "high": None if between is None else between.high,
        "cost": rails.cost.mean,
        "latency_us": exp(rails.latency.mean) if rails.latency.n else None,
        "errors": rails.errors.mean,
        "violations": rails.violations.mean,
        "difference": None if side.effect is None else _plain_effect(side.effect),
        "guardrails": list(side.guardrails),
    }


def _plain_effect(effect: Effect) -> dict[str, Any]:
    between = effect.mean.interval
    return {
        "against": effect.baseline,
        "decisions": effect.mine,
        "against_decisions": effect.others,
        "per_decision": effect.mean.value,
        "low": None if between is None else between.low,
        "high": None if between is None else between.high,
        "noise_left": effect.noise_left,
        "how": how(effect.mean.n),
    }
