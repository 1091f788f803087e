"""What a candidate would have earned on recorded traffic, before it answers anybody: an estimate, never money.

The candidate is another version, another decision, or both. Where the outcome does not depend on the decision, every
recorded row tells exactly what the candidate would have earned on it. Else only rows tell whose decision was drawn by
chance, each weighted by how much more often the candidate would decide so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payoff.clock import Clock, now_us
from payoff.deploy import compare
from payoff.errors import BadInput
from payoff.expressions.expression import Expression, parse
from payoff.expressions.scope import Scope
from payoff.flavors.rowfile import Rows
from payoff.flavors.sample import rows_of
from payoff.journal.query import Journal
from payoff.ledger import prices
from payoff.monitor.evidence import read
from payoff.monitor.worth import worth
from payoff.records import Column, merge, take
from payoff.records.endpoint import Matures, NoOutcome, Revision
from payoff.records.model import Version
from payoff.stats.intervals import Interval, Sums
from payoff.stats.offpolicy import METHODS, Recorded, always, design, estimate, reward_model, uplift

PAIRED = "paired"
ROWS_MIN = 100
ERROR = 0.05
_DECISIONS_MAX = 50

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may never have answered here, and how its outputs are decided; None: as the endpoint does."""

    version: Version
    decision: str | None = None

    @property
    def name(self) -> str:
        """For people."""
        return compare.called(self.version) + (f", deciding {self.decision}," if self.decision else "")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Money per decision, in units: the candidate's, what was earned, and the difference; None where refused.

    `rows` are the recorded decisions that were used, `differing` those that the candidate would decide otherwise.
    `effective_rows` and `weight_share_max` as in payoff.stats.offpolicy. Intervals are at 95 %, for one look.
    """

    endpoint: str
    currency: str
    candidate: str
    decision: str | None
    method: str
    rows: int
    differing: int
    earned: float | None
    value: float | None
    interval: Interval | None
    more: float | None
    more_interval: Interval | None
    effective_rows: float
    weight_share_max: float
    refusal: str | None

    @property
    def text(self) -> str:
        """The result as a sentence."""
        if self.value is None or self.more is None or self.more_interval is None:
            return f"no estimate for {self.candidate} on {self.endpoint}: {self.refusal}"
        side = "more" if self.more >= 0 else "less"
        low, high = sorted((abs(self.more_interval.low), abs(self.more_interval.high)))
        between = f"between {self.more_interval.low:+,.4g} and {self.more_interval.high:+,.4g}"
        if self.more_interval.low * self.more_interval.high > 0:
            between = f"between {low:,.4g} and {high:,.4g}"
        return (
            f"{self.candidate} would have earned {self.value:,.4g} {self.currency} per decision on {self.endpoint}, "
            f"{abs(self.more):,.4g} {side} than was earned ({between}): an estimate, not money"
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """Recorded rows as the candidate is asked them, n of them, in order.

    `earned` is what the decision taken was worth, NaN where not known; `money` what was sent along with the outcome.
    """

    inputs: Rows
    taken: list[Any]
    outcome: Mapping[str, Column]
    money: Floats
    earned: Floats
    propensity: Floats


@dataclass(frozen=True, slots=True)
class _Decided:
    """The candidate's outputs and decisions, and which of the latter differ from what was decided."""

    outputs: Rows
    column: Column | None
    values: list[Any]
    differs: Flags


def evaluate(
    home: Path, journal: Journal, past: Sequence[Revision], candidate: Candidate, rows: int = 2_000,
    method: str | None = None, clock: Clock = now_us,
) -> Evaluated:  # fmt: skip
    """What the candidate would have earned on the latest `rows` answered predictions of an endpoint, once matured.

    `method` is PAIRED or one of payoff.stats.offpolicy.METHODS; None: paired where that is possible, else "dr".
    BadInput where the endpoint has no value, the candidate does not take its rows, or the method cannot be.
    """
    current = past[-1]
    value = _value(current, candidate)
    depends = current.policy.outcome_depends_on_decision and bool(value.outcome)
    method = method or ("dr" if depends else PAIRED)
    _check(current, method, depends)
    told = _told(home, journal, past, rows, clock())
    decided = _decided(home, current, candidate, told)
    if method == PAIRED:
        return _paired(current, candidate, told, decided, value)
    return _weighted(current, candidate, told, decided, method)


