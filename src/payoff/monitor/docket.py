"""The cases of one endpoint: matured rows go in once, in the order of the decisions; verdicts come out.

Everything here is derived: a new docket that is given the same rows comes to the same verdicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from payoff.experiment.verdict import BEATS, Case, Question, Rows, judge
from payoff.ledger.prices import HOUR_NS, Prices
from payoff.money import MICROS
from payoff.monitor.lives import Brief

Floats = NDArray[np.float64]
compute: Any = pyarrow.compute


@dataclass(frozen=True, slots=True)
class Matured:
    """Matured rows in the order of their ids, arrays of shape (n,); a version's answer and its shadows share an id.

    `worth` and `fallback` are what the decision was worth and what the fallback's would have been, in units, NaN where
    not known; `cost` the compute, in units.
    """

    ids: NDArray[Any]
    revision: NDArray[np.int64]
    arm: NDArray[Any]  # "model v2" of who answered or watched; "" for the fallback
    worth: Floats
    fallback: Floats
    cost: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Any) -> "Matured":
        """The rows that a slice or a mask picks."""
        return Matured(
            self.ids[index],
            self.revision[index],
            self.arm[index],
            self.worth[index],
            self.fallback[index],
            self.cost[index],
        )


def matured(table: pa.Table, revision: NDArray[np.int64], prices: Prices) -> Matured:
    """The journal's matured rows as arrays: id, model, version, value, baseline, cpu_ns; and their revisions."""
    version = compute.cast(table["version"], pa.string())
    names = compute.fill_null(compute.binary_join_element_wise(table["model"], version, " v"), "")
    per_ns = prices.cpu_core_hour_micros / HOUR_NS / MICROS
    return Matured(
        _objects(table["id"]),
        revision,
        _objects(names),
        _floats(table, "value"),
        _floats(table, "baseline"),
        _floats(table, "cpu_ns") * per_ns,
    )


def _objects(column: Any) -> NDArray[Any]:
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def _floats(table: pa.Table, name: str) -> Floats:
    column = table.column(name).cast(pa.float64())
    found: Floats = column.to_numpy(zero_copy_only=False)
    return found


@dataclass(slots=True)
class Docket:
    """All questions about one endpoint. `through` is the last prediction id that was judged."""

    through: str | None = None
    briefs: list[Brief] = field(default_factory=list)
    cases: dict[tuple[Question, int], Case] = field(default_factory=dict)

    def ask(self, briefs: Sequence[Brief]) -> None:
        """What is asked from now on. Cases of questions nobody asks any more are kept: they may be asked again."""
        self.briefs = list(briefs)
        for brief in briefs:
            self.cases.setdefault((brief.question, brief.since), Case(brief.question))

    def hear(self, rows: Matured) -> None:
        """Judge rows that come after all judged before."""
        if not len(rows):
            return
        for brief in self.briefs:
            key = brief.question, brief.since
            self.cases[key] = judge(self.cases[key], told(brief, rows))
        self.through = str(rows.ids[-1])

    def case(self, brief: Brief) -> Case:
        """How the case of this brief stands."""
        return self.cases[brief.question, brief.since]


def told(brief: Brief, rows: Matured) -> Rows:
    """What these rows say about a question: the difference in money on each prediction it is about."""
    counts = rows.revision >= brief.since
    if brief.until is not None:
        counts &= rows.revision < brief.until
    own = rows.take(counts & (rows.arm == brief.question.name))
    if brief.question.kind == BEATS:
        return _paired(own, rows.take(counts & (rows.arm == brief.question.against)))
    swing = own.worth - own.fallback if brief.question.against == "fallback" else own.worth
    return Rows(own.ids, swing - own.cost, swing)


def _paired(challenger: Matured, champion: Matured) -> Rows:
    """Predictions that both were asked for, whoever answered."""
    ids, mine, theirs = np.intersect1d(challenger.ids, champion.ids, assume_unique=True, return_indices=True)
    one, other = challenger.take(mine), champion.take(theirs)
    swing = one.worth - other.worth
    return Rows(ids, swing - (one.cost - other.cost), swing)
