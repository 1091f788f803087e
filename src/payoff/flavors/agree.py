"""Do two sets of answers to the same rows agree, and if not, where do they differ?

Why 1e-4: ONNX's own operators for trees and linear models add up in 32 bits (a relative step of 6e-8) over up to some
thousand terms, which leaves four safe digits of probability or prediction, while a wrong conversion is off by far more.
A label may differ only where its class is within tolerance of being a tie at home.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.records.columns import Column, Columns
from payoff.records.signature import Field


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A number may be off by `absolute` plus `relative` times its size (or the column's typical size, if larger)."""

    absolute: float = 1e-4
    relative: float = 1e-4

    def __str__(self) -> str:
        return f"{self.absolute:g} + {self.relative:g} of the size"


TOLERANCE = Tolerance()


@dataclass(frozen=True, slots=True)
class Difference:
    """One answer that is not as expected; `difference` is None where it is no number."""

    row: int
    output: str
    expected: Any
    got: Any
    difference: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far two sets of answers are apart."""

    differences: tuple[Difference, ...]
    worst: float  # the largest difference of a number, also of those within tolerance
    ties: int  # labels that differ where two classes tie


def compare(fields: Sequence[Field], expected: Columns, got: Columns, tolerance: Tolerance = TOLERANCE) -> Comparison:
    """Compare answers column by column; both hold all of `fields`, with equally many rows."""
    differences: list[Difference] = []
    worst, ties = 0.0, 0
    tied = _tied(expected, tolerance)
    for field in fields:
        want, have = expected[field.name], got[field.name]
        if field.type.is_float:
            gap, allowed = _gaps(want.values, have.values, tolerance)
            worst = max(worst, float(np.max(gap, initial=0.0, where=np.isfinite(gap))))
            off = gap > allowed
        else:
            gap, off = None, _unequal(want, have)
            if field.name == "label" and tied is not None and off.ndim == 1:  # several labels per row do not tie
                ties += int((off & tied).sum())
                off &= ~tied
        off = _with_nulls(off, want, have)
        differences += _differences(field.name, want, have, gap, off)
    return Comparison(tuple(differences), worst, ties)


def _gaps(want: NDArray[Any], have: NDArray[Any], tolerance: Tolerance) -> tuple[NDArray[Any], NDArray[Any]]:
    want, have = np.asarray(want, np.float64), np.asarray(have, np.float64)
    finite = np.isfinite(want)
    typical = float(np.sqrt(np.mean(np.square(want[finite])))) if finite.any() else 0.0
    with np.errstate(invalid="ignore"):
        gap = np.abs(want - have)
    same = (want == have) | (np.isnan(want) & np.isnan(have))
    gap = np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))
    size = np.maximum(np.abs(np.where(finite, want, 0.0)), typical)
    return gap, tolerance.absolute + tolerance.relative * size


def _with_nulls(off: NDArray[Any], want: Column, have: Column) -> NDArray[Any]:
    """Two nulls agree whatever stands there, and a null agrees with nothing else."""
    if want.valid is None and have.valid is None:
        return off
    known, there = (np.ones(len(one), bool) if one.valid is None else one.valid for one in (want, have))
    rows = (slice(None), *(None,) * (off.ndim - 1))
    return np.where((known & there)[rows], off, (known != there)[rows])


def _unequal(want: Column, have: Column) -> NDArray[Any]:
    return np.asarray(want.values != have.values, bool)


def _tied(expected: Columns, tolerance: Tolerance) -> NDArray[Any] | None:
    """Rows whose two best classes are, at home, closer than twice the tolerance; None where there are no scores."""
    reach = 2 * (tolerance.absolute + tolerance.relative)
    if "probability" in expected:
        return np.asarray(np.abs(2 * expected["probability"].values - 1) <= reach)
    if "score" in expected:
        return np.asarray(np.abs(expected["score"].values) <= reach)
    for name in ("probabilities", "scores"):
        if name in expected and expected[name].values.ndim == 2 and expected[name].values.shape[1] > 1:
            best = np.sort(expected[name].values, axis=1)[:, -2:]
            return np.asarray(best[:, 1] - best[:, 0] <= reach)
    return None


def _differences(name: str, want: Column, have: Column, gap: Any, off: NDArray[Any]) -> Iterator[Difference]:
    for row in np.flatnonzero(off.reshape(len(off), -1).any(axis=1)) if len(off) else ():
        expected, got = _shown(want, row), _shown(have, row)
        size = None if gap is None or expected is None or got is None else float(np.max(gap[row]))
        yield Difference(int(row), name, expected, got, size)


def _shown(column: Column, row: Any) -> Any:
    """The value as plain Python; None for a null."""
    value = column.values[row]
    if column.valid is not None and not column.valid[row]:
        return None
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def table(differences: Sequence[Difference], rows_max: int = 5) -> str:
    """The first and largest differences as text, one line each."""
    worst_first = sorted(differences, key=lambda d: -(d.difference if d.difference is not None else np.inf))
    lines = [("row", "output", "expected", "got", "difference")]
    lines += [
        (str(d.row), d.output, _short(d.expected), _short(d.got), "" if d.difference is None else f"{d.difference:.3g}")
        for d in worst_first[:rows_max]
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    more = len(differences) - rows_max
    return "\n".join([*text, f"and {more} more"] if more > 0 else text)


def _short(value: Any) -> str:
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
