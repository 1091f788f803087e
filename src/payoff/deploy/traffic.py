"""How a file says which rows go where beside the arms' own shares: hold-out, exploring, ramp, allocation."""

from typing import Any

from payoff.codecs import units
from payoff.codecs.document import Place
from payoff.records.endpoint import Allocate, Explore, Ramp

_STEPS_MAX = 64
_CHOICES_MAX = 64
_DECISIONS_MAX = 10**9
_BOOLEANS = (True, False)


def holdout(place: Place) -> float:
    """The share of the traffic that the fallback decides, to compare with."""
    share = place.share()
    if share == 1:
        raise place.wrong("holding out 100% would ask no model at all; say less")
    return share


def explore(place: Place) -> Explore | None:
    """A share alone, for conditions; or {share, among} for other decisions. None for 0%."""
    if not isinstance(place.value, dict):
        share = place.share()
        return Explore(share) if share else None
    at = place.mapping(("share", "among"))
    if "share" not in at:
        raise place.wrong("exploring needs 'share', as in {share: 2%, among: [low, high]}")
    share = at["share"].share()
    found = Explore(share, _among(at["among"])) if "among" in at else Explore(share)
    return found if share else None


def explore_said(one: Explore | None) -> Any:
    """As `explore` reads it."""
    if one is None:
        return None
    if all(choice is usual for choice, usual in zip(one.among, _BOOLEANS, strict=False)) and len(one.among) == 2:
        return units.percent(one.share)
    return {"share": units.percent(one.share), "among": list(one.among)}


def ramp(place: Place) -> Ramp:
    """{steps, loss_budget, step_decisions, step}; only the budget has to be said."""
    at = place.mapping(("steps", "loss_budget", "step_decisions", "step"))
    if "loss_budget" not in at:
        raise place.wrong("a ramp needs 'loss_budget', the most money that it may cost, as in {loss_budget: 500}")
    budget = at["loss_budget"].number()
    if budget <= 0:
        raise at["loss_budget"].wrong("the most money that a ramp may cost is more than 0")
    usual = Ramp(loss_budget=budget)
    return Ramp(
        _steps(at["steps"]) if "steps" in at else usual.steps,
        budget,
        units.whole(at["step_decisions"], 1, _DECISIONS_MAX) if "step_decisions" in at else usual.step_decisions,
        units.seconds(at["step"]) if "step" in at else usual.step_s,
    )


def ramp_said(one: Ramp | None) -> dict[str, Any] | None:
    """As `ramp` reads it."""
    if one is None:
        return None
    said = {
        "steps": [units.percent(step) for step in one.steps],
        "loss_budget": units.number(one.loss_budget),
        "step_decisions": one.step_decisions,
    }
    return said | ({"step": units.duration(one.step_s)} if one.step_s else {})


def allocate(place: Place) -> Allocate:
    """{by: thompson, floor, every}."""
    at = place.mapping(("by", "floor", "every"))
    if "by" not in at:
        raise place.wrong("say how the shares are found: {by: thompson}")
    at["by"].one_of(("thompson",))
    usual = Allocate()
    floor = at["floor"].share() if "floor" in at else usual.floor
    if not 0 < floor <= 0.5:
        raise at["floor"].wrong(f"{at['floor'].said()} is no floor; say more than 0% and at most 50%")
    return Allocate(floor, units.seconds(at["every"]) if "every" in at else usual.every_s)


def allocate_said(one: Allocate | None) -> dict[str, Any] | None:
    """As `allocate` reads it."""
    if one is None:
        return None
    return {"by": "thompson", "floor": units.percent(one.floor), "every": units.duration(one.every_s)}


def _steps(place: Place) -> tuple[float, ...]:
    steps = tuple(step.share() for step in place.items())
    if not 1 <= len(steps) <= _STEPS_MAX:
        raise place.wrong(f"{len(steps)} steps are not 1 to {_STEPS_MAX}")
    for before, step, under in zip((0.0, *steps), steps, place.items(), strict=False):
        if step <= before:
            raise under.wrong("a ramp climbs: each step is more than the one before, as in [1%, 5%, 25%, 100%]")
    return steps


def _among(place: Place) -> tuple[Any, ...]:
    items = place.items()
    for item in items:
        if isinstance(item.value, dict | list) or item.value is None:
            raise item.wrong(f"expected a constant, got {item.said()}")
    choices = tuple(item.plain() for item in items)
    if not 2 <= len(choices) <= _CHOICES_MAX:
        raise place.wrong(f"a draw is among 2 to {_CHOICES_MAX} decisions; here are {len(choices)}")
    if len({(type(one), one) for one in choices}) < len(choices):
        raise place.wrong("a decision is there twice; each is drawn equally often")
    return choices
