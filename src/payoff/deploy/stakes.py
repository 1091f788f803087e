"""Does what a policy says of its money fit: guards, hold-out, exploring, ramp, allocation, the covariate?"""

from collections.abc import Iterable, Sequence

from payoff.codecs import units
from payoff.deploy.fits import about, answerable, constant
from payoff.deploy.guards import BEATS, LOSES, MONEY
from payoff.errors import BadInput
from payoff.expressions import Expression, Scope, parse
from payoff.records.endpoint import Arm, Guard, Policy, Role
from payoff.records.signature import Field, Type

_WORTH = "needs to know what a decision is worth; say 'value: ...'"


def check(arms: Sequence[Arm], policy: Policy, scope: Scope) -> None:
    """BadInput that says which part does not fit. `scope` is what is known when a decision is made."""
    for n, guard in enumerate(policy.guards, 1):
        about(f"guard {n} ({guard.when})", _guard, policy, guard, scope, arms)
    if policy.covariate is not None:
        about("covariate", parse, policy.covariate, Scope(inputs=scope.inputs), "number")
    _explored(policy, scope.decision)
    _held_out(policy)
    _shared(policy, arms)


def notes(arms: Sequence[Arm], policy: Policy) -> Iterable[str]:
    """What the author may want to know."""
    whens = {guard.when for guard in policy.guards}
    challengers = [arm for arm in arms if arm.role is Role.CHALLENGER]
    if BEATS in whens and not challengers:
        yield "no challenger yet, so none can beat the champion"
    for what, said in (("ramp", policy.ramp), ("allocate", policy.allocate)):
        if said is not None and not challengers:
            yield f"no challenger yet, so {what} waits for one"
    if policy.holdout and policy.holdout + sum(arm.traffic for arm in challengers) > 1:
        left = max(0.0, 1 - sum(arm.traffic for arm in challengers))
        yield f"the hold-out comes out of the champion's share, which is only {units.percent(round(left, 9))} now"
    if "broken rules" in whens and not policy.rules:
        yield "no rules yet, so none can be broken; say 'rules: ...'"
    if "no outcomes" in whens and policy.value is not None and not policy.outcome:
        yield "the value asks for no outcome, so the guard 'no outcomes' speaks as soon as none is sent"


def _guard(policy: Policy, guard: Guard, scope: Scope, arms: Sequence[Arm]) -> None:
    if guard.when in MONEY and policy.value is None:
        raise BadInput(_WORTH)
    if guard.when == LOSES and guard.against == "fallback" and "decision" not in policy.fallback:
        raise BadInput(
            "against fallback needs to know what the fallback would have decided; "
            "say 'fallback: {decision: ...}', or 'against: nothing'"
        )
    if guard.when == "decision share" and guard.of is None and scope.decision is not Type.BOOL:
        raise BadInput("the decision is no condition; say which ones count, as in \"of: decision = 'yes'\"")
    if guard.of is not None:
        of = about(f"of ({guard.of})", _of, guard.when, guard.of, scope)
        answerable(f"guard {guard.when}", of, arms)


def _of(when: str, text: str, scope: Scope) -> Expression:
    """The expression after 'of', in what is known when a decision is made."""
    if when == "money at risk":
        return parse(text, scope, "number")
    if when == "decision share":
        return parse(text, scope, "boolean")
    found = parse(text, Scope(inputs=scope.inputs))
    if when == "stale input" and found.type not in (Type.DATE, Type.TIMESTAMP):
        raise BadInput(f"this is {found.type}, but how old an input is shows in a date or a timestamp")
    return found


def _explored(policy: Policy, decision: Type | None) -> None:
    if policy.explore is None:
        return
    if decision is None:
        raise BadInput("explore draws the decision, but the endpoint decides nothing; say 'decision: ...' too")
    if decision is not Type.BOOL and all(isinstance(choice, bool) for choice in policy.explore.among):
        raise BadInput(
            f"explore: the decision is {decision}, so say which ones to draw from: "
            f"{{share: {units.percent(policy.explore.share)}, among: [...]}}"
        )
    for choice in policy.explore.among:
        constant("explore.among", choice, Field("decision", decision))


def _held_out(policy: Policy) -> None:
    if not policy.holdout:
        return
    if policy.decision is not None and "decision" not in policy.fallback:
        raise BadInput("holdout lets the fallback decide, and it has no decision; say 'fallback: {decision: ...}'")
    if not policy.fallback:
        raise BadInput("holdout lets the fallback answer, and there is none; say 'fallback: {OUTPUT: ...}'")


def _shared(policy: Policy, arms: Sequence[Arm]) -> None:
    """Whoever moves shares by what arms earn needs to know it, and room for every arm."""
    for what, said in (("ramp", policy.ramp), ("allocate", policy.allocate)):
        if said is not None and policy.value is None:
            raise BadInput(f"{what} {_WORTH}")
    able = [arm for arm in arms if arm.role in (Role.CHAMPION, Role.CHALLENGER)]
    if policy.allocate and policy.allocate.floor * len(able) > 1:
        raise BadInput(
            f"allocate: {len(able)} arms with at least {policy.allocate.floor:.6g} each are more than the whole; "
            "lower the floor"
        )
