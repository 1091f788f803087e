"""A verdict in plain words, for people who decide about money and do not read e-values."""

from fractions import Fraction
from math import ceil, isinf, log

from payoff.experiment.verdict import AFTER_CHANGE, BEATS, SAME, Case

_OTHERS = {"nothing": "than it cost", "fallback": "than the fallback", "holdout": "than the hold-out"}


def explain(case: Case, shared: int = 1) -> str:
    """What the case says so far, and how sure one may be. `shared`: between how many versions the error is divided."""
    if not case.tested:
        return f"Nothing known about {case.question.name} yet: no prediction of it has matured that can be compared."
    return f"{_measured(case)} {_sure(case, shared) if case.reached else _not_sure(case)}{_caution(case)}"


def in_short(case: Case) -> str:
    """The same in a few words, for a table."""
    question = case.question
    if case.reached:
        return question.text
    if not case.tested:
        return "nothing known yet"
    return f"no verdict: evidence {_number(case.e_value)} of {_number(case.threshold)}"


def outlook(case: Case) -> str:
    """What would change it: how many more decisions it takes if they go on like those so far."""
    if case.reached:
        return f"The verdict stands; `payoff revive`, or another version, starts afresh.{_surer(case)}"
    if not case.tested:
        return "It takes predictions whose outcome is known."
    more = _more(case)
    if more is None:
        return "If it goes on like this there will be no verdict: what is asked for is not what the outcomes show."
    return f"If it goes on like this, it takes about {_round(more):,} more predictions with a known outcome."


def _surer(case: Case) -> str:
    """Why a verdict stands beside an interval that still has 0 in it: the interval says how much, which is harder."""
    found = case.interval()
    if case.question.kind == SAME or found is None or not found.low <= 0 <= found.high:
        return ""
    side = "earns more" if case.question.kind == BEATS else "loses"
    return f" That it {side} shows sooner than how much; hence the wide bounds."


def chance(error: float) -> str:
    """0.01 as "1 of 100", 0.03 as "3 of 100"."""
    share = Fraction(str(error)).limit_denominator(1_000_000)
    if share.numerator == 1:
        return f"1 of {share.denominator:,}"
    return f"{error * 100:.4g} of 100"


def _measured(case: Case) -> str:
    question = case.question
    other = _OTHERS.get(question.against, f"than {question.against}")
    counted = "prediction" if case.tested == 1 else "predictions"
    told = f"After {case.tested:,} matured {counted} {question.name} earned "
    whole = f"{_money(case.credited.mean, question.currency)} per prediction {other}"
    if question.randomised:
        whole += ", by the chance each row had of coming to either"
    if case.test != AFTER_CHANGE:
        return f"{told}{whole}."
    lately = case.lately
    return (
        f"{told}{_money(lately.mean, question.currency)} per prediction {other} on the last {lately.n:,} of them, "
        f"since it was at its best ({_money(case.credited.mean, question.currency)} over all)."
    )


def _money(mean: float, currency: str) -> str:
    per = f"{abs(mean):,.2f}" if abs(mean) >= 0.01 or mean == 0 else f"{abs(mean):.2g}"
    return f"{per} {currency} {'more' if mean >= 0 else 'less'}"


def _sure(case: Case, shared: int) -> str:
    question = case.question
    if case.test == AFTER_CHANGE:
        return (
            f"A version that does not lose is stopped like this by chance every {case.threshold:,.0f} predictions on "
            "average, or more seldom."
        )
    among = f", the error being shared by the {shared} versions asked about at the same time" if shared > 1 else ""
    if question.kind == SAME:
        return (
            f"The true difference lies within {question.within:,.6g} {question.currency} either way, except in at most "
            f"{chance(case.error)} such watches, however often one looks{among}."
        )
    deserved = f"it did not beat {question.against}" if question.kind == BEATS else "it did not lose"
    return (
        f"If {deserved}, evidence this strong would turn up in at most {chance(case.error)} such watches, "
        f"however often one looks{among}."
    )


def _not_sure(case: Case) -> str:
    told = f"That is no verdict yet: the evidence is {_number(case.e_value)}, and {_number(case.threshold)} is needed"
    if case.question.kind not in (BEATS, SAME) and case.every:
        changed = f"{_number(case.detector.r_value)} of {_number(case.bar_after_change)}"
        told += f"; that it has begun to lose after a good time, {changed}"
    return f"{told}."


def _caution(case: Case) -> str:
    """What the chance rests on: the cap."""
    question = case.question
    if question.kind == SAME:
        return ""
    together = f" {question.block} predictions in a row are judged as one amount." if question.block > 1 else ""
    return _credited(case) + together


def _credited(case: Case) -> str:
    question, credited = case.question, "A loss counts" if case.question.kind == BEATS else "A gain counts"
    if question.cap is not None:
        return f" {credited} up to {question.cap:,.6g} {question.currency} per prediction, as stated beforehand."
    if isinf(case.cap):
        return " Nothing is bet on yet: the first predictions only show how much there is to win."
    return (
        f" {credited} up to {_number(case.cap)} {question.currency} per prediction, learned from earlier ones; "
        "state gain_cap if much larger ones are to come."
    )


def _more(case: Case) -> int | None:
    """Predictions until the evidence suffices if it goes on growing as its best stake did so far; None: it does not."""
    if case.question.kind == SAME:
        return _more_same(case)
    rate = max(case.bets.logs) / case.tested
    return ceil((log(case.threshold) - case.log_e) / rate) if rate > 0 else None


def _more_same(case: Case) -> int | None:
    """The interval shrinks with the root of the rows; None if its middle lies outside the margin, or there is none."""
    found, within = case.interval(case.error), case.question.within or 0.0
    if found is None:
        return None
    middle, half = (found.low + found.high) / 2, (found.high - found.low) / 2
    room = within - abs(middle)
    return int(case.tested * max(0.0, (half / room) ** 2 - 1)) + 1 if room > 0 else None


def _round(count: int) -> int:
    """Two digits: an outlook is no promise."""
    size = int(10 ** max(0, len(str(count)) - 2))
    return ceil(count / size) * size


def _number(value: float) -> str:
    if value >= 1e9:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
