"""How a function wants its rows, by its type hints: which columns, of which types, and in what form.

One value per parameter means one call per row; arrays, frames and lists mean one call for all rows.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import inspect
import typing
from dataclasses import dataclass
from typing import Any

import numpy as np

from .results import NUMBERS

COLUMNS, FRAME, RECORDS, MATRIX, VALUES = "columns", "frame", "records", "matrix", "values"

_SCALARS: dict[Any, str] = {
    int: "int64",
    float: "float64",
    str: "text",
    bool: "bool",
    datetime.date: "date",
    datetime.datetime: "timestamp",
    np.str_: "text",
    np.bool_: "bool",
    np.datetime64: "timestamp",
}
_SCALARS.update({getattr(np, name): name for name in NUMBERS})
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


@dataclass(frozen=True)
class Wish:
    """What one parameter or field wants."""

    name: str
    type: str | None  # None: the hint does not say
    single: bool  # one value, not a list or array of them
    nullable: bool = False
    has_default: bool = False
    as_list: bool = False
    as_series: bool = False


@dataclass(frozen=True)
class Call:
    """How a function is called."""

    form: str  # one of COLUMNS, FRAME, RECORDS, MATRIX, VALUES
    by_row: bool = False
    wishes: tuple[Wish, ...] | None = None  # None: all columns there are
    record: Any = None  # the class that holds a row, or the columns
    listed: bool = False  # a list of rows at once
    parameter: str = ""

    @property
    def takes(self) -> list[str] | None:
        """The columns by name, as far as the hints know them."""
        return None if self.wishes is None else [wish.name for wish in self.wishes]

    def inputs(self) -> list[dict[str, Any]] | None:
        """The columns with their types; None where a hint leaves one open."""
        if self.wishes is None or any(wish.type is None for wish in self.wishes):
            return None
        if self.by_row and not all(wish.single for wish in self.wishes):
            return None  # the length of a list is for the sample to say
        return [
            {"name": wish.name, "type": wish.type, "shape": [], "nullable": wish.nullable or wish.has_default}
            for wish in self.wishes
        ]


def call_of(function: Any) -> Call:
    """How to call a bound method or a function; ValueError for one that cannot take rows."""
    hints = _hints(function)
    every = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
    named = [p for p in every if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    only = [p for p in named if p.kind is p.POSITIONAL_ONLY]
    if not named:
        if any(p.kind is p.VAR_KEYWORD for p in every):
            return Call(VALUES)
        raise ValueError("predict takes no rows; give it a parameter: predict(self, columns)")
    if len(named) == 1:
        whole = _whole(named[0], hints.get(named[0].name))
        if whole is not None:
            return whole
    if only:
        raise ValueError(
            f"predict takes {only[0].name!r} by position only; columns are given by name, so leave out the /"
        )
    return _values([_wish(p.name, hints.get(p.name), p.default) for p in named], VALUES)


def answers_of(function: Any, by_row: bool) -> list[dict[str, Any]] | None:
    """The answer's columns with their types, where the hint for what is returned says all of it."""
    hint, nullable = _bare(_hints(function).get("return"))
    if not by_row and typing.get_origin(hint) in _LISTS and is_record(_element(hint)):
        hint, by_row = _element(hint), True
    wishes = record_wishes(hint) if is_record(hint) else [_wish("prediction", hint, inspect.Parameter.empty)]
    if not wishes or any(wish.type is None or wish.single != by_row for wish in wishes):
        return None
    return [
        {"name": wish.name, "type": wish.type, "shape": [], "nullable": nullable or wish.nullable} for wish in wishes
    ]


def is_record(hint: Any) -> bool:
    """A class whose fields are named and typed: TypedDict, dataclass, NamedTuple, pydantic model."""
    if not isinstance(hint, type):
        return False
    is_tuple = issubclass(hint, tuple) and hasattr(hint, "_fields")
    return dataclasses.is_dataclass(hint) or hasattr(hint, "__total__") or is_tuple or hasattr(hint, "model_fields")


def record_wishes(hint: Any) -> list[Wish]:
    """The fields of such a class."""
    hints = _hints(hint)
    if hasattr(hint, "model_fields"):
        hints = {name: field.annotation for name, field in hint.model_fields.items()}
    return [_wish(name, one, _default(hint, name)) for name, one in hints.items()]


