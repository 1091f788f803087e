"""The columns of an endpoint: what all its arms together take and give, so that callers and journals see one table.

Types of one kind widen (int32 and int64 make int64); a worker narrows a column again for the arm that takes less.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from payoff.errors import BadInput
from payoff.records.endpoint import Arm, Policy, Revision
from payoff.records.signature import Field, Type

_NUMBERS = {kind.dtype: kind for kind in Type if kind.is_number}


def inputs(revision: Revision) -> tuple[Field, ...]:
    """What a caller sends: the arms' inputs in order of the arms, then the context, then the column that routes.

    A column is nullable if every arm that takes it allows null; what no arm takes may always be null. BadInput if two
    arms take the same name with types that do not fit together.
    """
    return arms_inputs(revision.arms, revision.policy)


def outputs(revision: Revision) -> tuple[Field, ...]:
    """What a caller gets: the arms' outputs. Nullable unless every arm gives it and none gives null."""
    return arms_outputs(revision.arms)


def arms_inputs(arms: Iterable[Arm], policy: Policy) -> tuple[Field, ...]:
    """The inputs of an endpoint that has these arms and this policy."""
    asked = [(_called(arm), field) for arm in arms for field in arm.served.signature.inputs]
    asked += [("the context", replace(field, nullable=True)) for field in policy.context]
    names = {field.name for _, field in asked}
    if policy.route_by is not None and policy.route_by not in names:
        asked.append(("the route", Field(policy.route_by, Type.TEXT, nullable=True)))
    merged = _merge(asked, "takes")
    return tuple(replace(field, nullable=all(one.nullable for one in taken)) for field, taken in merged)


def arms_outputs(arms: Iterable[Arm]) -> tuple[Field, ...]:
    """The outputs of an endpoint that has these arms."""
    arms = tuple(arms)
    merged = _merge([(_called(arm), field) for arm in arms for field in arm.served.signature.outputs], "gives")
    return tuple(
        replace(field, nullable=len(given) < len(arms) or any(one.nullable for one in given)) for field, given in merged
    )


def common(one: Type, other: Type) -> Type | None:
    """The type that holds every value of both, if they are of one kind; None if not (a text is no number)."""
    if one is other:
        return one
    if (one.is_integer and other.is_integer) or (one.is_float and other.is_float):
        wide = _NUMBERS.get(np.result_type(one.dtype, other.dtype))
        return wide if wide is not None and wide.is_float == one.is_float else None
    return None


def _called(arm: Arm) -> str:
    return f"{arm.model} v{arm.version}"


def _merge(asked: list[tuple[str, Field]], does: str) -> list[tuple[Field, list[Field]]]:
    found: dict[str, tuple[str, Field, list[Field]]] = {}
    spelled: dict[str, str] = {}
    for who, field in asked:
        if not field.name:
            raise BadInput(f"{who} {does} a column without a name; SQL has none such, so give it one")
        if spelled.setdefault(field.name.lower(), field.name) != field.name:
            raise BadInput(
                f"{who} {does} {field.name!r} beside {spelled[field.name.lower()]!r}; "
                "names that differ only in upper and lower case are one column in SQL: rename one"
            )
        if field.name not in found:
            found[field.name] = (who, field, [field])
            continue
        first, so_far, parts = found[field.name]
        wide = common(so_far.type, field.type)
        if wide is None or so_far.shape != field.shape:
            raise BadInput(
                f"{first} {does} {field.name!r} as {_plain(so_far)} and {who} as {_plain(field)}; "
                "on one endpoint a column has one type: give the column another name or use another endpoint"
            )
        found[field.name] = (first, replace(so_far, type=wide), [*parts, field])
    return [(field, parts) for _, field, parts in found.values()]


def _plain(field: Field) -> str:
    return str(replace(field, nullable=False))
