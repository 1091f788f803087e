"""What an endpoint's recorded decisions say about an experiment that has not begun: spread, shape and pace."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.experiment.power import Setting, Verdict
from payoff.experiment.verdict import BEATS, LOSES, Rows
from payoff.monitor.docket import Shares, told
from payoff.monitor.lives import Brief, briefs
from payoff.monitor.matured import HOLDOUT, Matured
from payoff.records.endpoint import Revision, Role
from payoff.stats.power import SAMPLE_MIN

SHARE = 0.1  # of a challenger, where nobody says
ERROR = 0.01  # where no guard acts on the verdict
_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody said of an experiment; None is left to the endpoint."""

    verdict: Verdict = "kill"
    spread: float | None = None
    error: float | None = None
    gain_cap: float | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Amounts that tell the spread and shape of what a guard judges, (n,), in units, and whose they are, in words."""

    money: Floats
    whose: str


def setting(past: Sequence[Revision], rows: Matured, wish: Wish) -> tuple[Setting, str]:
    """The experiment on this endpoint, and in words where its spread is from.

    BadInput where nobody can say how far decisions spread.
    """
    brief = asked(past, wish.verdict)
    recorded = _recorded(past, rows, brief, wish.verdict)
    spread, basis = _spread(wish, recorded, past[-1].endpoint)
    kept = recorded.money if len(recorded.money) >= SAMPLE_MIN and recorded.money.std() > 0 else None
    share, other = _sides(past[-1], brief, wish)
    guarded = brief.guard is not None and (brief.question.kind == BEATS) == (wish.verdict == "promote")
    error = (brief.bar.error if guarded else ERROR) if wish.error is None else wish.error
    cap = (brief.question.cap if guarded else None) if wish.gain_cap is None else wish.gain_cap
    found = Setting(
        verdict=wish.verdict,
        spread=spread,
        error=error,
        every=brief.bar.every,
        cap=cap,
        money=kept,
        share=share,
        other=other,
        per_day=pace(rows),
        currency=past[-1].policy.currency,
    )
    return found, basis


def asked(past: Sequence[Revision], verdict: Verdict) -> Brief:
    """The question whose guard would act: about a challenger for a promotion if there is one, else the champion.

    BadInput where nothing is asked: no value, or no champion.
    """
    found = briefs(past)
    wanted = [one for one in found if one.question.kind == BEATS] if verdict == "promote" else []
    loses = [one for one in found if one.question.kind == LOSES and one.rival is None]
    champion = [one for one in loses if one.arm.role is Role.CHAMPION]
    for some in (wanted, champion, loses):
        if some:
            return some[0]
    raise BadInput(
        f"nothing is asked about a version on {past[-1].endpoint}: it needs a model and a 'value' in its file"
    )


def pace(rows: Matured) -> float | None:
    """Answered rows a day; None under an hour of them."""
    times = rows.time_us[~rows.shadow]
    span_us = int(times[-1] - times[0]) if len(times) else 0
    return (len(times) - 1) * _DAY_US / span_us if span_us >= _HOUR_US else None


def money(brief: Brief, found: Rows) -> Floats:
    """What was judged, (n,): differences row by row, or each side's own money as if both had earned the same."""
    known = found.take(np.isfinite(found.money))
    if known.weight is None:
        return known.money
    own, sides = known.money.copy(), known.weight > 0
    for side in (sides, ~sides):
        if side.any():
            own[side] += known.money.mean() - own[side].mean()
    return own


def judged(past: Sequence[Revision], rows: Matured, brief: Brief) -> Rows:
    """What the rows say about a question, as the docket would hear them, whenever it was first asked.

    So that who changes a cap can try it at once.
    """
    always = replace(brief, since=0, until=None)
    return told(always, rows, {one.number: Shares.of(one) for one in past})


def _recorded(past: Sequence[Revision], rows: Matured, brief: Brief, verdict: Verdict) -> Recorded:
    question = brief.question
    depends = past[-1].policy.outcome_depends_on_decision
    if verdict == "promote" and question.kind != BEATS and depends:
        own = rows.take((rows.arm == question.name) & ~rows.shadow & ~rows.explored)
        net = own.worth - own.cost
        return Recorded(net[np.isfinite(net)], question.name)
    against = "" if question.against == "nothing" else f" against {_article(question.against)}"
    whose = f"{question.name}{against}"
    if verdict == "promote" and question.kind != BEATS:
        whose += ", as if a challenger differed from it as much"
    return Recorded(money(brief, judged(past, rows, brief)), whose)


def _article(against: str) -> str:
    return {"fallback": "the fallback", HOLDOUT: "the hold-out"}.get(against, against)


def _spread(wish: Wish, recorded: Recorded, endpoint: str) -> tuple[float, str]:
    n = len(recorded.money)
    if n >= SAMPLE_MIN and recorded.money.std() > 0:
        if wish.spread is None:
            return float(recorded.money.std()), f"spread and shape are those of {n:,} decisions of {recorded.whose}"
        return wish.spread, f"the spread is as you say, its shape that of {n:,} decisions of {recorded.whose}"
    if wish.spread is None:
        raise BadInput(
            f"{endpoint} has {n:,} decisions of {recorded.whose} with a known value that differs, and a spread needs "
            f"{SAMPLE_MIN}; send outcomes, or say it: --spread 20"
        )
    return wish.spread, f"the spread is as you say, its shape normal: {n:,} decisions are recorded"


def _sides(current: Revision, brief: Brief, wish: Wish) -> tuple[float, float | None]:
    """The shares of the version and of the side it is compared with, None if rows tell of both."""
    policy, shares = current.policy, Shares.of(current)
    if wish.verdict == "kill":
        if not brief.question.randomised:
            return (1.0 if wish.share is None else wish.share), None
        return (shares.own(brief.question.name) if wish.share is None else wish.share), shares.own(HOLDOUT)
    share = wish.share or (brief.arm.traffic if brief.question.kind == BEATS else 0.0) or SHARE
    return share, (1 - policy.holdout - share if policy.outcome_depends_on_decision else None)
