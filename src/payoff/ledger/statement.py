"""What each version earned: a line per version, in whole micros, that add up to the bill they were given.

Lines of versions that answered are real money. Lines of versions that only watched say what would have been; they are
kept apart and are never added to the others, except for their cost, which was spent. What is in flight is in no sum.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from payoff.ledger.bill import Cost
from payoff.money import MICROS, Money
from payoff.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class Tally:
    """What the journal adds up for one version, over the rows it answered or, if `shadow`, over those it watched.

    `model` and `version` are None for the fallback. Money is of `matured` rows: those that are settled and whose value
    is known. `fallback_micros` is what the fallback would have earned on them, `gain_micros` how much more than that
    was earned, on `compared` rows: None where nobody knows. `value_mean` and `gain_mean` say where the means of both
    per row lie, in units; None where that is not known yet.
    """

    model: str | None
    version: int | None
    shadow: bool
    answered: int  # rows it answered, or watched
    settled: int  # of these, rows that count; the others are in flight
    matured: int
    value_micros: int
    fallback_micros: int | None = None
    compared: int = 0
    gain_micros: int | None = None
    early: int = 0  # rows in flight whose value is known so far
    early_micros: int = 0
    value_mean: Interval | None = None
    gain_mean: Interval | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One version's line. `low` and `high` bound what its matured rows net on average, however often they are read."""

    model: str | None
    version: int | None
    shadow: bool
    answered: int
    settled: int
    matured: int
    value: Money
    parts: Cost  # of the cost, in micros
    net: Money
    low: Money | None
    high: Money | None
    fallback: Money | None  # what the fallback would have earned on the matured rows
    against_fallback: Money | None  # how much more was earned than that, costs included
    against_low: Money | None
    against_high: Money | None
    early: int  # rows in flight whose value is known so far: in no sum
    early_value: Money

    @property
    def cost(self) -> Money:
        """All that was booked to it."""
        return replace(self.value, micros=self.parts.total)

    @property
    def in_flight(self) -> int:
        """Rows that do not count yet."""
        return self.answered - self.settled


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over lines of one kind."""

    answered: int
    settled: int
    matured: int
    value: Money
    parts: Cost
    net: Money

    @property
    def cost(self) -> Money:
        """All that was booked to these lines."""
        return replace(self.value, micros=self.parts.total)


@dataclass(frozen=True, slots=True)
class Statement:
    """`realised`: who answered; `counterfactual`: who watched, each alone; `bill`: the cost of both, exactly."""

    currency: str
    realised: tuple[Line, ...]
    counterfactual: tuple[Line, ...]
    total: Total  # of the realised lines only
    shadow_cost: Money
    bill: Money
    assumptions: tuple[str, ...] = field(default=())


def statement(
    tallies: Sequence[Tally], costs: Sequence[Cost], currency: str, assumptions: Sequence[str] = ()
) -> Statement:
    """The lines of these tallies in their order, each with what was booked to it. ValueError if one has no cost."""
    lines = [_line(tally, cost, currency) for tally, cost in zip(tallies, costs, strict=True)]
    realised = tuple(line for line in lines if not line.shadow)
    watched = tuple(line for line in lines if line.shadow)
    return Statement(
        currency,
        realised,
        watched,
        _total(realised, currency),
        _sum((line.cost for line in watched), currency),
        _sum((line.cost for line in lines), currency),
        tuple(assumptions),
    )


def _line(tally: Tally, parts: Cost, currency: str) -> Line:
    value, cost = Money(tally.value_micros, currency), Money(parts.total, currency)
    low, high = _bounds(tally.value_mean, tally.matured, cost)
    against_low, against_high = _bounds(tally.gain_mean, tally.compared, cost)
    return Line(
        tally.model,
        tally.version,
        tally.shadow,
        tally.answered,
        tally.settled,
        tally.matured,
        value,
        parts,
        value - cost,
        low,
        high,
        None if tally.fallback_micros is None else Money(tally.fallback_micros, currency),
        None if tally.gain_micros is None else Money(tally.gain_micros, currency) - cost,
        against_low,
        against_high,
        tally.early,
        Money(tally.early_micros, currency),
    )


def _bounds(mean: Interval | None, rows: int, cost: Money) -> tuple[Money | None, Money | None]:
    """The interval of the mean, times the rows, minus the cost: the same affine map as the net itself."""
    if mean is None:
        return None, None
    low, high = (replace(cost, micros=round(rows * end * MICROS) - cost.micros) for end in (mean.low, mean.high))
    return low, high


def _total(lines: Sequence[Line], currency: str) -> Total:
    return Total(
        sum(line.answered for line in lines),
        sum(line.settled for line in lines),
        sum(line.matured for line in lines),
        _sum((line.value for line in lines), currency),
        sum((line.parts for line in lines), Cost()),
        _sum((line.net for line in lines), currency),
    )


def _sum(amounts: Iterable[Money], currency: str) -> Money:
    return sum(amounts, Money(0, currency))
