"""The journal's sums as the ledger's tallies, with where the means of their rows lie."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from payoff.journal import statement as sums
from payoff.ledger.bill import Books, Cost, Payer
from payoff.ledger.cost import book, split
from payoff.ledger.prices import Prices
from payoff.ledger.statement import Tally
from payoff.monitor.compare import expected, paired
from payoff.monitor.matured import Matured
from payoff.stats.intervals import Interval

Means = Mapping[tuple[str, bool], tuple[Interval | None, Interval | None]]  # of value and gain, by version and shadow


def tally(line: sums.Line, fallback_known: bool, means: Means | None = None) -> Tally:
    """One line of sums as a tally. `means` as `means` below gives them."""
    own = line.version is not None
    value_mean, gain_mean = (means or {}).get((named(line), line.shadow), (None, None))
    return Tally(
        model=line.model if own else None,
        version=line.version,
        shadow=line.shadow,
        answered=line.answered,
        settled=line.matured,
        matured=line.valued,
        value_micros=line.value_micros,
        fallback_micros=line.baseline_micros if fallback_known and line.compared == line.valued else None,
        compared=line.compared,
        gain_micros=_gain(line) if fallback_known else None,
        early=line.flying_valued,
        early_micros=line.flying_micros,
        value_mean=value_mean,
        gain_mean=gain_mean if fallback_known else None,
    )


def named(line: sums.Line) -> str:
    """The version as matured rows call it: "model v2", "" for the fallback."""
    return "" if line.version is None else f"{line.model} v{line.version}"


def means(rows: Matured, cap: float | None) -> Means:
    """Where value and gain over the fallback lie on average; `cap` is the most that a gain can be, if it was stated."""
    found = {}
    for name in set(rows.arm):
        for shadow in (False, True):
            own = rows.worth[(rows.arm == name) & (rows.shadow == shadow)]
            if len(own):
                gain = paired(rows, name, shadow, cap=cap).mean.interval
                found[str(name), shadow] = expected(own[np.isfinite(own)]).interval, gain
    return found


def costs(lines: Sequence[sums.Line], endpoint: str, books: Books | None, prices: Prices) -> list[Cost]:
    """What the books say of each line, spread over its days if it has some; without books, computing time and fees."""
    if books is None or not books.entries:
        cpu = book([line.cpu_ns for line in lines], prices)
        return [Cost(cpu=micros, fees=line.fee_micros) for micros, line in zip(cpu, lines, strict=True)]
    booked = {payer: cost for payer, (_, cost) in books.by_payer().items()}
    payers = [Payer(endpoint, line.model if named(line) else None, line.version, line.shadow) for line in lines]
    found = {payer: iter(_spread(booked.get(payer, Cost()), _answered(lines, payers, payer))) for payer in payers}
    return [next(found[payer]) for payer in payers]


def _answered(lines: Sequence[sums.Line], payers: Sequence[Payer], payer: Payer) -> list[int]:
    return [line.answered for line, own in zip(lines, payers, strict=True) if own == payer]


def _spread(cost: Cost, answered: Sequence[int]) -> list[Cost]:
    """A version's cost over its lines (its days) by what each answered; together they are it, to the micro."""
    parts = {each.name: split(getattr(cost, each.name), answered) for each in fields(Cost)}
    return [Cost(**{name: amounts[n] for name, amounts in parts.items()}) for n in range(len(answered))]


def _gain(line: sums.Line) -> int:
    """Value minus the fallback's, to the micro where every row has both; rows that lack one are left out."""
    if line.compared == line.valued == line.baselined:
        return line.value_micros - line.baseline_micros
    return line.difference_micros
