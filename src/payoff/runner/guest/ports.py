"""Columns into the tensors that a network takes, and the tensors that it gives back into columns.

Several inputs take the columns of their names. A single input takes the only column there is, or all columns side by
side, in order, as one row of a matrix. What a network does not say of itself (a TorchScript model knows neither types
nor shapes) the sample says, which payoff hands over as the option "columns".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .frames import TYPES, Pair

PREDICTION = "prediction"
COLUMNS = "columns"  # the option with the columns of the sample
_WORDS = {np.dtype(object): "text"}


class Port(NamedTuple):
    """One input: the dtype and the shape of one row's value, as far as they are known."""

    name: str
    dtype: Any = None  # NumPy's; object for text
    dims: tuple[int | None, ...] | None = None
    is_optional: bool = False  # left out where no column has its name


class Ports:
    """The inputs of one network, and how the columns of a sample go into them."""

    def __init__(self, ports: Sequence[Port], sampled: Sequence[Mapping[str, Any]] | None = None) -> None:
        if not ports:
            raise ValueError("the model takes no input at all, so there is nothing to ask it; save it with its inputs")
        self.ports = tuple(ports)
        self._places = None if sampled is None else self._fit(sampled)

    @property
    def stacked(self) -> bool:
        """Whether all columns go side by side into the only input."""
        return self._places is not None and len(self.ports) == 1 and len(self._places) > 1

    def inputs(self) -> list[dict[str, Any]] | None:
        """The columns for `describe`; None where neither the network nor a sample says them."""
        if self._places is not None:
            return [field for field, _ in self._places]
        wanted = [port for port in self.ports if not port.is_optional]
        if any(port.dtype is None or port.dims is None or None in port.dims for port in wanted):
            return None
        return [_field(port.name, port.dtype, () if port.dims == (1,) else port.dims or ()) for port in wanted]

    def tensors(self, columns: Mapping[str, Pair]) -> dict[str, Any]:
        """One array per input that has columns, of the input's dtype and shape where these are known."""
        if self._places is None:
            self._places = self._fit([_seen(name, *pair) for name, pair in columns.items()])
        if self.stacked:
            port = self.ports[0]
            parts = [_filled(name, *columns[name]) for name in (field["name"] for field, _ in self._places)]
            joined = np.stack(parts, axis=1)
            return {port.name: joined if port.dtype is None else joined.astype(port.dtype, copy=False)}
        return {port.name: _tensor(port, field["name"], *columns[field["name"]]) for field, port in self._places}

    def _fit(self, sampled: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], Port]]:
        """Each column that is taken, as `describe` says it, with its port."""
        by_name = {column["name"]: column for column in sampled}
        wanted = [port.name for port in self.ports if not port.is_optional]
        if wanted and set(wanted) <= set(by_name):
            return [(_named(port, by_name[port.name]), port) for port in self.ports if port.name in by_name]
        if len(self.ports) == 1:
            return [(field, self.ports[0]) for field in _only(self.ports[0], sampled)]
        missing = [name for name in wanted if name not in by_name]
        raise ValueError(
            f"the model takes the inputs {', '.join(wanted)}; the sample lacks {', '.join(missing)} "
            f"(it has {', '.join(by_name)}); rename its columns to the model's inputs"
        )


def _field(name: str, dtype: Any, shape: Sequence[Any], nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "type": _word(dtype), "shape": list(shape), "nullable": nullable}


def _word(dtype: Any) -> str:
    """The name of a type that crosses; the nearest wider one where it is none (float16)."""
    dtype = np.dtype(dtype)
    known = next((name for name, one in TYPES.items() if one == dtype), None)
    if known is None and dtype.kind not in "fV":
        raise ValueError(f"the model takes {dtype}, which no column can hold; let it take numbers, booleans or text")
    return known or "float32"


def _seen(name: str, values: Any, valid: Any) -> dict[str, Any]:
    return _field(name, values.dtype, values.shape[1:], valid is not None)


