"""The endpoint's rules, held on every row that is answered."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.records import Column, Otherwise
from payoff.serving.fit import constant
from payoff.serving.live import Live
from payoff.serving.part import Part, fall_back


def hold_rules(live: Live, part: Part) -> Iterator[Part]:
    """Check every rule on every row: flagged rows pass, blocked ones lose their decision, the rest fall back."""
    if not live.rules:
        yield part
        return
    broken = _broken(live, part, part.decision)
    if not any(rows.any() for rows in broken):
        yield part
        return
    part.violations = [
        [rule.check for (rule, _), rows in zip(live.rules, broken, strict=True) if rows[row]]
        for row in range(len(part))
    ]
    replaced, part.blocked = _outcomes(live, broken)
    if replaced.any():
        yield from _replace(live, part, replaced)
    else:
        yield part


def settled(live: Live, part: Part, decision: Column) -> Column:
    """The decisions that rows are answered if this is theirs before the rules are held."""
    if not live.rules:
        return decision
    replaced, blocked = _outcomes(live, _broken(live, part, decision))
    assert live.decision_type is not None  # noqa: S101 - there is a decision
    instead = constant(live.fallback_decision, live.decision_type, len(part))
    valid = np.where(replaced, _valid(instead), _valid(decision)) & ~blocked
    return Column(np.where(replaced, instead.values, decision.values), valid)


def _broken(live: Live, part: Part, decision: Column | None) -> list[NDArray[np.bool_]]:
    """For each rule the rows that break it; one that is null is not met."""
    data: dict[str, Any] = {"inputs": part.inputs, "outputs": part.outputs, "decision": decision}
    held = [expression.evaluate(data) for _, expression in live.rules]
    return [~(column.values.astype(bool) & _valid(column)) for column in held]


def _valid(column: Column) -> NDArray[np.bool_]:
    return np.ones(len(column), bool) if column.valid is None else column.valid


def _outcomes(live: Live, broken: list[NDArray[np.bool_]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows that the fallback answers instead, and those that are blocked."""
    replaced, blocked = (_any(live, broken, what) for what in (Otherwise.FALLBACK, Otherwise.BLOCK))
    return replaced & ~blocked, blocked


def _any(live: Live, broken: list[NDArray[np.bool_]], what: Otherwise) -> NDArray[np.bool_]:
    found = np.zeros(len(broken[0]), bool)
    for (rule, _), rows in zip(live.rules, broken, strict=True):
        if rule.otherwise is what:
            found |= rows
    return found


def _replace(live: Live, part: Part, replaced: NDArray[np.bool_]) -> Iterator[Part]:
    keep, lose = np.flatnonzero(~replaced), np.flatnonzero(replaced)
    if len(keep):
        yield part.pick(keep)
    lost = part.pick(lose)
    swapped = fall_back(live, lost, "fallback: a rule was broken", "rule")
    swapped.violations, swapped.propensity = lost.violations, lost.propensity
    yield swapped
