"""Traffic that was: rows as they were asked, when, and when which outcome of them was known."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from payoff.client.client import Client
from payoff.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

LEAST = 200  # rows with a known worth, before a drill says anything
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Recorded rows in order, n of them. `worth` and `against` are money in units: as decided, and the baseline's."""

    inputs: "pa.Table"
    outcomes: "pa.Table | None"  # truth columns; None if outcomes carry only money
    made_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    worth: NDArray[np.float64]
    against: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.made_us)


def read(client: Client, endpoint: str, rows: int, against: str, before_id: str | None = None) -> Traffic:
    """The last rows of an endpoint, or those before an id, whose outcome and worth are known.

    BadInput if there are too few to drill with.
    """
    worth = {one["prediction_id"]: one for one in _worth(client, endpoint, rows, before_id)}
    found = client.sql_arrow(_sql(endpoint, sorted(worth)), rows) if worth else None
    if found is None or found.num_rows < LEAST:
        raise BadInput(
            f"{endpoint} has {found.num_rows if found else 0:,} recorded predictions of its own whose outcome and value"
            f" are known; a drill needs {LEAST} to know what good looks like: send outcomes first, and say what a "
            "decision is worth"
        )
    own = [worth[each] for each in found["id"].to_pylist()]
    made, known = (np.asarray(found[name], np.int64) for name in ("made_us", "known_us"))
    inputs = columns(found["inputs"])
    assert inputs is not None  # noqa: S101 - every endpoint takes something
    return Traffic(
        inputs=inputs,
        outcomes=columns(found["outcome"]),
        made_us=made,
        known_us=np.maximum(made, known),
        worth=np.array([one["value"] for one in own], np.float64),
        against=_baseline(own, against),
    )


def columns(struct: Any) -> "pa.Table | None":
    """The fields of a column of structs as columns; None if it has none."""
    import pyarrow as pa

    if not pa.types.is_struct(struct.type):
        return None
    flat = struct.combine_chunks().flatten()
    return pa.table(flat, names=[struct.type.field(n).name for n in range(struct.type.num_fields)])


def _worth(client: Client, endpoint: str, rows: int, before_id: str | None) -> list[Row]:
    """What each was worth; only what a model decided itself."""
    told = client.endpoint(endpoint).matured(rows, before_id)
    return [one for one in told if not one["shadow"] and one["side"] and one["value"] is not None]


def _sql(endpoint: str, ids: list[str]) -> str:
    name = endpoint.replace('"', '""')
    least, most = ids[0], ids[-1]
    return f"""
        select p.id, epoch_us(p.time) as made_us, epoch_us(o.time) as known_us, p.inputs, o.outcome, o.value
          from "{name}".predictions p join "{name}".outcomes o on o.prediction_id = p.id
         where p.id between '{least}' and '{most}' and p.version is not null and coalesce(p.choice, '') = ''
         order by p.id"""  # noqa: S608 - ids are our own, the name is quoted


def _baseline(own: list[Row], against: str) -> NDArray[np.float64]:
    """What the guard compares with, row by row."""
    if against == "fallback":
        return np.array([np.nan if one["fallback"] is None else one["fallback"] for one in own])
    return np.zeros(len(own))
