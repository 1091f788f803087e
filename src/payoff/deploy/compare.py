"""Two versions side by side: what they take and give, what they are made of, and their answers to the same rows."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.deploy import trial
from payoff.errors import BadInput, Busy, PayoffError
from payoff.flavors.agree import Tolerance
from payoff.flavors.fit import conform
from payoff.flavors.rowfile import Rows, read_rows
from payoff.records.columns import Column
from payoff.records.model import Version
from payoff.records.signature import Field
from payoff.store.blobs import Blobs

SAME = Tolerance(1e-9, 1e-6)  # closer than that is the same answer, computed in another order
_WAIT_S_MAX = 300.0
_turn = threading.Lock()  # one comparison at a time: each starts two processes with a model in them
Changes = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Gap:
    """How far one output of two versions is apart over all rows; `largest` and `mean` only where it is numbers."""

    output: str
    rows_differing: int
    largest: float | None
    mean: float | None
    row: int | None = None  # the one that differs most
    before: Any = None
    after: Any = None


def columns(before: Sequence[Field], after: Sequence[Field]) -> Changes:
    """Which columns came, went, or are of another type."""
    old, new = {one.name: one for one in before}, {one.name: one for one in after}
    return {
        "added": [{"name": name, "is": str(one)} for name, one in new.items() if name not in old],
        "gone": [{"name": name, "was": str(one)} for name, one in old.items() if name not in new],
        "changed": [
            {"name": name, "before": str(one), "after": str(new[name])}
            for name, one in old.items() if name in new and str(one) != str(new[name])
        ],
    }  # fmt: skip


def pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two mappings, by name; None where a side does not have it."""
    names = sorted({*before, *after})
    return [
        {"name": name, "before": before.get(name), "after": after.get(name)}
        for name in names if before.get(name) != after.get(name)
    ]  # fmt: skip


def facts(one: Version) -> dict[str, Any]:
    """Where a version comes from and how it runs, flat: what is in mappings by their names with a dot."""
    place = one.served.place
    found: dict[str, Any] = {
        "flavor": one.flavor, "served as": one.served.flavor, "size": one.size_bytes, "author": one.author,
        "golden rows": one.served.golden is not None, "tags": dict(one.tags),
        "bounds": asdict(place.bounds) if place else {}, "options": dict(place.options) if place else {},
        **{name: value for name, value in one.provenance.items() if name not in ("artefact", "lineage")},
        **{f"lineage.{name}": value for name, value in one.provenance.get("lineage", {}).items()},
    }  # fmt: skip
    return {name: value for key, content in found.items() for name, value in _flat(key, content)}


def rows_for(before: Version, after: Version, blobs: Blobs, sample: Rows | None) -> tuple[Rows, str] | None:
    """The rows to ask both, and whose they are: the sample's, else the golden rows of the first, else the second's."""
    if sample is not None:
        return sample, "the sample"
    for one in (before, after):
        if one.served.golden is not None and blobs.has(one.served.golden):
            groups, _ = read_rows(blobs.path(one.served.golden))
            return groups["inputs"], f"the sample rows of {called(one)}"
    return None


def answers(home: Path, before: Version, after: Version, rows: Rows) -> tuple[list[trial.Trial], list[Gap]]:
    """Both versions' answers to the same rows, and how far they are apart.

    BadInput: the rows are not such as both take; ModelFailed: one of them cannot be asked; Busy: another comparison.
    """
    trials = asked(home, [(one, fitting(one, rows)) for one in (before, after)])
    return trials, gaps(trials[0].answers, trials[1].answers)


def asked(home: Path, versions: Sequence[tuple[Version, Rows]]) -> list[trial.Trial]:
    """Each version's answers to rows that fit it, in turn. ModelFailed: one cannot be asked; Busy: others are."""
    if not _turn.acquire(timeout=_WAIT_S_MAX):
        raise Busy("another comparison of versions is running; try again later")
    try:
        return [_tried(home, one, given) for one, given in versions]
    finally:
        _turn.release()


def fitting(version: Version, rows: Rows) -> Rows:
    """The rows as the version takes them; a column they lack is null where it may be."""
    fields = version.served.signature.inputs
    lacking = [one for one in fields if one.name not in rows.columns]
    if needed := [one.name for one in lacking if not one.nullable]:
        raise BadInput(
            f"{called(version)} also takes {', '.join(needed)}, which the rows lack; give rows with --sample"
        )
    empty = {one.name: _nulls(one, len(rows)) for one in lacking}
    try:
        return conform(Rows((*rows.fields, *lacking), {**rows.columns, **empty}), fields)
    except BadInput as error:
        raise BadInput(f"{called(version)} cannot take the rows: {error}") from error


def gaps(before: Rows, after: Rows) -> list[Gap]:
    """Output by output, for those that both give in the same form."""
    return [
        _gap(one.name, before.columns[one.name], after.columns[one.name])
        for one in before.fields
        if one.name in after.columns
        and before.columns[one.name].values.shape == after.columns[one.name].values.shape
    ]  # fmt: skip


def called(one: Version) -> str:
    """For people."""
    return f"{one.model} v{one.number}"


def _tried(home: Path, one: Version, rows: Rows) -> trial.Trial:
    try:
        return trial.run(home, one.served, rows)
    except PayoffError as error:
        raise type(error)(f"{called(one)} cannot be asked: {error}") from error


def _gap(name: str, before: Column, after: Column) -> Gap:
    there, here = _valid(before), _valid(after)
    differs = there != here
    both = there & here
    if before.values.dtype.kind in "iufb" and after.values.dtype.kind in "iufb":
        distance = np.where(both, _distance(before.values, after.values), 0.0)
        size = np.where(both, _widest(np.abs(before.values.astype(float))), 0.0)
        off = differs | (distance > SAME.absolute + SAME.relative * size)
        worst = int(np.argmax(np.where(differs, np.inf, distance))) if len(distance) else None
        counted = distance[both]
        largest, mean = (float(counted.max()), float(counted.mean())) if counted.size else (None, None)
    else:
        off = differs | (both & _widest((before.values != after.values).astype(float)).astype(bool))
        worst, largest, mean = (int(np.argmax(off)) if off.any() else None), None, None
    if worst is None or not off.any():
        return Gap(name, 0, largest, mean)
    return Gap(name, int(off.sum()), largest, mean, worst, _plain(before, worst), _plain(after, worst))


def _distance(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
    """Per row; NaN and infinity are equal to themselves and endlessly far from all else."""
    one, other = before.astype(float), after.astype(float)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        gap = np.abs(one - other)
    return _widest(np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap)))


def _widest(values: NDArray[Any]) -> NDArray[np.float64]:
    """The largest of each row."""
    return np.asarray(values.reshape(len(values), -1).max(axis=1, initial=0.0), float)


def _valid(column: Column) -> NDArray[np.bool_]:
    return np.ones(len(column.values), bool) if column.valid is None else column.valid


def _nulls(field: Field, n: int) -> Column:
    values = np.zeros((n, *field.shape), field.type.dtype)
    return Column(np.full_like(values, "") if values.dtype == object else values, np.zeros(n, bool))


def _plain(column: Column, row: int) -> Any:
    if column.valid is not None and not column.valid[row]:
        return None
    value = column.values[row]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _flat(key: str, content: Any) -> list[tuple[str, Any]]:
    if isinstance(content, Mapping):
        return [(f"{key}.{name}", value) for name, value in content.items()]
    return [(key, content)]
