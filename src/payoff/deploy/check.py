"""Does a policy fit the arms it is for? Every expression is parsed, every constant typed, before anything moves."""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np

from payoff.codecs.document import among, near
from payoff.deploy.file import AGAINST, BEATS, GUARDS, LOSES
from payoff.errors import BadInput, Conflict
from payoff.expressions import Expression, Scope, parse
from payoff.records import merge
from payoff.records.endpoint import Arm, Policy, Revision, Role
from payoff.records.signature import Field, Type


@dataclass(frozen=True, slots=True)
class Checked:
    """The policy with the outcome columns that its value asks for, and what its author may want to know."""

    policy: Policy
    notes: tuple[str, ...] = ()


def check(arms: Sequence[Arm], policy: Policy, past: Sequence[Revision] = ()) -> Checked:
    """The policy, made whole, if it fits the arms and the endpoint's past; `past` is its revisions, the latest last.

    BadInput says which part does not fit and why; Conflict that a column would change its kind under its history, or
    that an arm needs a column that callers do not send.
    """
    inputs, outputs = merge.arms_inputs(arms, policy), merge.arms_outputs(arms)
    decision = _decision(policy, inputs, outputs)
    scope = Scope(inputs=inputs, outputs=outputs, decision=decision.type if decision else None)
    rules = [
        _about(f"rule {n} ({rule.check})", parse, rule.check, scope, "boolean") for n, rule in _count(policy.rules)
    ]
    value = _value(policy, scope)
    for what, expression in (("decision", decision), ("value", value), *((f"rule {n}", r) for n, r in _count(rules))):
        _answerable(what, expression, arms)
    _fallback(policy, scope.decision, outputs)
    for n, guard in _count(policy.guards):
        _about(f"guard {n} ({guard.when})", _guard, policy, guard.when, guard.do, guard.error, guard.against)
    _once(policy)
    inferred = tuple(replace(field, nullable=True) for field in value.outcome) if value else ()
    whole = policy if policy.outcome else replace(policy, outcome=inferred)
    _history(past, [("input", inputs), ("output", outputs), ("outcome", whole.outcome)], scope.decision)
    _callers(arms, past)
    return Checked(whole, tuple(_notes(arms, whole)))


def decision_type(revision: Revision) -> Type | None:
    """The type of what a revision decides; None if it decides nothing."""
    found = _decision(revision.policy, merge.inputs(revision), merge.outputs(revision))
    return found.type if found else None


