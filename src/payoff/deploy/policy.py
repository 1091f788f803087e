"""Everything of an endpoint's file but its arms: each key read, checked against the others, and written back."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from payoff.codecs import units
from payoff.codecs.document import Place
from payoff.deploy import guards, kept, payoffs, traffic
from payoff.records.endpoint import Guard, Matures, NoOutcome, Otherwise, Policy, Rule

_LIST_MAX = 64


def read(at: dict[str, Place]) -> Policy:
    """The policy that these keys describe; BadInput names the line and what was expected."""
    policy = Policy()
    for key, reader in _READ.items():
        if key in at:
            policy = reader(policy, at[key])
    _together(policy, at)
    return policy


def said(policy: Policy) -> dict[str, Any]:
    """The policy as `read` reads it, key by key; what is not said is None, empty, or not there."""
    plain = Policy()
    return {
        "route": {"by": policy.route_by} if policy.route_by is not None else None,
        "decision": policy.decision,
        "value": policy.value,
        "currency": policy.currency,
        **{key: write(policy) for key, write in _MONEY.items() if getattr(policy, key) != getattr(plain, key)},
        "rules": [{"check": rule.check, "else": str(rule.otherwise)} for rule in policy.rules],
        "guards": [guards.said(guard) for guard in policy.guards],
        "fallback": policy.fallback,
        "context": {field.name: units.written(field) for field in policy.context},
        "outcome": {field.name: units.written(field) for field in policy.outcome},
        "outcome_window": units.duration(policy.outcome_window_s),
    }


def _route(policy: Policy, place: Place) -> Policy:
    at = place.mapping(("by",))
    return replace(policy, route_by=at["by"].text() if "by" in at else None)


def _text(policy: Policy, place: Place, what: str) -> Policy:
    return replace(policy, **{what: place.text()})  # type: ignore[arg-type]


def _currency(policy: Policy, place: Place) -> Policy:
    code = place.text()
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        raise place.wrong(f"{place.said()} is no currency; say its three letters, such as EUR")
    return replace(policy, currency=code)


def _rules(policy: Policy, place: Place) -> Policy:
    return replace(policy, rules=tuple(_rule(item) for item in _few(place)))


def _rule(place: Place) -> Rule:
    at = place.mapping(("check", "else"))
    if "check" not in at:
        raise place.wrong("a rule needs 'check', as in {check: inputs.age > 17, else: flag}")
    ways = tuple(str(way) for way in Otherwise)
    return Rule(at["check"].text(), Otherwise(at["else"].one_of(ways)) if "else" in at else Otherwise.FLAG)


def _guards(policy: Policy, place: Place) -> Policy:
    return replace(policy, guards=tuple(guards.read(item) for item in _few(place)))


def _value(policy: Policy, place: Place) -> Policy:
    return replace(policy, value=payoffs.sql(place) if isinstance(place.value, dict) else place.text())


def _word(policy: Policy, place: Place, what: str, words: type[Matures] | type[NoOutcome]) -> Policy:
    return replace(policy, **{what: words(place.one_of(tuple(map(str, words))))})  # type: ignore[arg-type]


def _read_as(policy: Policy, place: Place, what: str, read: Callable[[Place], Any]) -> Policy:
    return replace(policy, **{what: read(place)})


def _fallback(policy: Policy, place: Place) -> Policy:
    at = place.mapping(what="decision")
    for key, value in at.items():
        if isinstance(value.value, dict) or value.value is None:
            raise value.wrong(f"expected a constant for {key!r}, got {value.said()}")
    return replace(policy, fallback={key: value.plain() for key, value in at.items()})


def _columns(policy: Policy, place: Place, what: str) -> Policy:
    fields = tuple(units.column(name, under) for name, under in place.mapping(what="column").items())
    return replace(policy, **{what: fields})  # type: ignore[arg-type]


def _window(policy: Policy, place: Place) -> Policy:
    return replace(policy, outcome_window_s=units.seconds(place))


def _few(place: Place) -> list[Place]:
    items = place.items()
    if len(items) > _LIST_MAX:
        raise place.wrong(f"{len(items)} are too many; the limit is {_LIST_MAX}")
    return items


def _together(policy: Policy, at: dict[str, Place]) -> None:
    """What each line says may be right, and yet not go with another."""
    if policy.no_outcome is NoOutcome.COUNTS and policy.matures is not Matures.WINDOW:
        raise at["no_outcome"].wrong("what never came counts only where predictions wait for it: say 'matures: window'")
    if policy.no_outcome is NoOutcome.COUNTS and "value" in at and isinstance(at["value"].value, dict):
        payoffs.refuse_silence(at["value"])
    if policy.ramp and policy.allocate:
        raise at["allocate"].wrong("a ramp sets the challengers' shares too; keep one of the two")
    seen = set()
    for guard, place in zip(policy.guards, at["guards"].items() if "guards" in at else (), strict=True):
        if words := _misfit(guard, policy):
            raise place.wrong(words)
        if guards.subject(guard) in seen:
            raise place.wrong(f"two guards say {guard.when!r}; each would have its own chance of error: keep one")
        seen.add(guards.subject(guard))


def _misfit(guard: Guard, policy: Policy) -> str | None:
    if guard.when == "same key" and policy.route_by is None:
        return "'same key' needs to know which column is the key; say 'route: {by: COLUMN}'"
    if guard.when != guards.LOSES:
        return None
    if guard.against == "holdout" and not policy.holdout:
        return "nothing is held out to compare with; say 'holdout: 5%', or 'against: nothing'"
    if guard.against == "fallback" and policy.outcome_depends_on_decision:
        return (
            "the outcome depends on the decision, so nobody learns what the fallback would have earned on the same "
            "row; say 'holdout: 5%' and 'against: holdout', or 'against: nothing'"
        )
    return None


_READ: dict[str, Callable[[Policy, Place], Policy]] = {
    "route": _route,
    "decision": partial(_text, what="decision"),
    "value": _value,
    "currency": _currency,
    "matures": partial(_word, what="matures", words=Matures),
    "no_outcome": partial(_word, what="no_outcome", words=NoOutcome),
    "outcome_depends_on_decision": partial(_read_as, what="outcome_depends_on_decision", read=Place.flag),
    "holdout": partial(_read_as, what="holdout", read=traffic.holdout),
    "explore": partial(_read_as, what="explore", read=traffic.explore),
    "covariate": partial(_text, what="covariate"),
    "ramp": partial(_read_as, what="ramp", read=traffic.ramp),
    "allocate": partial(_read_as, what="allocate", read=traffic.allocate),
    "cache": partial(_read_as, what="cache", read=kept.cache),
    "rules": _rules,
    "guards": _guards,
    "fallback": _fallback,
    "context": partial(_columns, what="context"),
    "outcome": partial(_columns, what="outcome"),
    "outcome_window": _window,
}
_MONEY: dict[str, Callable[[Policy], Any]] = {  # written only where they are not as usual
    "matures": lambda policy: str(policy.matures),
    "no_outcome": lambda policy: str(policy.no_outcome),
    "outcome_depends_on_decision": lambda policy: policy.outcome_depends_on_decision,
    "holdout": lambda policy: units.percent(policy.holdout),
    "explore": lambda policy: traffic.explore_said(policy.explore),
    "covariate": lambda policy: policy.covariate,
    "ramp": lambda policy: traffic.ramp_said(policy.ramp),
    "allocate": lambda policy: traffic.allocate_said(policy.allocate),
    "cache": lambda policy: kept.cache_said(policy.cache),
}
KEYS = tuple(_READ)
