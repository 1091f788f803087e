"""What an endpoint's versions earned and cost, against what else would have been, in figures and in words.

Realised rows are money; watched rows say what would have been, and rows in flight what may come. They are shown side by
side and never added up. No gain is told without what it is a gain over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from payoff.codecs.units import duration
from payoff.experiment.verdict import BEATS, LOSES, Case
from payoff.experiment.words import explain, in_short
from payoff.ledger.statement import Line, Statement, Total
from payoff.money import MICROS, Money
from payoff.monitor.compare import Baseline, Effect
from payoff.monitor.lives import Brief
from payoff.monitor.plug import Plug
from payoff.records.endpoint import Matures, NoOutcome, Policy, Revision, Role
from payoff.stats.intervals import Interval

FALLBACK = "fallback"
GONE = "gone"  # a version that is no arm of the endpoint any more
_ORDER = [*Role, GONE, FALLBACK]


@dataclass(frozen=True, slots=True)
class Uplift:
    """The net value of a version against its baseline, over all its matured rows: n x difference - (cost - its cost).

    `low` and `high` hold at every look; None while no range is known. `effect` says with what it is compared, and how.
    """

    effect: Effect
    net: Money
    low: Money | None
    high: Money | None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the statement with what the version is on the endpoint and what is known about it.

    `role` is a Role, "gone" or "fallback". `verdict` is short, `explanation` whole sentences.
    """

    line: Line
    role: str
    verdict: str = ""
    explanation: str = ""
    e_value: float | None = None
    threshold: float | None = None
    tested: int = 0
    uplift: Uplift | None = None
    a_day: Money | None = None

    @property
    def name(self) -> str:
        return FALLBACK if self.line.model is None else f"{self.line.model} v{self.line.version}"