def _default(record: Any, name: str) -> Any:
    """What a field holds that was not given. Only plain values: a factory is left to the class."""
    if dataclasses.is_dataclass(record):
        found = {field.name: field.default for field in dataclasses.fields(record)}[name]
        return inspect.Parameter.empty if found is dataclasses.MISSING else found
    if hasattr(record, "_field_defaults"):
        return record._field_defaults.get(name, inspect.Parameter.empty)
    if hasattr(record, "model_fields") and not record.model_fields[name].is_required():
        return record.model_fields[name].default
    return inspect.Parameter.empty


def _hints(function: Any) -> dict[str, Any]:
    """The type hints; those that name what is not there count as none."""
    try:
        return typing.get_type_hints(function)
    except Exception:
        found = getattr(function, "__annotations__", {})
        return {name: hint for name, hint in found.items() if not isinstance(hint, str)}


def _whole(parameter: inspect.Parameter, hint: Any) -> Call | None:
    """The call, where the only parameter holds all columns; None where it is one of them."""
    name = parameter.name
    hint, _ = _bare(hint)
    origin = typing.get_origin(hint) or hint
    if hint is None or origin in _MAPPINGS:
        return _mapping(name, hint)
    if getattr(hint, "__name__", "") == "DataFrame":
        form = FRAME if hint.__module__.startswith("pandas") else f"{FRAME} of {hint.__module__.partition('.')[0]}"
        return Call(form, parameter=name)
    if is_record(hint):
        return dataclasses.replace(_values(record_wishes(hint), RECORDS), record=hint, parameter=name)
    if origin in _LISTS and (is_record(_element(hint)) or _origin(_element(hint)) in _MAPPINGS):
        return _listed(name, _element(hint))
    if origin is np.ndarray:
        return Call(MATRIX, parameter=name, wishes=None)
    return None


def _mapping(name: str, hint: Any) -> Call:
    """`dict[str, np.ndarray]` is all rows, `dict[str, float]` is one."""
    inside = typing.get_args(hint)
    value = _bare(inside[1])[0] if len(inside) == 2 else None
    options = typing.get_args(value) if _is_union(value) else (value,)
    by_row = all(one in _SCALARS or one is type(None) for one in options)
    return Call(RECORDS if by_row else COLUMNS, by_row, parameter=name)


def _listed(name: str, element: Any) -> Call:
    if not is_record(element):
        return Call(RECORDS, listed=True, parameter=name)
    return Call(RECORDS, wishes=tuple(record_wishes(element)), record=element, listed=True, parameter=name)


def _values(wishes: list[Wish], form: str) -> Call:
    return Call(form, any(wish.single and wish.type for wish in wishes), tuple(wishes))


def _wish(name: str, hint: Any, default: Any) -> Wish:
    bare, nullable = _bare(hint)
    given = default is not inspect.Parameter.empty
    single, type_name = _type(bare)
    as_list = typing.get_origin(bare) in _LISTS or bare in _LISTS
    as_series = getattr(bare, "__name__", "") == "Series"
    return Wish(name, type_name, single, nullable, given, as_list, as_series)


def _type(hint: Any) -> tuple[bool, str | None]:
    """Whether a hint means one value, and the name of its type."""
    if hint in _SCALARS:
        return True, _SCALARS[hint]
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        kinds = {type(value) for value in typing.get_args(hint)}
        return True, _SCALARS.get(kinds.pop()) if len(kinds) == 1 else None
    if getattr(hint, "__name__", "") == "Timestamp":
        return True, "timestamp"
    if origin is np.ndarray:
        return False, _of_array(typing.get_args(hint))
    if origin in _LISTS:
        return False, _type(_element(hint))[1]
    return False, None


def _of_array(inside: tuple[Any, ...]) -> str | None:
    """The type in `NDArray[np.float64]`."""
    of = typing.get_args(inside[1]) if len(inside) == 2 else ()
    return _SCALARS.get(of[0]) if of else None


def _bare(hint: Any) -> tuple[Any, bool]:
    """A hint without Optional, Annotated, NewType and alias, and whether it may be None."""
    if hasattr(hint, "__supertype__"):
        return _bare(hint.__supertype__)
    if hasattr(hint, "__value__"):
        return _bare(hint.__value__)
    if hasattr(hint, "__metadata__"):
        return _bare(hint.__origin__)
    if _is_union(hint):
        rest = [one for one in typing.get_args(hint) if one is not type(None)]
        if len(rest) < len(typing.get_args(hint)) and len(rest) == 1:
            return _bare(rest[0])[0], True
    return hint, False


def _is_union(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return origin is typing.Union or getattr(origin, "__name__", "") == "UnionType"


def _element(hint: Any) -> Any:
    inside = typing.get_args(hint)
    return _bare(inside[0])[0] if inside else None


def _origin(hint: Any) -> Any:
    return typing.get_origin(hint) or hint
