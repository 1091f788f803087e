"""Records to rows and back: what is stored reads back equal, or is refused before it is stored."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row

from payoff.errors import BadInput
from payoff.records.endpoint import Arm, Policy, Revision
from payoff.records.events import Finding, Order
from payoff.records.model import Served, Version

Record = TypeVar("Record", Version, Revision, Order, Finding)

# The columns that hold JSON, and what is in them; a column's name means the same in every table.
_NESTED: dict[str, msgspec.json.Decoder[Any]] = {
    "served": msgspec.json.Decoder(Served),
    "environment": msgspec.json.Decoder(dict[str, str]),
    "provenance": msgspec.json.Decoder(dict[str, Any]),
    "tags": msgspec.json.Decoder(dict[str, str]),
    "arms": msgspec.json.Decoder(tuple[Arm, ...]),
    "policy": msgspec.json.Decoder(Policy),
    "evidence": msgspec.json.Decoder(dict[str, Any]),
    "data": msgspec.json.Decoder(dict[str, Any]),
}
_FREE = ("provenance", "evidence", "data")  # notes: a tuple may come back as a list, a date as text


def row(record: Version | Revision | Order | Finding) -> dict[str, Any]:
    """The row of a record; BadInput if it would not read back the same."""
    content = {field.name: getattr(record, field.name) for field in fields(record)}
    stored = {name: _stored(name, value) for name, value in content.items()}
    for name, value in content.items():
        if name not in _FREE and name in _NESTED and _NESTED[name].decode(stored[name]) != value:
            raise BadInput(
                f"{name} cannot be kept as it is: {_shortened(value)}; "
                "use numbers (but not NaN or infinity), text, true, false, null and lists of these"
            )
    return stored


def read(kind: type[Record], row: Row[Any] | Mapping[str, Any]) -> Record:
    """The record in a row."""
    content = row._mapping if isinstance(row, Row) else row
    return kind(**{f.name: _read(f.name, content[f.name]) for f in fields(kind)})


def _stored(name: str, value: Any) -> Any:
    if name not in _NESTED:
        return _plain(name, value) if isinstance(value, str) else value
    try:
        stored = msgspec.json.encode(value).decode()
        _NESTED[name].decode(stored)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise BadInput(f"{name} cannot be kept: {error} in {_shortened(value)}") from error
    return stored


def _plain(name: str, text: str) -> str:
    """Text that every database keeps: PostgreSQL has no zero character, and half a surrogate is no text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{name} is no valid Unicode text: {_shortened(text)}; send it as UTF-8") from error
    if "\0" in text:
        raise BadInput(f"{name} holds a zero character: {_shortened(text)}; leave it out")
    return text


def _read(name: str, value: Any) -> Any:
    return _NESTED[name].decode(value) if name in _NESTED else value


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
