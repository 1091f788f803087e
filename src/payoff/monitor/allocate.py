"""Shares that follow the money: Thompson sampling over champion and challengers, each arm with a floor.

Shares change by an order, so every prediction has its propensity on record, and no share changes while something is
wrong on the endpoint.
"""

from collections.abc import Mapping, Sequence

from payoff.records.endpoint import Allocate, Arm, Role
from payoff.stats.beliefs import allocation
from payoff.stats.intervals import Sums

ROWS_LEAST = 30  # of every arm, before beliefs about it move its share
MOVED_LEAST = 0.01  # a change of shares smaller than that is none
SECOND_US = 1_000_000


def shares(
    policy: Allocate, arms: Sequence[Arm], worth: Mapping[str, Sums], changed_us: int, now_us: int
) -> dict[str, float] | None:
    """The challengers' next shares by "model:version"; None if nothing is due.

    `worth` holds the matured decisions of each arm ("model v2"), in units net of compute.
    """
    champion = [arm for arm in arms if arm.role is Role.CHAMPION]
    challengers = [arm for arm in arms if arm.role is Role.CHALLENGER]
    if not champion or not challengers or now_us - changed_us < policy.every_s * SECOND_US:
        return None
    asked = [*champion, *challengers]
    sums = [worth.get(f"{arm.model} v{arm.version}", Sums()) for arm in asked]
    if min(one.n for one in sums) < ROWS_LEAST:
        return None
    found = allocation(sums, policy.floor)
    next_shares = {f"{arm.model}:{arm.version}": round(float(s), 4) for arm, s in zip(asked, found, strict=True)}
    moved = max(abs(next_shares[f"{arm.model}:{arm.version}"] - arm.traffic) for arm in challengers)
    del next_shares[f"{champion[0].model}:{champion[0].version}"]
    return next_shares if moved >= MOVED_LEAST else None
