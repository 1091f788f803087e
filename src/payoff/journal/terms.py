"""On which terms predictions are valued: the SQL of their worth, and when that is settled."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from collections.abc import Mapping
from dataclasses import dataclass, field

from payoff.journal import ids
from payoff.journal.scan import Declared
from payoff.money import MICROS, MICROS_MAX
from payoff.records.endpoint import Matures

# NaN is greater than every number here, and what is null is not looked at
_BEYOND = f"coalesce(greatest(abs(value), abs(baseline), abs(fee)) > CAST({MICROS_MAX / MICROS!r} AS DOUBLE), false)"
_NOTHING: Mapping[str, tuple[()]] = {}


@dataclass(frozen=True, slots=True)
class Terms:
    """SQL texts over inputs, outputs, decision, shadow, outcome and outcome_value (money sent along), of type double.

    `value` is what a prediction was worth, `baseline` what its alternative would have been, `fee` what others asked for
    it, `covariate` what was known before. `window_s` is how long a missing outcome holds back those after it or, where
    predictions mature with their window, how long what happens counts; None: everything is settled, and all counts.
    """

    value: str = "outcome_value"
    baseline: str = "NULL"
    fee: str = "0"
    covariate: str = "NULL"
    declared: Declared = field(default_factory=lambda: _NOTHING)
    matures: Matures = Matures.OUTCOME
    window_s: float | None = None
    now_us: int = 0

    @property
    def within_us(self) -> int | None:
        """How soon after the prediction something must have happened to count; None: it always does."""
        if self.matures is not Matures.WINDOW or self.window_s is None:
            return None
        return int(self.window_s * 1e6)

    @property
    def young(self) -> str:
        """The first id whose window has not passed."""
        if self.window_s is None:
            return "~"
        ends = 1 if self.matures is Matures.WINDOW else 0  # what is exactly as old as the window has had all of it
        return ids.floor(self.now_us - int(self.window_s * 1e6) + ends)

    @property
    def worth(self) -> str:
        """A select list: value, baseline and fee of a row."""
        return f"""CAST({self.value} AS DOUBLE) AS value, CAST({self.baseline} AS DOUBLE) AS baseline,
            coalesce(CAST({self.fee} AS DOUBLE), 0) AS fee"""


def amounts(item: str) -> str:
    """SQL for the rows of a FROM item, with value and baseline null, and `beyond` true, where one of them is no money.

    No money is what is not finite or has more micros than are counted exactly: one such row would drown all others.
    """
    return f"""SELECT * REPLACE (if(beyond, NULL, value) AS value, if(beyond, NULL, baseline) AS baseline,
        if(beyond, 0, fee) AS fee) FROM (SELECT *, {_BEYOND} AS beyond FROM {item})"""
