"""What a version must earn to be worth having: its cost per thousand predictions, and its cost a day."""

from collections.abc import Iterable
from fractions import Fraction

from payoff.ledger.bill import HOUR_US, Cost, Entry, Payer, Use

DAY_US = 24 * HOUR_US


def thousand_micros(use: Use, cost: Cost) -> int | None:
    """What a thousand predictions cost, with all that is shared; None without predictions."""
    return round(Fraction(1_000 * cost.total, use.predictions)) if use.predictions else None


def day_micros(entries: Iterable[Entry]) -> dict[Payer, int]:
    """What each payer costs in 24 hours of payoff being up, at the pace of these entries.

    A version that earns less a day does not pay for staying loaded. Hours in which nobody metered are left out; fixed
    costs are of whole hours, however long payoff was up in them.
    """
    found: dict[Payer, tuple[Fraction, int]] = {}
    for entry in entries:
        if entry.up_us:
            pace = entry.cost.total - entry.cost.fixed + Fraction(entry.cost.fixed * entry.up_us, HOUR_US)
            micros, up_us = found.get(entry.payer, (Fraction(0), 0))
            found[entry.payer] = micros + pace, up_us + entry.up_us
    return {payer: round(micros * DAY_US / up_us) for payer, (micros, up_us) in found.items()}
