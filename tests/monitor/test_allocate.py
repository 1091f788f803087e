"""Shares that follow the money."""

from payoff.monitor.allocate import shares
from payoff.records.endpoint import Allocate, Arm, Role
from payoff.records.model import Served
from payoff.records.signature import Signature
from payoff.stats.intervals import Sums

SERVED = Served("rule", "0" * 64, Signature((), ()))
ARMS = [
    Arm("champion", Role.CHAMPION, "loans", 1, SERVED),
    Arm("challenger", Role.CHALLENGER, "loans", 2, SERVED, 0.3),
    Arm("challenger-2", Role.CHALLENGER, "loans", 3, SERVED, 0.3),
]
HOUR_US = 3_600_000_000


def sums(n: int, mean: float, spread: float = 1.0) -> Sums:
    return Sums(n, n * mean, n * (mean**2 + spread**2))


def test_the_arm_that_earns_most_gets_most_and_every_arm_its_floor() -> None:
    worth = {"loans v1": sums(500, 1.0), "loans v2": sums(500, 2.0), "loans v3": sums(500, 0.0)}
    found = shares(Allocate(floor=0.05), ARMS, worth, 0, HOUR_US)
    assert found == {"loans:2": 0.9, "loans:3": 0.05}


def test_arms_that_earn_alike_share_alike() -> None:
    worth = dict.fromkeys(("loans v1", "loans v2", "loans v3"), sums(200, 1.0))
    found = shares(Allocate(floor=0.05), ARMS, worth, 0, HOUR_US)
    assert found is not None
    assert all(abs(share - 1 / 3) < 0.01 for share in found.values())


def test_nothing_moves_before_its_time_or_before_every_arm_is_known() -> None:
    worth = {"loans v1": sums(500, 1.0), "loans v2": sums(500, 2.0), "loans v3": sums(29, 0.0)}
    assert shares(Allocate(), ARMS, worth, 0, HOUR_US) is None
    worth["loans v3"] = sums(30, 0.0)
    assert shares(Allocate(), ARMS, worth, 0, HOUR_US - 1) is None
    assert shares(Allocate(), ARMS, worth, 0, HOUR_US) is not None


def test_a_change_that_is_none_is_no_order() -> None:
    worth = {"loans v1": sums(500, 1.0), "loans v2": sums(500, 2.0), "loans v3": sums(500, 0.0)}
    found = shares(Allocate(floor=0.05), ARMS, worth, 0, HOUR_US)
    assert found is not None
    there = [ARMS[0], *(Arm(a.name, a.role, a.model, a.version, SERVED, found[f"loans:{a.version}"]) for a in ARMS[1:])]
    assert shares(Allocate(floor=0.05), there, worth, 0, HOUR_US) is None