@dataclass(frozen=True, slots=True)
class Flight:
    """Predictions that do not count yet: how many have an outcome so far, and what all of them may earn.

    `expected` rests on what matured ones earned; an estimate, and in no sum.
    """

    decisions: int = 0
    early: int = 0
    early_value: Money | None = None
    expected: Money | None = None
    low: Money | None = None
    high: Money | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """What all answered decisions up to one came to, in units: value, the fallback's where known, and cost."""

    decisions: int
    at_us: int
    value: float
    baseline: float | None
    cost: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was read beside the statement. `effects` are by (version, shadow); `refusal` says why some have no value.

    `a_day` is what a version costs a day while payoff is up, in micros, by (model, version, shadow), where metered.
    """

    cases: Sequence[tuple[Brief, Case]] = ()
    effects: Mapping[tuple[str, bool], Effect] = field(default_factory=dict)
    value_mean: Interval | None = None  # of all answered rows
    course: Sequence[Point] = ()
    plug: Plug = field(default_factory=Plug)
    refusal: str | None = None
    a_day: Mapping[tuple[str | None, int | None, bool], int] = field(default_factory=dict)
    judged: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Roi:
    """One endpoint's statement.

    `fallback_alone` is what the fallback would have earned on all matured predictions; None: nobody knows.
    `prediction_id` and `outcome_id` say how far the guards have come: every outcome up to the second was there when
    they last looked.
    """

    endpoint: str
    currency: str
    at_us: int
    revision: int
    answered: tuple[Row, ...]
    watched: tuple[Row, ...]
    total: Total
    fallback_alone: Money | None
    bill: Money
    shadow_cost: Money
    conclusion: str
    assumptions: tuple[str, ...]
    flight: Flight = Flight()
    course: tuple[Point, ...] = ()
    plug: Plug = field(default_factory=Plug)
    prediction_id: str | None = None
    outcome_id: str | None = None

    @property
    def headline(self) -> Row | None:
        """The row that the page is about: whose traffic it is, if it can be compared with anything."""
        able = [row for row in self.answered if row.uplift is not None and row.role != GONE]
        return next((row for row in able if row.role == Role.CHAMPION), able[0] if able else None)


def compose(revision: Revision, found: Statement, more: Found, at_us: int) -> Roi:
    """The statement of an endpoint with roles, verdicts, comparisons and words."""
    alone = _alone(found.realised, found.currency)
    answered = _rows(revision, found.realised, more)
    return Roi(
        endpoint=revision.endpoint,
        currency=found.currency,
        at_us=at_us,
        revision=revision.number,
        answered=answered,
        watched=_rows(revision, found.counterfactual, more),
        total=found.total,
        fallback_alone=alone,
        bill=found.bill,
        shadow_cost=found.shadow_cost,
        conclusion=conclude(revision, found, alone, answered),
        assumptions=assumptions(revision.policy, found, more),
        flight=_flight(found, more.value_mean),
        course=tuple(more.course),
        plug=more.plug,
        prediction_id=more.judged[0],
        outcome_id=more.judged[1],
    )


def conclude(revision: Revision, found: Statement, alone: Money | None, answered: Sequence[Row] = ()) -> str:
    """The one thing that finance people need to hear."""
    if not found.total.matured and not any(line.matured for line in found.counterfactual):
        return "Nothing is known yet: no outcome of a prediction has come in."
    if alone is None:
        earned = f"{found.total.matured:,} predictions with a known outcome earned {found.total.net} after all costs."
        told = [_told(row, row.uplift) for row in answered if row.uplift is not None and row.role in tuple(Role)]
        return " ".join([earned, *told])
    best = _best(revision, found)
    if best is None:
        return f"No model has answered or watched yet; the fallback earned {found.total.net} after all costs."
    name, gain, matured, watched = best
    if gain.micros > 0 and watched:
        return (
            f"{name} is {gain} ahead of the fallback on the {matured:,} predictions it was asked about; {watched:,} of "
            "them it only watched: that part would have been, and is no money."
        )
    if gain.micros > 0:
        return f"{name} earned {gain} more than the fallback would have on the same {matured:,} predictions."
    return (
        f"No model earns more than the fallback on {revision.endpoint}: deciding {_decides(revision.policy)} every "
        f"time would have earned {alone} on the {found.total.matured:,} predictions whose outcome is known; "
        f"they earned {found.total.net}. "
        f"The best model, {name}, is {-gain} behind on the {matured:,} it was asked about."
    )


def _told(row: Row, uplift: Uplift) -> str:
    """A version against its baseline, as a sentence."""
    side = "more" if uplift.net.micros >= 0 else "less"
    amount = uplift.net if uplift.net.micros >= 0 else -uplift.net
    between = "" if uplift.low is None else f" (between {uplift.low} and {uplift.high})"
    causal = "" if uplift.effect.causal else " That is not causal: the times differ too."
    return f"{row.name} is worth {amount} {side} than {uplift.effect.baseline}{between}.{causal}"


def assumptions(policy: Policy, found: Statement, more: Found) -> tuple[str, ...]:
    """On what the figures rest, in words."""
    value = None if policy.value is None else " ".join(policy.value.split())
    told = [f"a decision is worth: {value}" if value else "a decision is worth the money that was sent"]
    told += _settling(policy)
    if more.refusal is not None:
        told.append(more.refusal)
    elif "decision" in policy.fallback:
        told.append(
            f"the fallback decides {_decides(policy)} every time; what it would have earned is read from the same "
            "outcomes, which is right where outcomes are reported whatever was decided"
        )
    told.append(
        "every interval holds at 95%, on its own, at every look; it is made anew from all matured decisions in their "
        "order, corrections included, and the range of amounts is learned from earlier decisions"
    )
    cap = gain_cap(policy)
    if cap is not None:
        told.append(f"where no gain over the fallback was larger, the stated {cap:,.6g} {policy.currency} bounds it")
    if policy.route_by is not None and any(effect.kind is Baseline.HOLDOUT for effect in more.effects.values()):
        told.append(
            f"whoever has the same {policy.route_by} keeps to one side: decisions about one of them depend on each "
            "other, and intervals that compare sides are right only where most come once"
        )
    return (*told, *found.assumptions)


def gain_cap(policy: Policy) -> float | None:
    """The most that a decision can gain over the fallback, if a guard states it."""
    told = (guard for guard in policy.guards if (guard.when, guard.against) == (LOSES, FALLBACK))
    return next((guard.gain_cap for guard in told if guard.gain_cap is not None), None)


def _settling(policy: Policy) -> list[str]:
    window = duration(policy.outcome_window_s)
    if policy.matures is not Matures.WINDOW:
        return [
            "predictions without a known outcome count in the cost and not in the value; intervals wait for a missing "
            f"outcome {window} at most"
        ]
    nothing = "is worth what the value says of nothing" if policy.no_outcome is NoOutcome.COUNTS else "is left out"
    return [f"a prediction counts when its window of {window} has passed; one without an outcome by then {nothing}"]


def _flight(found: Statement, value_mean: Interval | None) -> Flight:
    lines, total = found.realised, found.total
    n = sum(line.in_flight for line in lines)
    early = total_of([line.early_value for line in lines], found.currency)
    if not n or not total.matured:
        return Flight(n, sum(line.early for line in lines), early)
    expected = Money(round(total.value.micros * n / total.matured), found.currency)
    ends = (value_mean.low, value_mean.high) if value_mean else ()
    low, high = (Money(round(n * end * MICROS), found.currency) for end in ends) if ends else (None, None)
    return Flight(n, sum(line.early for line in lines), early, expected, low, high)


def _rows(revision: Revision, lines: Sequence[Line], more: Found) -> tuple[Row, ...]:
    rows = [_row(revision, line, more) for line in lines]
    return tuple(sorted(rows, key=lambda row: (_ORDER.index(row.role), row.line.model or "", row.line.version or 0)))


def _row(revision: Revision, line: Line, more: Found) -> Row:
    micros = more.a_day.get((line.model, line.version, line.shadow))
    a_day = None if micros is None else Money(micros, line.net.currency)
    if line.model is None:
        return Row(line, FALLBACK, a_day=a_day)
    who = line.model, line.version
    role = next((arm.role for arm in revision.arms if (arm.model, arm.version) == who), GONE)
    mine = [case for _, case in more.cases if (case.question.model, case.question.version) == who]
    loses = next((case for case in mine if case.question.kind == LOSES), None)
    told = [case for case in mine if case is loses or (case.question.kind == BEATS and case.reached)]
    effect = more.effects.get((f"{line.model} v{line.version}", line.shadow))
    return Row(
        line,
        role,
        "; ".join(in_short(case) for case in told),
        " ".join(explain(case) for case in told),
        loses.e_value if loses else None,
        loses.threshold if loses else None,
        loses.tested if loses else 0,
        None if effect is None else uplift(line, effect),
        a_day,
    )


def uplift(line: Line, effect: Effect) -> Uplift:
    """A version's net value against a baseline, over all its matured rows; a paired one is exact, to the micro."""
    if effect.kind is Baseline.FALLBACK and line.against_fallback is not None:
        return Uplift(effect, line.against_fallback, line.against_low, line.against_high)
    currency = line.net.currency
    extra = line.parts.total - round(effect.others_cost * line.matured * MICROS)

    def whole(per_decision: float) -> Money:
        return Money(round(per_decision * line.matured * MICROS) - extra, currency)

    between = effect.mean.interval
    low, high = (whole(between.low), whole(between.high)) if between is not None else (None, None)
    return Uplift(effect, whole(effect.mean.value), low, high)