def plain(found: Evaluated) -> dict[str, Any]:
    """As JSON: amounts in units."""
    ends = found.interval, found.more_interval
    told: dict[str, Any] = {
        name: getattr(found, name) for name in Evaluated.__slots__ if name not in ("interval", "more_interval")
    }
    for name, one in zip(("", "more_"), ends, strict=True):
        told |= {f"{name}low": None if one is None else one.low, f"{name}high": None if one is None else one.high}
    return told | {"estimate": True, "text": found.text, "assumptions": _assumptions(found)}


def _assumptions(found: Evaluated) -> list[str]:
    how = (
        "the outcome does not depend on the decision, so every row tells what the candidate would have earned on it"
        if found.method == PAIRED
        else "only rows whose decision was drawn by chance tell; each is weighted by how much more often the candidate "
        "would decide so, given the version that answered"
    )
    earned = "what was earned is of all answers: those of other arms, of the hold-out and of chance are among them"
    return [
        how,
        *([earned] if found.method == PAIRED else []),
        "this is an estimate for a report that is written once: its intervals do not hold for looking again and again, "
        "nor for the best of many candidates",
        "the candidate's compute, and the endpoint's rules, are not in it",
    ]


def _check(current: Revision, method: str, depends: bool) -> None:
    if method != PAIRED and method not in METHODS:
        raise BadInput(f"no method called {method!r}; there are: {', '.join((PAIRED, *METHODS))}")
    if method == PAIRED and depends:
        raise BadInput(
            f"the outcome on {current.endpoint} depends on the decision: what another decision would have brought is "
            f"not known row by row; use one of {', '.join(METHODS)}, which need `explore: 2%`"
        )


def _scope(current: Revision, version: Version) -> Scope:
    return Scope(inputs=merge.inputs(current), outputs=version.served.signature.outputs)


def _rule(current: Revision, candidate: Candidate) -> Expression | None:
    """How the candidate decides; None where nothing is decided."""
    text = candidate.decision or current.policy.decision
    return None if text is None else parse(text, _scope(current, candidate.version))


def _value(current: Revision, candidate: Candidate) -> Expression:
    policy, rule = current.policy, _rule(current, candidate)
    if policy.value is None:
        raise BadInput(f"{current.endpoint} has no value: say in its file what a decision is worth, and `payoff apply`")
    scope = Scope(
        inputs=merge.inputs(current),
        outputs=candidate.version.served.signature.outputs,
        outcome=policy.outcome,
        decision=None if rule is None else rule.type,
        open_outcome=not policy.outcome,
    )
    return parse(policy.value, scope, "number")


def _told(home: Path, journal: Journal, past: Sequence[Revision], rows: int, now: int) -> _Told:
    """The matured ones among the latest answered predictions, with what was asked and what became of it."""
    current, terms = past[-1], worth(past[-1])
    after = journal.behind(current.endpoint, rows)
    settled = read(journal, past, after, terms, prices.read(home), now).rows
    settled = settled.filter(~np.asarray(settled["shadow"].to_numpy(zero_copy_only=False), np.bool_))
    within_us = int(terms.window_s * 1e6) if terms.matures is Matures.WINDOW else None
    asked = journal.asked(current.endpoint, after, terms.declared, within_us)
    asked = asked.filter(np.isin(_objects(asked["id"]), _objects(settled["id"])))
    if not asked.num_rows:
        raise BadInput(f"{current.endpoint} has no matured predictions to ask a candidate; send outcomes, and wait")
    inputs = _columns(asked["inputs"])
    assert inputs is not None  # noqa: S101 - every endpoint takes something
    outcome, n = _columns(asked["outcome"]), len(inputs)
    return _Told(
        inputs,
        asked["decision"].to_pylist()[:n],
        {} if outcome is None else take(outcome.columns, slice(0, n)),
        _floats(asked["outcome_value"])[:n],
        _floats(settled["value"])[:n],
        _floats(settled["propensity"])[:n],
    )


