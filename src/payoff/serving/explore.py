"""Exploring: some rows are decided at random, and every row knows how likely its decision was."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from payoff.records import Column, Explore
from payoff.routing import OWN, draw, propensity
from payoff.serving.fit import constant
from payoff.serving.live import Live
from payoff.serving.part import Part
from payoff.serving.rules import settled


def explored(live: Live, part: Part, how: Explore, points: NDArray[np.float64]) -> Iterator[Part]:
    """The rows that decide themselves and those that are drawn, by `points` in [0, 1); rules are yet to be held.

    The propensity is that of the decision a row is answered with, after the rules: where a rule makes one of two
    decisions, both ways to it count.
    """
    own, kind = part.decision, live.decision_type
    assert own is not None  # noqa: S101 - exploring needs a decision; deploying sees to it
    assert kind is not None  # noqa: S101
    among = [constant(value, kind, len(part)) for value in how.among]
    drawn = draw(how.share, len(among), points)
    part.decision = _chosen(own, among, drawn)
    answered = settled(live, part, part.decision)
    same = [_same(settled(live, part, decision), answered) for decision in (own, *among)]
    part.propensity = propensity(how.share, same[0], same[1:])
    yield from _apart(live, part, drawn != OWN)


def _apart(live: Live, part: Part, drawn: NDArray[np.bool_]) -> Iterator[Part]:
    if not drawn.any():
        yield part
        return
    if not drawn.all():
        yield part.pick(np.flatnonzero(~drawn))
    lot = part.pick(np.flatnonzero(drawn))
    lot.choice, lot.why = "explore", live.explored_why
    yield lot


def _chosen(own: Column, among: list[Column], drawn: NDArray[np.intp]) -> Column:
    """Each row's own decision, or the one that was drawn for it."""
    values = own.values.copy()
    for place, decision in enumerate(among):
        values[drawn == place] = decision.values[drawn == place]
    return Column(values, None if own.valid is None else own.valid | (drawn != OWN))


def _same(one: Column, other: Column) -> NDArray[np.bool_]:
    """Where two columns say the same, or both nothing."""
    a, b = one.values, other.values
    alike: NDArray[np.bool_] = (a == b) | ((a != a) & (b != b))
    if one.valid is None and other.valid is None:
        return alike
    here = np.ones(len(one), bool) if one.valid is None else one.valid
    there = np.ones(len(other), bool) if other.valid is None else other.valid
    return np.where(here & there, alike, here == there)
