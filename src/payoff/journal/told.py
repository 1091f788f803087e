"""What counts of all that was told about predictions, as SQL: of each part the last word, and the parts together.

An outcome may come in parts (instalments, a refund): each is told under a name of its own, rows without one are a part
too. What is told again under a name replaces what was told under it before, whole; the money of the parts adds up, and
the truth is that of the last part that has any.
"""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

import pyarrow as pa

from payoff.journal import scan, shape
from payoff.journal.snapshot import Relation

_WHOLE = "id, prediction_id, time, endpoint, outcome, value, coalesce(happened, time) AS happened, 1 AS parts"
_READ = "id, prediction_id, time, endpoint, outcome, value, happened, part"
_MICROS = "CAST(round_even(value * 1e6, 0) AS HUGEINT)"  # whole before they are added: no sum of floats
# when a prediction was made, from its id; see payoff.journal.ids.time_us
_PREDICTED_US = """(CAST('0x' || substr(prediction_id, 1, 8) || substr(prediction_id, 10, 4) AS BIGINT) * 1000
    + CAST('0x' || substr(prediction_id, 16, 3) AS BIGINT) * 1000 // 4096)"""


def join(
    outcomes: Relation | None, declared: scan.Declared, low: str = "", high: str = "~", within_us: int | None = None
) -> str:
    """SQL for what counts of the predictions between two ids: prediction_id, outcome, outcome_value, told, late.

    With `within_us` only what happened so soon after the prediction counts; `told` says whether anything did and `late`
    whether something came too late. Without it everything counts.
    """
    seen = _seen(outcomes, declared)
    where = f"prediction_id > {shape.literal(low)} AND prediction_id < {shape.literal(high)}"
    every = " UNION ALL ".join(f"SELECT {_READ} FROM {item} WHERE {where}" for item in items(outcomes, seen, low, high))
    words = f"words AS NOT MATERIALIZED ({every})"
    counted = "SELECT prediction_id, outcome, value AS outcome_value"
    if within_us is None:
        return f"WITH {words} {counted}, true AS told, false AS late FROM ({last('words', seen)})"
    soon = f"epoch_us(coalesce(happened, time)) <= {_PREDICTED_US} + {within_us}"
    return f"""WITH {words}, soon AS NOT MATERIALIZED (FROM words WHERE {soon})
        SELECT coalesce(o.prediction_id, l.prediction_id) AS prediction_id, o.outcome, o.outcome_value,
        o.prediction_id IS NOT NULL AS told, l.prediction_id IS NOT NULL AS late
        FROM ({counted} FROM ({last("soon", seen)})) AS o
        FULL JOIN (SELECT DISTINCT prediction_id FROM words WHERE NOT ({soon})) AS l
        ON l.prediction_id = o.prediction_id"""


def last(item: str, seen: scan.View) -> str:
    """SQL for what counts among the rows of a FROM item, one row per prediction.

    Columns: id and time of the last word, prediction_id, endpoint, outcome, value, happened (the latest, or when it was
    told), parts (how many). Predictions whose outcome has no named part take the quick way: most have none.
    """
    parted = f"(SELECT DISTINCT prediction_id FROM {item} WHERE part IS NOT NULL) AS parted USING (prediction_id)"
    newest = "QUALIFY row_number() OVER (PARTITION BY prediction_id{} ORDER BY id DESC) = 1"
    return f"""SELECT {_WHOLE} FROM {item} ANTI JOIN {parted} {newest.format("")}
        UNION ALL SELECT max(id), prediction_id, max(time), any_value(endpoint),
        arg_max(outcome, id) FILTER ({_truthful(seen["outcome"])}), CAST(sum({_MICROS}) AS DOUBLE) / 1e6,
        max(coalesce(happened, time)), count(*)
        FROM (SELECT * FROM {item} SEMI JOIN {parted} {newest.format(", part")}) GROUP BY prediction_id"""


def items(outcomes: Relation | None, seen: scan.View, low: str = "", high: str = "~") -> list[str]:
    """FROM items with the outcomes of predictions between two ids, and maybe others."""
    files = [file for file in outcomes.files if file.key_high > low and file.key_low < high] if outcomes else []
    return scan.branches(outcomes, seen, scan.fresh_name(outcomes.kind) if outcomes else "", files)


def after(outcomes: Relation | None, declared: scan.Declared, low: str) -> str:
    """SQL for how many predictions after an id something was told about."""
    where = f"WHERE prediction_id > {shape.literal(low)}"
    found = items(outcomes, _seen(outcomes, declared), low)
    each = " UNION ALL ".join(f"SELECT prediction_id FROM {item} {where}" for item in found)
    return f"SELECT count(DISTINCT prediction_id) FROM ({each})"


def _seen(outcomes: Relation | None, declared: scan.Declared) -> scan.View:
    return scan.view([outcomes] if outcomes else [], "outcomes", declared)


def _truthful(kind: pa.DataType) -> str:
    """Whether a row has any truth."""
    if not pa.types.is_struct(kind):
        return "outcome IS NOT NULL"
    return " OR ".join(f"outcome.{shape.quoted(field.name)} IS NOT NULL" for field in shape.children(kind)) or "false"
