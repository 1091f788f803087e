"""Before an experiment: how many decisions, and how much money, until a verdict.

By simulating the test as it really runs: the betting test since launch, and the detector of a later change beside it,
looked at after every decision, against a stated cap or the learned one. No formula stands between.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import exp, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.stats.betting import Bets, fold, losses
from payoff.stats.caps import Seen, caps
from payoff.stats.detector import Detector, detect

SAMPLE_MIN = 30  # recorded amounts before they have a shape
_RARE = 20  # one in so many
_STRETCH = 256  # decisions of the first look ahead; each one is twice the last

Floats = NDArray[np.float64]
Seed = int | np.random.Generator
Draw = Callable[[np.random.Generator, int], Floats]


@dataclass(frozen=True, slots=True)
class Power:
    """What to expect. Decisions count up to and including the verdict; None where fewer runs than that reached one.

    `share` is the share of runs with a verdict within `horizon` decisions. `loss_*` is money lost up to the verdict (or
    the horizon), in the unit of the effect; below 0 if money was made.
    """

    share: float
    median: int | None
    p90: int | None
    loss_median: float
    loss_p90: float
    runs: int
    horizon: int


@dataclass(frozen=True, slots=True)
class _Guard:
    """The tests of one run: their bars, and the state they are in."""

    error: float
    every: float | None
    cap: float | None
    bets: Bets = field(default_factory=Bets)
    detector: Detector = field(default_factory=Detector)
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        if not 0 < self.error < 1:
            raise BadInput(f"an error of {self.error} is no chance; say one above 0 and below 1")
        if self.every is not None and not self.every >= 1:
            raise BadInput(f"a false stop every {self.every} decisions is none; say at least 1")
        if self.cap is not None and not 0 < self.cap < np.inf:
            raise BadInput(f"a cap of {self.cap} is no amount; say one above 0, or none to learn it")

    def watch(self, money: Floats) -> "tuple[_Guard, int | None]":
        """The state after these decisions, and the first of them with a verdict."""
        seen, learned = caps(self.seen, money) if self.cap is None else (self.seen, self.cap)
        z = losses(money, learned)
        folded = fold(self.bets, z, self.error)
        detected = None if self.every is None else detect(self.detector, z, self.every)
        firsts = [found.first for found in (folded, detected) if found is not None and found.first is not None]
        detector = self.detector if detected is None else detected.detector
        after = replace(self, bets=folded.bets, detector=detector, seen=seen)
        return after, min(firsts, default=None)


def power(
    effect: float,
    spread: float,
    *,
    error: float = 0.01,
    every: float | None = None,
    cap: float | None = None,
    shape: str | Floats = "normal",
    verdict: Literal["kill", "promote"] = "kill",
    good: int = 0,
    runs: int = 400,
    horizon: int = 20_000,
    seed: Seed = 1,
) -> Power:
    """Decisions and money until a verdict for a model that earns `effect` per decision on average, below 0 if it loses.

    `spread` is the standard deviation of a decision's money; `cap` the gain a decision is credited with at most (for
    "promote": the loss), None for the learned one; `every` the decisions between two false stops of the detector of
    later changes, None for none (a promotion has none). `shape` is one of SHAPES, or recorded money (n,), of which only
    the shape is used: it is shifted and stretched to effect and spread. With `good`, the model first makes that many
    decisions that earn what it then loses, and all is counted from the turn. BadInput says what cannot be used.
    """
    _check(effect, spread, every, verdict, min(good + 1, runs, horizon))
    start, draw, rng = _Guard(error, every, cap), _draw(shape), np.random.default_rng(seed)
    side = 1.0 if verdict == "kill" else -1.0
    stops, lost = np.empty(runs), np.empty(runs)
    for run in range(runs):
        guard = start.watch(side * (spread * draw(rng, good) - effect))[0] if good else start
        stops[run], lost[run] = _run(guard, lambda n: effect + spread * draw(rng, n), side, horizon)
    median, p90 = np.quantile(stops, [0.5, 0.9], method="inverted_cdf")
    loss_median, loss_p90 = np.quantile(lost, [0.5, 0.9])
    share = float(np.isfinite(stops).mean())
    return Power(share, _decisions(median), _decisions(p90), float(loss_median), float(loss_p90), runs, horizon)


def _run(guard: _Guard, earn: Callable[[int], Floats], side: float, horizon: int) -> tuple[float, float]:
    """Decisions to the verdict, infinite if there was none, and the money lost by then."""
    done, lost, stretch = 0, 0.0, _STRETCH
    while done < horizon:
        money = earn(min(stretch, horizon - done))
        guard, first = guard.watch(side * money)
        if first is not None:
            return done + first + 1.0, lost - float(money[: first + 1].sum())
        done, lost, stretch = done + len(money), lost - float(money.sum()), 2 * stretch
    return np.inf, lost


def _decisions(stop: float) -> int | None:
    return int(stop) if np.isfinite(stop) else None


def _lognormal(sigma: float) -> Draw:
    mean, spread = exp(sigma**2 / 2), sqrt((exp(sigma**2) - 1) * exp(sigma**2))
    return lambda rng, n: (np.exp(sigma * rng.standard_normal(n)) - mean) / spread


def _rare(side: float) -> Draw:
    """Two amounts, one of them one time in _RARE."""
    large = sqrt(_RARE - 1)
    return lambda rng, n: side * np.where(rng.random(n) < 1 / _RARE, large, -1 / large)


SHAPES: dict[str, Draw] = {  # all with mean 0 and standard deviation 1
    "normal": lambda rng, n: rng.standard_normal(n),
    "lognormal 1": _lognormal(1),
    "lognormal 2": _lognormal(2),
    "student t 3": lambda rng, n: rng.standard_t(3, n) / sqrt(3),
    "rare gains": _rare(1),
    "rare losses": _rare(-1),
}


def _draw(shape: str | Floats) -> Draw:
    if isinstance(shape, str):
        if shape not in SHAPES:
            raise BadInput(f"no shape called {shape!r}; there are: {', '.join(SHAPES)}; or send recorded amounts")
        return SHAPES[shape]
    if len(shape) < SAMPLE_MIN or not np.isfinite(shape).all() or not shape.std() > 0:
        raise BadInput(
            f"{len(shape)} recorded amounts have no shape; send at least {SAMPLE_MIN} finite ones that differ"
        )
    scaled = (shape - shape.mean()) / shape.std()
    return lambda rng, n: rng.choice(scaled, n)


def _check(effect: float, spread: float, every: float | None, verdict: str, fewest: int) -> None:
    if not (np.isfinite(effect) and 0 < spread < np.inf):
        raise BadInput(f"an effect of {effect} with a spread of {spread}: say finite money, and a spread above 0")
    if verdict not in ("kill", "promote"):
        raise BadInput(f"no verdict called {verdict!r}; there are: kill, promote")
    if verdict == "promote" and every is not None:
        raise BadInput("a promotion has no detector of later changes; leave out `every`")
    if fewest < 1:
        raise BadInput("runs and horizon are counts of at least 1, and good decisions of at least 0")
