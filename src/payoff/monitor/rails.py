"""Guardrails: what a challenger may not make worse while it earns more: latency, errors, broken rules, cost.

Measured on the calls that a version answered itself, those on which it failed included. Not worse by more than a
margin, at every look (stats/sequential); each guardrail has its part of the error, so that all of them hold together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log1p

import numpy as np

from payoff.monitor.matured import Matured
from payoff.stats.intervals import Sums
from payoff.stats.sequential import noninferior

_ONE_EACH = Sums(2, 1.0, 1.0)  # one call with a fault and one without: nobody is faultless after a few calls
_SAYS = {
    "latency": "it is slower by more than {0}%",
    "errors": "it fails more often, by more than {0}% of its calls",
    "violations": "it breaks rules more often, by more than {0}% of its calls",
    "cost": "a decision of it costs over {0}% more",
}
_ASKS = {
    "latency": "that it is at most {0}% slower",
    "errors": "that it fails more often by at most {0}% of its calls",
    "violations": "that it breaks rules more often by at most {0}% of its calls",
    "cost": "that a decision of it costs at most {0}% more",
}


@dataclass(frozen=True, slots=True)
class Rails:
    """One version's calls: sums of the log of their latency (us), of failures, of broken rules, of cost (units)."""

    latency: Sums = field(default_factory=Sums)
    errors: Sums = field(default_factory=Sums)
    violations: Sums = field(default_factory=Sums)
    cost: Sums = field(default_factory=Sums)

    def after(self, rows: Matured, name: str) -> "Rails":
        """With the calls among these rows that came to this version ("model v2")."""
        own = rows.take((rows.side == name) & ~rows.shadow)
        return Rails(
            self.latency + Sums.of(np.log(np.maximum(own.latency_us[~own.failed], 1).astype(np.float64))),
            self.errors + Sums.of(own.failed.astype(np.float64)),
            self.violations + Sums.of(own.violated.astype(np.float64)),
            self.cost + Sums.of(own.cost),
        )


def blocks(challenger: Rails, champion: Rails, margins: Mapping[str, float], error: float) -> list[str]:
    """What speaks against a promotion, or is not known yet, in words; empty if all guardrails hold."""
    found = []
    for name, margin in margins.items():
        holds = _holds(name, challenger, champion, margin, error / len(margins))
        if not holds:
            words = (_SAYS if holds is False else _ASKS)[name].format(f"{margin * 100:.4g}")
            found.append(words if holds is False else f"it is not known yet {words}")
    return found


def _holds(name: str, challenger: Rails, champion: Rails, margin: float, error: float) -> bool | None:
    mine, theirs = getattr(challenger, name), getattr(champion, name)
    if name == "latency":
        return noninferior(mine, theirs, log1p(margin), error, less=True)
    if name == "cost":
        return noninferior(mine, _times(theirs, 1 + margin), 0.0, error, less=True)
    return noninferior(mine + _ONE_EACH, theirs + _ONE_EACH, margin, error, less=True)


def _times(sums: Sums, factor: float) -> Sums:
    return Sums(sums.n, sums.total * factor, sums.squares * factor**2)
