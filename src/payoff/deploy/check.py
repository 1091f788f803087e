"""Does a policy fit the arms it is for? Every expression is parsed, every constant typed, before anything moves."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from payoff.codecs.document import among, near
from payoff.deploy import stakes
from payoff.deploy.fits import about, answerable, constant
from payoff.errors import BadInput, Conflict
from payoff.expressions import Expression, Scope, parse
from payoff.records import merge
from payoff.records.endpoint import Arm, Policy, Revision
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
    rules = [about(f"rule {n} ({rule.check})", parse, rule.check, scope, "boolean") for n, rule in _count(policy.rules)]
    value = _value(policy, scope)
    for what, expression in (("decision", decision), ("value", value), *((f"rule {n}", r) for n, r in _count(rules))):
        answerable(what, expression, arms)
    _fallback(policy, scope.decision, outputs)
    stakes.check(arms, policy, scope)
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


def _decision(policy: Policy, inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> Expression | None:
    if policy.decision is None:
        return None
    found: Expression = about("decision", parse, policy.decision, Scope(inputs=inputs, outputs=outputs))
    return found


def _value(policy: Policy, scope: Scope) -> Expression | None:
    if policy.value is None:
        return None
    told = replace(scope, outcome=policy.outcome, open_outcome=not policy.outcome)
    found: Expression = about("value", parse, policy.value, told, "number")
    return found


def _fallback(policy: Policy, decision: Type | None, outputs: tuple[Field, ...]) -> None:
    known = {field.name: field for field in outputs}
    for name, value in policy.fallback.items():
        if name == "decision" and decision is not None:
            constant("fallback.decision", value, Field("decision", decision))
        elif name == "decision" and name not in known:
            raise BadInput("fallback has a decision, but the endpoint decides nothing; say 'decision: ...' too")
        elif name not in known:
            names = ["decision", *known]
            raise BadInput(f"fallback.{name} is no output{among(name, names)}")
        else:
            constant(f"fallback.{name}", value, known[name])


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
    yield from stakes.notes(arms, policy)
