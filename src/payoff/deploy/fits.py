"""One part of a policy against what it is for: an expression against the arms, a constant against its column."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np

from payoff.codecs.document import among
from payoff.errors import BadInput
from payoff.expressions import Expression
from payoff.records.endpoint import Arm
from payoff.records.signature import Field, Type


def about(what: str, act: Callable[..., Any], *arguments: Any) -> Any:
    """What `act` gives; its BadInput says what it is about."""
    try:
        return act(*arguments)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def answerable(what: str, expression: Expression | None, arms: Sequence[Arm]) -> None:
    """Every arm gives every output that an expression reads: a column one arm lacks would be null on its rows."""
    asked = {name for source, name in expression.names if source == "outputs"} if expression else set()
    for arm in arms:
        given = [field.name for field in arm.served.signature.outputs]
        if lacks := sorted(asked - set(given)):
            raise BadInput(
                f"{what} reads outputs.{lacks[0]}, which {arm.model} v{arm.version} ({arm.name}) does not give"
                f"{among(lacks[0], given, 'it gives')}"
            )


def constant(what: str, value: Any, field: Field) -> None:
    """BadInput unless the constant has the field's shape and type."""
    shape = np.shape(value) if not isinstance(value, list) or not _ragged(value) else None
    flat = np.array(value, object).ravel().tolist() if shape is not None else [None]
    if shape != field.shape or not all(_fits(one, field.type) for one in flat):
        kind = replace(field, nullable=False)
        quoted = "; put it in quotes" if field.type is Type.TEXT and not isinstance(value, list | dict) else ""
        raise BadInput(f"{what} is {str(value)[:60]!r}, but it has to be {kind}{quoted}")


def _ragged(value: list[Any]) -> bool:
    sizes = {len(one) if isinstance(one, list) else -1 for one in value}
    return len(sizes) > 1 or any(isinstance(one, list) and _ragged(one) for one in value)


def _fits(value: Any, kind: Type) -> bool:
    if kind is Type.BOOL or isinstance(value, bool):
        return kind is Type.BOOL and isinstance(value, bool)
    if kind.is_integer:
        return isinstance(value, int) and np.iinfo(kind.dtype).min <= value <= np.iinfo(kind.dtype).max
    if kind.is_float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, str) and (kind is Type.TEXT or _is_time(value, kind))


def _is_time(text: str, kind: Type) -> bool:
    with suppress(ValueError):
        return bool(date.fromisoformat(text) if kind is Type.DATE else datetime.fromisoformat(text))
    return False
