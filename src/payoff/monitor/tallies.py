"""The journal's sums as the ledger's tallies."""

from payoff.journal import statement as sums
from payoff.ledger.statement import Tally
from payoff.money import MICROS
from payoff.stats.intervals import Sums


def tally(line: sums.Line, fallback_known: bool) -> Tally:
    """One line of sums as a tally."""
    own = line.version is not None
    return Tally(
        model=line.model if own else None,
        version=line.version,
        shadow=line.shadow,
        answered=line.answered,
        matured=line.valued,
        value_micros=line.value_micros,
        fallback_micros=line.baseline_micros if fallback_known else None,
        gain_micros=_gain(line) if fallback_known else None,
        cpu_ns=line.cpu_ns,
        values=Sums(line.valued, line.value_micros / MICROS, line.value_squares),
        gains=Sums(line.compared, line.difference_micros / MICROS, line.difference_squares),
    )


def _gain(line: sums.Line) -> int:
    """Value minus the fallback's, to the micro where every row has both; rows that lack one are left out."""
    if line.compared == line.valued == line.baselined:
        return line.value_micros - line.baseline_micros
    return line.difference_micros