def _count(items: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    return enumerate(items, 1)


def _about(what: str, act: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return act(*arguments)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error


def _decision(policy: Policy, inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> Expression | None:
    if policy.decision is None:
        return None
    found: Expression = _about("decision", parse, policy.decision, Scope(inputs=inputs, outputs=outputs))
    return found


def _value(policy: Policy, scope: Scope) -> Expression | None:
    if policy.value is None:
        return None
    told = replace(scope, outcome=policy.outcome, open_outcome=not policy.outcome)
    found: Expression = _about("value", parse, policy.value, told, "number")
    return found


def _answerable(what: str, expression: Expression | None, arms: Sequence[Arm]) -> None:
    """Every arm gives every output that an expression reads: a column one arm lacks would be null on its rows."""
    asked = {name for source, name in expression.names if source == "outputs"} if expression else set()
    for arm in arms:
        given = [field.name for field in arm.served.signature.outputs]
        if lacks := sorted(asked - set(given)):
            raise BadInput(
                f"{what} reads outputs.{lacks[0]}, which {arm.model} v{arm.version} ({arm.name}) does not give"
                f"{among(lacks[0], given, 'it gives')}"
            )


def _fallback(policy: Policy, decision: Type | None, outputs: tuple[Field, ...]) -> None:
    known = {field.name: field for field in outputs}
    for name, value in policy.fallback.items():
        if name == "decision" and decision is not None:
            _constant("fallback.decision", value, Field("decision", decision))
        elif name == "decision" and name not in known:
            raise BadInput("fallback has a decision, but the endpoint decides nothing; say 'decision: ...' too")
        elif name not in known:
            names = ["decision", *known]
            raise BadInput(f"fallback.{name} is no output{among(name, names)}")
        else:
            _constant(f"fallback.{name}", value, known[name])


def _constant(what: str, value: Any, field: Field) -> None:
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


def _guard(policy: Policy, when: str, do: str, error: float, against: str) -> None:
    if when not in GUARDS:
        raise BadInput(f"no such 'when'{among(when, list(GUARDS))}")
    if do != GUARDS[when]:
        raise BadInput(f"{do!r} does not follow from {when!r}; say 'do: {GUARDS[when]}'")
    if against not in AGAINST:
        raise BadInput(f"cannot measure against {against!r}{among(against, AGAINST)}")
    if not 0 < error <= 0.5:
        raise BadInput(f"an error of {error} is no chance; say more than 0 (0%) and at most 0.5 (50%)")
    if policy.value is None:
        raise BadInput("needs to know what a decision is worth; say 'value: ...'")
    if when == LOSES and against == "fallback" and "decision" not in policy.fallback:
        raise BadInput(
            "against fallback needs to know what the fallback would have decided; "
            "say 'fallback: {decision: ...}', or 'against: nothing'"
        )


def _once(policy: Policy) -> None:
    kinds = [(guard.when, guard.against if guard.when == LOSES else None) for guard in policy.guards]
    if twice := [when for when, _ in kinds if kinds.count((when, _)) > 1]:
        raise BadInput(f"two guards say {twice[0]!r}; each would have its own chance of error: keep one")


def _history(past: Sequence[Revision], now: list[tuple[str, tuple[Field, ...]]], decision: Type | None) -> None:
    before = _before(past)
    for what, fields in now:
        for field in fields:
            old = before.get((what, field.name))
            if old is not None and not _same_kind(old, field):
                raise _changed(f"{what} {field.name!r}", old, field)
    old_decision = next((kind for past_one in reversed(past) if (kind := _decided(past_one))), None)
    if decision and old_decision and _kind(decision) != _kind(old_decision):
        raise _changed("the decision", Field("", old_decision), Field("", decision))


def _callers(arms: Sequence[Arm], past: Sequence[Revision]) -> None:
    """Who calls as before is answered as before: no arm, not even a shadow, needs what the latest revision had not.

    Arms that ran here together are exempt: a rollback is the way out, and nothing may bar it.
    """
    if not past or not past[-1].arms or any(_versions(arms) == _versions(one.arms) for one in past):
        return
    sent = {field.name for field in merge.inputs(past[-1])}
    for arm in arms:
        lacks = [field.name for field in arm.served.signature.inputs if not field.nullable and field.name not in sent]
        if lacks:
            raise Conflict(
                f"{arm.model} v{arm.version} needs {lacks[0]!r}, which callers of {past[-1].endpoint} do not send: "
                "every call would be refused; put it on an endpoint of its own, or let it accept null"
            )


def _versions(arms: Sequence[Arm]) -> set[tuple[str, int]]:
    return {(arm.model, arm.version) for arm in arms}


def _before(past: Sequence[Revision]) -> dict[tuple[str, str], Field]:
    """Every column the endpoint ever had, as it was last."""
    columns: dict[tuple[str, str], Field] = {}
    for revision in past:
        columns |= {("input", field.name): field for field in merge.inputs(revision)}
        columns |= {("output", field.name): field for field in merge.outputs(revision)}
        columns |= {("outcome", field.name): field for field in revision.policy.outcome}
    return columns


def _decided(revision: Revision) -> Type | None:
    with suppress(BadInput):  # an expression that an older payoff took
        return decision_type(revision)
    return None


def _changed(what: str, old: Field, new: Field) -> Conflict:
    was, becomes = (replace(field, nullable=False) for field in (old, new))
    return Conflict(
        f"{what} was {was} on this endpoint and would become {becomes}; "
        "its journal holds the old kind: make a new endpoint for the new one"
    )


def _same_kind(old: Field, new: Field) -> bool:
    return old.shape == new.shape and _kind(old.type) == _kind(new.type)


def _kind(kind: Type) -> str:
    return "integer" if kind.is_integer else "float" if kind.is_float else str(kind)


def _notes(arms: Sequence[Arm], policy: Policy) -> Iterable[str]:
    if policy.decision is not None and "decision" not in policy.fallback:
        yield "no fallback decision: after a kill the decision is null; say 'fallback: {decision: ...}'"
    taken = [field.name for arm in arms for field in arm.served.signature.inputs]
    taken += [field.name for field in policy.context]
    if policy.route_by is not None and policy.route_by not in taken:
        hint = near(policy.route_by, taken)
        yield f"route by {policy.route_by!r}: no model takes it, so callers send it as a text column{hint}"
    if any(guard.when == BEATS for guard in policy.guards) and not any(a.role is Role.CHALLENGER for a in arms):
        yield "no challenger yet, so none can beat the champion"
