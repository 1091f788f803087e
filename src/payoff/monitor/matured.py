"""The journal's matured rows as arrays, each with the side it came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from payoff.ledger.prices import HOUR_NS, Prices
from payoff.money import MICROS
from payoff.records.endpoint import Revision

HOLDOUT = "holdout"
EXPLORE = "explore"
INSTEAD = ("failed", "rule")  # the fallback answered what was an arm's
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
compute: Any = pyarrow.compute


@dataclass(frozen=True, slots=True)
class Matured:
    """Matured rows in the order of their ids, arrays of shape (n,); a version's answer and its shadows share an id.

    `arm` is "model v2" of who answered or watched, "" for the fallback; `side` the same with "holdout" for the hold-out
    and, where the fallback answered because a model failed or a rule was broken, the version whose row it was. `worth`
    and `fallback` are what the decision was worth and what the fallback's would have been, in units, NaN where not
    known; `cost` the compute and fees, in units. `explored`: decided at random.
    """

    ids: NDArray[Any]
    revision: NDArray[np.int64]
    arm: NDArray[Any]
    worth: Floats
    fallback: Floats
    cost: Floats
    side: NDArray[Any]
    shadow: Flags
    explored: Flags
    failed: Flags
    violated: Flags
    latency_us: NDArray[np.int64]
    time_us: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Any) -> "Matured":
        """The rows that a slice or a mask picks."""
        return Matured(*(getattr(self, field.name)[index] for field in fields(self)))


def matured(table: pa.Table, past: Sequence[Revision], prices: Prices) -> Matured:
    """The journal's matured rows under an endpoint's revisions; see payoff.journal.matured for the columns."""
    version = compute.cast(table["version"], pa.string())
    arm = _objects(compute.fill_null(compute.binary_join_element_wise(table["model"], version, " v"), ""))
    choice, revision = _objects(table["choice"]), np.asarray(table["revision"].to_numpy(), np.int64)
    per_ns = prices.cpu_core_hour_micros / HOUR_NS / MICROS
    return Matured(
        ids=_objects(table["id"]),
        revision=revision,
        arm=arm,
        worth=_floats(table, "value"),
        fallback=_floats(table, "baseline"),
        cost=_floats(table, "cpu_ns") * per_ns + np.nan_to_num(_floats(table, "fee")),
        side=_sides(arm, choice, revision, _objects(table["instead_of"]), names(past)),
        shadow=_flags(table, "shadow"),
        explored=choice == EXPLORE,
        failed=choice == "failed",
        violated=_flags(table, "violated"),
        latency_us=np.asarray(table["latency_us"].to_numpy(), np.int64),
        time_us=np.asarray(compute.cast(table["time"], pa.int64()).to_numpy(), np.int64),
    )


def names(past: Sequence[Revision]) -> dict[tuple[int, str], str]:
    """Which version was which arm: (revision, arm's name) -> "model v2"."""
    return {(revision.number, arm.name): f"{arm.model} v{arm.version}" for revision in past for arm in revision.arms}


def _sides(
    arm: NDArray[Any],
    choice: NDArray[Any],
    revision: NDArray[np.int64],
    instead: NDArray[Any],
    named: Mapping[tuple[int, str], str],
) -> NDArray[Any]:
    side = arm.copy()
    side[choice == HOLDOUT] = HOLDOUT
    for row in np.flatnonzero((choice == INSTEAD[0]) | (choice == INSTEAD[1])):
        side[row] = named.get((int(revision[row]), str(instead[row])), "")
    return side


def _objects(column: Any) -> NDArray[Any]:
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def _flags(table: pa.Table, name: str) -> Flags:
    found: Flags = np.asarray(compute.fill_null(table[name], False).to_numpy(zero_copy_only=False), np.bool_)
    return found


def _floats(table: pa.Table, name: str) -> Floats:
    column = table.column(name).cast(pa.float64())
    found: Floats = column.to_numpy(zero_copy_only=False)
    return found
