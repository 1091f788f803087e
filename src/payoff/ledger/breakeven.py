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

    A version that earns less a day does not pay for staying loaded. Hours in which nobody metered are left out.
    """
    micros: dict[Payer, int] = {}
    up_us: dict[Payer, int] = {}
    for entry in entries:
        if entry.up_us:
            micros[entry.payer] = micros.get(entry.payer, 0) + entry.cost.total
            up_us[entry.payer] = up_us.get(entry.payer, 0) + entry.up_us
    return {payer: round(Fraction(total * DAY_US, up_us[payer])) for payer, total in micros.items()}
