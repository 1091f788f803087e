"""CPU time to money: whole micros whose parts add up to the whole, whatever the rounding."""

from collections.abc import Sequence

from payoff.ledger.prices import HOUR_NS, Prices
from payoff.money import price_micros


def bill(cpu_ns: int, prices: Prices) -> int:
    """Whole micros for this much CPU time, half to even."""
    return price_micros(cpu_ns, prices.cpu_core_hour_micros, HOUR_NS)


def book(cpu_ns: Sequence[int], prices: Prices) -> list[int]:
    """The bill for all of them together, in whole micros, split over them by the time each took."""
    return split(bill(sum(cpu_ns), prices), cpu_ns)


def split(whole: int, weights: Sequence[int]) -> list[int]:
    """`whole` as whole parts in proportion to the weights: each within one of its exact share, together exact.

    Largest remainder: everybody gets the share rounded down, and what is left goes one by one to the largest fractions,
    the first of equals first. All of it goes to the first if no weight is above 0. ValueError for a negative number or
    for money without anybody to book it to.
    """
    if whole < 0 or any(weight < 0 for weight in weights):
        raise ValueError(f"cannot split {whole} by {list(weights)[:10]}: shares are of 0 or more")
    if not weights:
        if whole:
            raise ValueError(f"{whole} micros and nobody to book them to")
        return []
    total = sum(weights)
    if not total:
        return [whole] + [0] * (len(weights) - 1)
    parts = [whole * weight // total for weight in weights]
    fractions = [whole * weight % total for weight in weights]
    for place in sorted(range(len(weights)), key=lambda i: -fractions[i])[: whole - sum(parts)]:
        parts[place] += 1
    return parts