def _named(port: Port, column: Mapping[str, Any]) -> dict[str, Any]:
    """The column of an input."""
    shape = tuple(column["shape"])
    if port.dims is not None:
        is_scalar = shape == () and all(dim in (None, 1) for dim in port.dims)
        fits = len(shape) == len(port.dims) and all(dim in (None, size) for dim, size in zip(port.dims, shape))
        if not is_scalar and not fits:
            raise ValueError(
                f"input {port.name!r} of the model takes {_dims(port.dims)} per row, and the sample's column "
                f"{column['name']!r} has {list(shape) if shape else 'single values'}"
            )
    return _cast(port, column, () if shape == (1,) else shape)


def _only(port: Port, sampled: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A single input takes the only column, or all of them side by side."""
    if len(sampled) == 1:
        return [_named(port, sampled[0])]
    names = ", ".join(column["name"] for column in sampled)
    if port.dims is not None and len(port.dims) != 1:
        raise ValueError(
            f"the model takes one tensor {port.name!r} of {_dims(port.dims)} per row, and the sample has {names}; "
            f"give a sample with one column {port.name!r} of nested lists"
        )
    if port.dims is not None and port.dims[0] not in (None, len(sampled)):
        raise ValueError(
            f"the model takes {port.dims[0]} values per row, and the sample has {len(sampled)} columns: {names}; "
            "leave out those that are no features (the outcome, an id)"
        )
    return [_beside(port, column) for column in sampled]


def _beside(port: Port, column: Mapping[str, Any]) -> dict[str, Any]:
    if column["shape"]:
        raise ValueError(
            f"column {column['name']!r} of the sample holds lists; beside other columns only single values go"
        )
    if column["type"] == "bool" and port.dtype is not None and np.dtype(port.dtype).kind in "iuf":
        return dict(column)  # a yes or no stays one for callers, though the network takes it as 0 or 1
    return _cast(port, column, ())


def _cast(port: Port, column: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """The column as the type that the network takes."""
    name, said = column["name"], TYPES[column["type"]]
    dtype = said if port.dtype is None else np.dtype(port.dtype)
    if (dtype.kind == "O") != (said.kind == "O") or said.kind == "M":
        raise ValueError(
            f"column {name!r} of the sample is {column['type']}, and the model takes {_word(dtype)} there"
            if port.dtype is not None and said.kind != "M"
            else f"column {name!r} of the sample is {column['type']}, and networks take none; make numbers of it"
        )
    nullable = bool(column.get("nullable", False))
    if nullable and dtype.kind not in "fVO" and port.dtype is not None:
        raise ValueError(
            f"column {name!r} of the sample has nulls, and the model takes {_word(dtype)} there, which has none; "
            "leave these rows out"
        )
    return _field(name, dtype, shape, nullable)


def _tensor(port: Port, name: str, values: Any, valid: Any) -> Any:
    """One column as one array."""
    filled = _filled(name, values, valid)
    if port.dims is not None and filled.ndim == 1 and port.dims:
        filled = filled.reshape((len(filled),) + (1,) * len(port.dims))
    return filled if port.dtype is None else filled.astype(port.dtype, copy=False)


def _filled(name: str, values: Any, valid: Any) -> Any:
    """Missing numbers as NaN, missing text as an empty one."""
    if values.dtype.kind == "M":
        raise ValueError(f"column {name!r} holds dates, and networks take none; make numbers of them")
    if valid is None or valid.all():
        return values
    filled = values.astype(np.float64) if values.dtype.kind in "biu" else values.copy()
    filled[~valid] = "" if values.dtype.kind == "O" else np.nan
    return filled


def _dims(dims: Sequence[int | None]) -> str:
    return f"[{', '.join('any' if dim is None else str(dim) for dim in dims)}]" if dims else "a single value"


# -- what a network gives


def named(answer: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The tensors of an answer by name: its own keys, `names`, `prediction` for a lone one, else output_0 and so on."""
    if isinstance(answer, Mapping):
        found = {str(key): value for key, value in answer.items()}
    elif hasattr(answer, "_asdict"):
        found = dict(answer._asdict())
    elif isinstance(answer, (list, tuple)) and len(answer) != 1:
        found = dict(zip(names or [f"output_{place}" for place in range(len(answer))], answer))
    else:
        found = {PREDICTION: answer[0] if isinstance(answer, (list, tuple)) else answer}
    return dict(_flat(found))


def _flat(found: Mapping[str, Any]) -> Any:
    for name, value in found.items():
        if isinstance(value, (Mapping, list, tuple)):
            inner = named(value) if not isinstance(value, (list, tuple)) else dict(enumerate(value))
            yield from _flat({f"{name}.{key}": one for key, one in inner.items()})
        elif value is not None:
            yield name, value


def answers(found: Mapping[str, Any], rows: int) -> dict[str, Pair]:
    """Arrays as columns: a value of one element is that element, and texts are texts."""
    return {name: (_plain(name, np.asarray(values), rows), None) for name, values in found.items()}


def _plain(name: str, values: Any, rows: int) -> Any:
    if values.ndim == 0 or len(values) != rows:
        got = "a single value" if values.ndim == 0 else f"{len(values):,} rows"
        raise ValueError(f"the model was asked {rows:,} rows and answered {got} in {name!r}; it must answer row by row")
    if values.shape[1:] == (1,):
        values = values[:, 0]
    if values.dtype.kind == "c":
        raise ValueError(f"the model answers complex numbers in {name!r}, which no column can hold")
    if values.dtype.kind in "OS":
        texts = np.empty(values.size, object)
        texts[:] = [
            one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in values.ravel().tolist()
        ]
        return texts.reshape(values.shape)
    return values.astype(np.float32) if values.dtype.kind == "V" else values  # bfloat16 and its kin


# -- how many rows at once


def fitted(
    wanted: Sequence[tuple[str, Any, Sequence[int | None]]], sampled: Sequence[Mapping[str, Any]] | None
) -> tuple[Ports, bool]:
    """The inputs of a program from their whole shapes, and whether it takes one row at a time.

    The first axis counts rows, unless only the other reading fits the sample: then a call is a row.
    """
    refused: ValueError | None = None
    if all(len(shape) > 0 for _, _, shape in wanted):
        try:
            return Ports([Port(name, dtype, tuple(shape[1:])) for name, dtype, shape in wanted], sampled), False
        except ValueError as error:
            refused = error
    try:
        return Ports([Port(name, dtype, tuple(shape)) for name, dtype, shape in wanted], sampled), True
    except ValueError as error:
        raise refused or error from None


def rounded(rows: int) -> int:
    """The next power of two: a compiler that compiles for every number of rows compiles for few."""
    return 1 << max(0, rows - 1).bit_length()


def row_by_row(call: Callable[[dict[str, Any]], dict[str, Any]], tensors: dict[str, Any]) -> dict[str, Any]:
    """Ask each row alone, and put the answers together."""
    rows = len(next(iter(tensors.values())))
    parts = [call({name: values[row] for name, values in tensors.items()}) for row in range(rows)]
    return {name: np.stack([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def in_batches(
    call: Callable[[dict[str, Any]], dict[str, Any]], tensors: dict[str, Any], fewest: int, most: int | None
) -> dict[str, Any]:
    """Ask at most `most` rows at once and at least `fewest`; a short batch is filled up with its last row."""
    rows = len(next(iter(tensors.values())))
    if rows >= fewest and (most is None or rows <= most):
        return call(tensors)
    size = max(fewest, rows) if most is None else most
    parts = [_part(call, tensors, start, size, rows) for start in range(0, rows, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _part(call: Any, tensors: dict[str, Any], start: int, size: int, rows: int) -> dict[str, Any]:
    there = min(size, rows - start)
    chosen = np.minimum(np.arange(start, start + size), start + there - 1)
    answer = call({name: values[chosen] for name, values in tensors.items()})
    return {name: np.asarray(values)[:there] for name, values in answer.items()}
