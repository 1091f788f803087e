"""What code written by people returns (arrays, series, frames, dictionaries, lists of them), as columns by name."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from .answers import plain
from .frames import TYPES, Pair

PREDICTION = "prediction"
NUMBERS = (*(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "float32", "float64")
_TAKEN = "taken are an array, a Series, a DataFrame, a dict of columns, or a list with one value or one dict per row"


def columns_of(answer: Any, rows: int, inputs: Collection[str] = ()) -> dict[str, Pair]:
    """The columns of an answer to `rows` rows; ValueError for anything that is not one value per row and column.

    A Series that was made of an input has its name, which says nothing of the answer: it is the prediction.
    """
    if hasattr(answer, "iloc") and answer.ndim == 1 and answer.name in inputs:
        answer = answer.rename(None)
    return {name: _column(name, values, rows) for name, values in _named(answer, rows).items()}


def row_by_row(answers: Sequence[Any]) -> dict[str, Pair]:
    """The columns of answers that came one row at a time."""
    return columns_of(list(answers), len(answers))


def cast(column: Pair, type_name: str | None) -> Pair:
    """The column as the type that a hint promised, whatever came by chance: whole numbers only, or nothing at all."""
    values, valid = column
    if type_name in NUMBERS and values.dtype.kind in "biuf":
        return values.astype(type_name), valid
    if type_name in TYPES and type_name not in NUMBERS and values.dtype.kind == "f" and np.isnan(values).all():
        empty = np.full(len(values), "", object) if type_name == "text" else np.zeros(len(values), TYPES[type_name])
        return empty, np.zeros(len(values), bool)
    return column


def record_of(value: Any) -> Mapping[str, Any] | None:
    """The fields of a dictionary, dataclass, named tuple or pydantic model; None for anything else."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if hasattr(value, "model_dump"):
        return dict(value.model_dump())
    return None


def _named(answer: Any, rows: int) -> dict[str, Any]:
    record = record_of(answer)
    if record is not None:
        return {str(name): values for name, values in record.items()}
    if hasattr(answer, "iloc") or hasattr(answer, "to_pandas"):
        return _from_frame(answer)
    if isinstance(answer, np.ndarray) and answer.ndim > 0:
        return _from_array(answer)
    if isinstance(answer, list):
        return _from_list(answer, rows)
    if hasattr(answer, "__array__") and np.ndim(answer) > 0:
        return _from_array(np.asarray(answer))
    what = "nothing (None)" if answer is None else f"a single {type(answer).__name__}"
    raise ValueError(f"predict answered {what} to {rows} rows; {_TAKEN}")


def _from_frame(answer: Any) -> dict[str, Any]:
    """A DataFrame or Series, of pandas or of Polars."""
    if hasattr(answer, "to_pandas"):
        answer = answer.to_pandas()
    if answer.ndim == 1:
        return {PREDICTION if answer.name is None else str(answer.name): answer}
    if list(answer.columns) == list(range(len(answer.columns))):  # an array that was made a frame
        return _from_array(answer.to_numpy())
    names = [str(name) for name in answer.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"predict answered a frame in which names occur twice: {', '.join(names)}")
    return {name: answer.iloc[:, at] for at, name in enumerate(names)}


def _from_array(answer: Any) -> dict[str, Any]:
    if answer.dtype.names:
        return {name: answer[name] for name in answer.dtype.names}
    return {PREDICTION: answer[:, 0] if answer.ndim == 2 and answer.shape[1] == 1 else answer}


def _from_list(answer: list[Any], rows: int) -> dict[str, Any]:
    records = [record_of(value) for value in answer]
    if not records or all(record is None for record in records):
        return {PREDICTION: answer}
    if any(record is None for record in records):
        raise ValueError("predict answered a list in which some rows are dicts and some are not")
    if len(records) != rows:
        raise ValueError(f"predict got {rows} rows and answered {len(records)}; one answer per row is expected")
    names: dict[Any, None] = {}
    for record in records:
        names.update(dict.fromkeys(record or ()))
    return {str(name): [(record or {}).get(name) for record in records] for name in names}


