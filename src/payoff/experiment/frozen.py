"""What a verdict rested on, frozen: its rows as Parquet and its settings as plain numbers, to compute it again from.

Years later the two are enough: no journal, no endpoint, no database. What the arithmetic itself is made of (stakes, the
rules of the learned cap) stands in the settings too, so that a payoff which bets otherwise says so instead of answering
something else.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from payoff.errors import BadInput, Conflict
from payoff.experiment.verdict import LOOKED_EVERY, Case, Question, Rows, follow, under
from payoff.stats.betting import STAKES
from payoff.stats.bounded import STAKE_MAX, TUNED
from payoff.stats.caps import BURN_IN, FACTOR, PATIENCE, RATIO
from payoff.stats.intervals import LEAST
from payoff.stats.ranges import BLOCK
from payoff.stats.ranges import BURN_IN as BLOCKS_BURN_IN
from payoff.stats.ranges import FACTOR as BLOCKS_FACTOR
from payoff.stats.ranges import PATIENCE as BLOCKS_PATIENCE
from payoff.stats.ranges import RATIO as BLOCKS_RATIO

_PARQUET: Any = pq
_ARITHMETIC: dict[str, Any] = {
    "stakes": list(STAKES),
    "cap": [FACTOR, RATIO, PATIENCE, BURN_IN],
    "interval": [TUNED, STAKE_MAX],
    "range": [BLOCK, BLOCKS_FACTOR, BLOCKS_RATIO, BLOCKS_PATIENCE, BLOCKS_BURN_IN],
    "least": LEAST,
    "looked_every": LOOKED_EVERY,
}


def settings(case: Case) -> dict[str, Any]:
    """Everything but the rows that the verdict was computed from."""
    return {**asdict(case.question), "error": case.error, "false_stop_every": case.every, "arithmetic": _ARITHMETIC}


def pack(rows: Rows) -> bytes:
    """The rows as a Parquet file: id, money, swing, and of a randomised question weight and scale."""
    columns: dict[str, Any] = {"id": pa.array(rows.ids, pa.string()), "money": rows.money, "swing": rows.swing}
    if rows.weight is not None:
        columns |= {"weight": rows.weight, "scale": rows.scale}
    file = io.BytesIO()
    _PARQUET.write_table(pa.table(columns), file, compression="zstd")
    return file.getvalue()


def unpack(blob: bytes) -> Rows:
    """The rows of such a file. BadInput if it is none."""
    try:
        table = cast(pa.Table, _PARQUET.read_table(io.BytesIO(blob)))
        ids = table["id"].to_numpy()
        numbers = {name: np.asarray(table[name], np.float64) for name in table.column_names if name != "id"}
        return Rows(ids, numbers["money"], numbers["swing"], numbers.get("weight"), numbers.get("scale"))
    except (pa.ArrowInvalid, KeyError) as error:
        raise BadInput(f"these are no rows of a verdict: {error}; expected Parquet with id, money, swing") from error


def again(said: Mapping[str, Any], rows: Rows) -> Case:
    """The case computed from nothing but its settings and rows. Conflict if this payoff computes otherwise."""
    if said["arithmetic"] != _ARITHMETIC:
        changed = [name for name, value in _ARITHMETIC.items() if said["arithmetic"].get(name) != value]
        raise Conflict(
            f"this version of payoff computes verdicts otherwise ({', '.join(changed)} changed); compute this one "
            "again with the version that is recorded beside it"
        )
    names = Question.__dataclass_fields__
    question = Question(**{name: said[name] for name in names if name in said})
    return under(follow(Case(question), rows), said["error"], said["false_stop_every"])