def _columns(struct: Any) -> Rows | None:
    """The fields of a column of structs, without those that are null throughout; None if nothing is left."""
    if not pa.types.is_struct(struct.type):
        return None
    flat = struct.combine_chunks().flatten()
    named = {struct.type.field(n).name: one for n, one in enumerate(flat) if one.null_count < len(one)}
    whole = {name: one.cast(pa.uint64()) if pa.types.is_decimal(one.type) else one for name, one in named.items()}
    return rows_of(pa.table(whole), len(struct)) if whole else None


def _decided(home: Path, current: Revision, candidate: Candidate, told: _Told) -> _Decided:
    """Ask the version the recorded rows, in a process of its own, and decide on its outputs."""
    version = candidate.version
    called = compare.called(version)
    lacking = [
        one.name for one in version.served.signature.inputs if not one.nullable and one.name not in told.inputs.columns
    ]
    if lacking:
        raise BadInput(f"{called} also takes {', '.join(lacking)}, which nobody sent to {current.endpoint}")
    (trial,) = compare.asked(home, [(version, compare.fitting(version, told.inputs))])
    rule, n = _rule(current, candidate), len(told.inputs)
    if rule is None:
        return _Decided(trial.answers, None, [None] * n, np.zeros(n, np.bool_))
    column = rule.evaluate({"inputs": _all(current, told), "outputs": trial.answers.columns})
    values = [
        value if known else None for value, known in zip(column.values.tolist(), _valid(column).tolist(), strict=True)
    ]
    differs = np.array([one != other for one, other in zip(values, told.taken, strict=True)])
    return _Decided(trial.answers, column, values, differs)


def _all(current: Revision, told: _Told) -> dict[str, Any]:
    """Every input that an expression may read; None for what nobody sent."""
    return {one.name: told.inputs.columns.get(one.name) for one in merge.inputs(current)}


def _paired(current: Revision, candidate: Candidate, told: _Told, decided: _Decided, value: Expression) -> Evaluated:
    outcome: dict[str, Any] = {one.name: told.outcome.get(one.name) for one in value.outcome}
    batch: dict[str, Any] = {
        "inputs": _all(current, told), "outputs": decided.outputs.columns, "outcome": outcome,
        "decision": decided.column,
    }  # fmt: skip
    found = value.evaluate(batch)
    own = np.where(_valid(found), found.values.astype(np.float64), np.nan)
    if value.outcome and current.policy.no_outcome is not NoOutcome.COUNTS:
        heard = np.zeros(len(own), np.bool_)
        for one in outcome.values():
            heard |= False if one is None else _valid(one)
        own = np.where(heard, own, np.nan)
    own = np.where(np.isfinite(told.money) & ~decided.differs, told.money, own)
    known = np.isfinite(own) & np.isfinite(told.earned)
    n = int(known.sum())
    if n < ROWS_MIN:
        return _nothing(current, candidate, PAIRED, n, f"{n} recorded decisions have a known value, and {ROWS_MIN} are "
                        "the least; send outcomes, and wait")  # fmt: skip
    earned, mine = told.earned[known], own[known]
    return Evaluated(
        current.endpoint, current.policy.currency, candidate.name, _said(current, candidate), PAIRED,
        n, int(decided.differs[known].sum()), float(earned.mean()), float(mine.mean()), _normal(mine),
        float((mine - earned).mean()), _normal(mine - earned), float(n), 1 / n, None,
    )  # fmt: skip