def _best(revision: Revision, found: Statement) -> tuple[str, Money, int, int] | None:
    """The version on the endpoint that is most ahead of the fallback: its lead, its rows, and those it only watched."""
    leads, zero = [], Money(0, found.currency)
    for arm in revision.arms:
        lines = [
            line
            for line in (*found.realised, *found.counterfactual)
            if (line.model, line.version) == (arm.model, arm.version) and line.matured
        ]
        if lines:
            lead = total_of([line.against_fallback or zero for line in lines], found.currency)
            watched = sum(line.matured for line in lines if line in found.counterfactual)
            leads.append((lead, f"{arm.model} v{arm.version}", sum(line.matured for line in lines), watched))
    if not leads:
        return None
    lead, name, matured, watched = max(leads)
    return name, lead, matured, watched


def _alone(lines: Sequence[Line], currency: str) -> Money | None:
    """What the fallback would have earned on all rows of these lines; None if nobody knows."""
    known = [line.fallback for line in lines if line.fallback is not None]
    return total_of(known, currency) if len(known) == len(lines) else None


def _decides(policy: Policy) -> str:
    decision = policy.fallback.get("decision")
    return str(decision).lower() if isinstance(decision, bool) else repr(decision)


def total_of(amounts: Sequence[Money], currency: str) -> Money:
    """Their sum; none of them is nothing."""
    return sum(amounts, Money(0, currency))