def _column(name: str, values: Any, rows: int) -> Pair:
    if hasattr(values, "iloc"):
        values = _from_series(values)
    if not isinstance(values, (list, tuple)) and np.ndim(values) == 0:
        raise ValueError(f"predict answered a single value in {name!r}; {rows} are expected, one per row")
    if len(values) != rows:
        raise ValueError(f"predict got {rows} rows and answered {len(values)} in {name!r}; one per row is expected")
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OS":
        return _plain(name, values)
    return _objects(name, list(values))


def _plain(name: str, values: Any) -> Pair:
    kept, nulls = plain(name, values)
    return kept, None if nulls is None or not nulls.any() else ~nulls


def _from_series(series: Any) -> Any:
    """A pandas Series as an array; what pandas keeps in its own way (categories, nullable types) as objects."""
    if isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    if getattr(series.dtype, "tz", None) is not None:
        return series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    return np.array([None if gap else value for value, gap in zip(series.astype(object), series.isna())], object)


def _objects(name: str, values: list[Any]) -> Pair:
    """Single objects, of which those that are not missing say the type."""
    values = [value.value if isinstance(value, enum.Enum) else value for value in values]
    valid = np.array([not _missing(value) for value in values], bool)
    known = [value for value, there in zip(values, valid) if there]
    if not known:
        return np.full(len(values), np.nan), None
    if isinstance(known[0], (list, tuple, np.ndarray)):
        return _stacked(name, values, valid)
    made = _of_one_type(name, known)
    if valid.all():
        return made, None
    filled = np.full(len(values), "", object) if made.dtype.kind == "O" else np.zeros(len(values), made.dtype)
    filled[valid] = made
    return filled, valid


def _missing(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT: all that is not equal to itself."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, np.datetime64)) and bool(value != value)


def _stacked(name: str, values: list[Any], valid: Any) -> Pair:
    if not valid.all():
        raise ValueError(f"predict answered lists in {name!r}, and none in row {int(np.argmin(valid))}")
    try:
        stacked = np.array(values)
    except ValueError:  # rows of different lengths
        stacked = np.array(None)
    if stacked.ndim < 2 or stacked.dtype.kind == "O":
        raise ValueError(f"predict answered lists of different lengths in {name!r}; every row must have the same shape")
    if stacked.dtype.kind in "US":
        raise ValueError(f"predict answered lists of text in {name!r}; give each its own name")
    return _plain(name, stacked)


def _of_one_type(name: str, known: list[Any]) -> Any:
    if all(isinstance(value, (str, bytes)) for value in known):
        texts = np.empty(len(known), object)
        texts[:] = [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in known]
        return texts
    if all(isinstance(value, (bool, np.bool_)) for value in known):
        return np.array(known, bool)
    if all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in known):
        return _whole(name, known)
    if all(isinstance(value, (int, float, np.number, decimal.Decimal)) for value in known):
        return np.array([float(value) for value in known])
    if all(isinstance(value, (datetime.date, np.datetime64)) for value in known):
        return _moments(known)
    kinds = sorted({type(value).__name__ for value in known})
    raise ValueError(f"predict answered {' and '.join(kinds)} in {name!r}; taken are numbers, text, yes and no, dates")


def _whole(name: str, known: list[Any]) -> Any:
    try:
        return np.array([int(value) for value in known], np.int64)
    except OverflowError as error:
        raise ValueError(f"predict answered a whole number in {name!r} that 64 bits do not hold") from error


def _moments(known: list[Any]) -> Any:
    """Dates as days, moments as UTC microseconds."""
    if all(isinstance(value, datetime.date) and not isinstance(value, datetime.datetime) for value in known):
        return np.array(known, "datetime64[D]")
    return np.array([_in_utc(value) for value in known], "datetime64[us]")


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value