def _weighted(current: Revision, candidate: Candidate, told: _Told, decided: _Decided, method: str) -> Evaluated:
    drawn = (told.propensity > 0) & (told.propensity < 1)
    used = np.flatnonzero(drawn & np.isfinite(told.earned))
    if not len(used):
        why = (
            "no decision with a known value was drawn by chance, so nothing is known of other decisions; say "
            "`explore: 2%` in its file, and wait"
        )
        return _nothing(current, candidate, method, 0, why)
    recorded, elsewhere = _recorded(told, decided, used, method)
    if elsewhere:
        why = f"on {elsewhere:,} of {len(used):,} rows the candidate takes a decision that was never taken here"
        return _nothing(current, candidate, method, len(used), f"{why}; explore it first")
    found, more = estimate(recorded, method, ERROR), uplift(recorded, method, ERROR)
    return Evaluated(
        current.endpoint, current.policy.currency, candidate.name, _said(current, candidate), method,
        found.rows, int(decided.differs[used].sum()), float(recorded.rewards.mean()), found.value, found.interval,
        more.value, more.interval, found.effective_rows, found.weight_share_max, found.refusal,
    )  # fmt: skip


def _recorded(told: _Told, decided: _Decided, used: NDArray[np.intp], method: str) -> tuple[Recorded, int]:
    """The rows that tell, for the estimators; and on how many the candidate decides as nobody ever did."""
    taken, wanted = ([values[row] for row in used] for values in (told.taken, decided.values))
    numbers = {value: n for n, value in enumerate(dict.fromkeys([*taken, *wanted]))}
    if len(numbers) > _DECISIONS_MAX:
        raise BadInput(f"there are over {_DECISIONS_MAX} different decisions, too many to weigh one against another")
    actions, choices = (np.array([numbers[value] for value in values], np.int64) for values in (taken, wanted))
    elsewhere = len(wanted) - sum(value in set(taken) for value in wanted)
    rewards = told.earned[used]
    predicted = None
    if method not in ("ips", "clipped", "snips"):
        columns = {name: one.take(used) for name, one in told.inputs.columns.items() if one.values.ndim == 1}
        features = design({name: _feature(one) for name, one in columns.items()})
        predicted = reward_model(features, actions, rewards, len(numbers))
    return Recorded(actions, rewards, told.propensity[used], always(choices, len(numbers)), predicted), elsewhere


def _feature(column: Column) -> NDArray[Any]:
    """A column as the reward model takes it: numbers with NaN, or texts."""
    kind = column.values.dtype.kind
    if kind in "Mm":
        return np.where(_valid(column), column.values.astype(np.int64).astype(np.float64), np.nan)
    if kind in "biuf":
        return np.where(_valid(column), column.values.astype(np.float64), np.nan)
    return np.where(_valid(column), column.values, "").astype(str)


def _nothing(current: Revision, candidate: Candidate, method: str, rows: int, why: str) -> Evaluated:
    return Evaluated(
        current.endpoint, current.policy.currency, candidate.name, _said(current, candidate), method,
        rows, 0, None, None, None, None, None, 0.0, 0.0, why,
    )  # fmt: skip


def _said(current: Revision, candidate: Candidate) -> str | None:
    return candidate.decision or current.policy.decision


def _normal(money: Floats) -> Interval:
    sums = Sums.of(money)
    half = NormalDist().inv_cdf(1 - ERROR / 2) * sqrt(sums.variance / sums.n)
    return Interval(sums.mean - half, sums.mean + half)


def _valid(column: Column) -> Flags:
    return np.ones(len(column), np.bool_) if column.valid is None else column.valid


def _objects(column: Any) -> NDArray[Any]:
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found.astype(str)


def _floats(column: Any) -> Floats:
    found: Floats = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    return found
