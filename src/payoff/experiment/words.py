"""A verdict in plain words, for people who decide about money and do not read e-values."""

from fractions import Fraction
from math import isinf

from payoff.experiment.verdict import BEATS, Case


def explain(case: Case) -> str:
    """What the case says so far, and how sure one may be."""
    if not case.bets.n:
        return f"Nothing known about {case.question.name} yet: no prediction of it has matured."
    return f"{_measured(case)} {_sure(case) if case.reached else _not_sure(case)}{_caution(case)}"


def in_short(case: Case) -> str:
    """The same in a few words, for a table."""
    question = case.question
    if case.reached:
        return question.text
    if not case.bets.n:
        return "nothing known yet"
    return f"no verdict: evidence {_number(case.bets.e_value)} of {_number(1 / question.error)}"


def chance(error: float) -> str:
    """0.01 as "1 of 100", 0.03 as "3 of 100"."""
    share = Fraction(str(error)).limit_denominator(1_000_000)
    if share.numerator == 1:
        return f"1 of {share.denominator:,}"
    return f"{error * 100:.4g} of 100"


def _measured(case: Case) -> str:
    question, mean = case.question, case.credited.mean
    others = {"nothing": "than it cost", "fallback": "than the fallback"}
    other = others.get(question.against, f"than {question.against}")
    more = "more" if mean >= 0 else "less"
    per = f"{abs(mean):,.2f}" if abs(mean) >= 0.01 or mean == 0 else f"{abs(mean):.2g}"
    counted = "prediction" if case.bets.n == 1 else "predictions"
    return (
        f"After {case.bets.n:,} matured {counted} {question.name} earned {per} {question.currency} {more} "
        f"per prediction {other}."
    )


def _sure(case: Case) -> str:
    deserved = f"it did not beat {case.question.against}" if case.question.kind == BEATS else "it did not lose"
    return (
        f"If {deserved}, evidence this strong would turn up in at most {chance(case.question.error)} such watches, "
        "however often one looks."
    )


def _not_sure(case: Case) -> str:
    return (
        f"That is no verdict yet: the evidence is {_number(case.bets.e_value)}, "
        f"and {_number(1 / case.question.error)} is needed."
    )


def _caution(case: Case) -> str:
    """What the chance rests on: the cap."""
    question = case.question
    credited = "A loss counts" if question.kind == BEATS else "A gain counts"
    if question.cap is not None:
        return f" {credited} up to {question.cap:,.6g} {question.currency} per prediction, as stated beforehand."
    if isinf(case.cap):
        return " Nothing is bet on yet: the first predictions only show how much there is to win."
    return (
        f" {credited} up to {_number(case.cap)} {question.currency} per prediction, learned from earlier ones; "
        "state gain_cap if much larger ones are to come."
    )


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
