"""What each version earned: a line per version, in whole micros, that add up to the machine's bill.

Lines of versions that answered are real money. Lines of versions that only watched say what would have been; they are
kept apart and are never added to the others, except for their compute, which was spent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from payoff.ledger.cost import book
from payoff.ledger.prices import Prices
from payoff.money import MICROS, Money
from payoff.stats.intervals import Interval, Sums, interval


@dataclass(frozen=True, slots=True)
class Tally:
    """What the journal adds up for one version, over the rows it answered or, if `shadow`, over those it watched.

    `model` and `version` are None for the fallback. `fallback_micros` is what the fallback would have earned on the
    matured rows, `gain_micros` how much more than that was earned: None where nobody knows. `values` and `gains` are
    the same two in units, for the intervals.
    """

    model: str | None
    version: int | None
    shadow: bool
    answered: int  # rows it answered, or watched
    matured: int  # of these, rows whose value is known
    value_micros: int
    fallback_micros: int | None
    gain_micros: int | None
    cpu_ns: int  # over all rows, matured or not: it was spent
    values: Sums
    gains: Sums


@dataclass(frozen=True, slots=True)
class Line:
    """One version's line. `low` and `high` bound the net of the matured rows, and hold however often they are read."""

    model: str | None
    version: int | None
    shadow: bool
    answered: int
    matured: int
    value: Money
    cost: Money
    net: Money
    low: Money | None
    high: Money | None
    fallback: Money | None  # what the fallback would have earned on the matured rows
    against_fallback: Money | None  # how much more was earned than that, compute included
    against_low: Money | None
    against_high: Money | None

    @property
    def in_flight(self) -> int:
        """Rows whose outcome is not known yet."""
        return self.answered - self.matured


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over lines of one kind."""

    answered: int
    matured: int
    value: Money
    cost: Money
    net: Money


@dataclass(frozen=True, slots=True)
class Statement:
    """`realised`: who answered; `counterfactual`: who watched, each alone; `bill`: the compute of both, exactly."""

    currency: str
    realised: tuple[Line, ...]
    counterfactual: tuple[Line, ...]
    total: Total  # of the realised lines only
    shadow_cost: Money
    bill: Money
    assumptions: tuple[str, ...] = field(default=())


def statement(tallies: Sequence[Tally], prices: Prices, currency: str) -> Statement:
    """The lines of these tallies in their order; costs are split so that they add up to the bill to the micro."""
    costs = [Money(cost, currency) for cost in book([tally.cpu_ns for tally in tallies], prices)]
    lines = [_line(tally, cost) for tally, cost in zip(tallies, costs, strict=True)]
    realised = tuple(line for line in lines if not line.shadow)
    watched = tuple(line for line in lines if line.shadow)
    return Statement(
        currency,
        realised,
        watched,
        _total(realised, currency),
        _sum((line.cost for line in watched), currency),
        _sum(costs, currency),
        (prices.words(currency),),
    )


def _line(tally: Tally, cost: Money) -> Line:
    value = Money(tally.value_micros, cost.currency)
    low, high = _bounds(tally.values, cost)
    against, against_low, against_high = _against(tally, cost)
    return Line(
        tally.model,
        tally.version,
        tally.shadow,
        tally.answered,
        tally.matured,
        value,
        cost,
        value - cost,
        low,
        high,
        None if tally.fallback_micros is None else Money(tally.fallback_micros, cost.currency),
        against,
        against_low,
        against_high,
    )


def _against(tally: Tally, cost: Money) -> tuple[Money | None, Money | None, Money | None]:
    if tally.gain_micros is None:
        return None, None, None
    return replace(cost, micros=tally.gain_micros - cost.micros), *_bounds(tally.gains, cost)


def _bounds(sums: Sums, cost: Money) -> tuple[Money | None, Money | None]:
    """The interval of the mean, times the rows, minus the cost: the same affine map as the net itself."""
    mean: Interval | None = interval(sums)
    if mean is None:
        return None, None
    return _amount(sums.n * mean.low, cost), _amount(sums.n * mean.high, cost)


def _amount(units: float, cost: Money) -> Money:
    return replace(cost, micros=round(units * MICROS) - cost.micros)


def _total(lines: Sequence[Line], currency: str) -> Total:
    return Total(
        sum(line.answered for line in lines),
        sum(line.matured for line in lines),
        _sum((line.value for line in lines), currency),
        _sum((line.cost for line in lines), currency),
        _sum((line.net for line in lines), currency),
    )


def _sum(amounts: Iterable[Money], currency: str) -> Money:
    return sum(amounts, Money(0, currency))
