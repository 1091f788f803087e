"""Traffic that was: rows as they were asked, when, and when which outcome of them was known."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from payoff.client.client import Client
from payoff.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

INCIDENT_LEAST = 20  # rows of an incident that is replayed
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


def read(
    client: Client, endpoint: str, rows: int, against: str, before_id: str | None = None, window_us: int | None = None
) -> Traffic:
    """The last rows of an endpoint, or those before an id, whose worth is known.

    With `window_us` they are known so long after the prediction, outcome or not; else with their outcome. BadInput if
    there are too few to drill with.
    """
    worth = {one["prediction_id"]: one for one in _worth(client, endpoint, rows, before_id)}
    found = _asked(client, endpoint, sorted(worth), window_us)
    least = LEAST if before_id is None else INCIDENT_LEAST
    if found is None or found.num_rows < least:
        raise BadInput(
            f"{endpoint} has {found.num_rows if found else 0:,} recorded predictions of its own whose outcome and value"
            f" are known; a drill needs {least} to know what good looks like: send outcomes first, and say what a "
            "decision is worth; decisions after one whose outcome is missing wait for it, outcome_window at most"
        )
    own = [worth[each] for each in found["id"].to_pylist()]
    made, heard = (np.asarray(found[name], np.int64) for name in ("made_us", "known_us"))
    known = heard if window_us is None else made + window_us
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


def _asked(client: Client, endpoint: str, ids: list[str], window_us: int | None) -> "pa.Table | None":
    """What was asked and told of these predictions, as far as a model decided them itself."""
    if not ids:
        return None
    join = "join" if window_us is None else "left join"
    name = endpoint.replace('"', '""')
    found: pa.Table = client.sql_arrow(
        f"""
        select p.id, epoch_us(p.time) as made_us, coalesce(epoch_us(o.time), 0) as known_us, p.inputs, o.outcome
          from "{name}".predictions p {join} "{name}".outcomes o on o.prediction_id = p.id
         where p.id between '{ids[0]}' and '{ids[-1]}' and p.version is not null and coalesce(p.choice, '') = ''
         order by p.id desc""",  # noqa: S608 - ids are our own, the name is quoted
        len(ids),
    )
    kept = np.isin(np.array(found["id"].to_pylist(), dtype=str), ids)
    return found.take(np.flatnonzero(kept)[::-1])


def _baseline(own: list[Row], against: str) -> NDArray[np.float64]:
    """What the guard compares with, row by row."""
    if against == "fallback":
        return np.array([np.nan if one["fallback"] is None else one["fallback"] for one in own])
    return np.zeros(len(own))
