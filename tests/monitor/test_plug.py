"""Would it be stopped in time: evidence, limits and the last drill, as they stand beside the money."""

from typing import Any

import pytest

from payoff.monitor import plain
from tests.monitor.home import LOSES, Home

LIMITS = """  - {when: drawdown, above: 500}
  - {when: loss, above: 300, over: 1h}
  - {when: money at risk, above: 1000, over: 1h, of: case when decision then 2 else 0 end}"""


def plug(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = plain(home.roi())["plug"]
    return found


def test_how_much_of_each_limit_is_used(home: Home) -> None:
    home.apply(guards=LIMITS)
    home.learn(home.answer([True] * 40), [5.0] * 20 + [-6.0] * 20)
    told = {one["when"]: (one["found"], one["above"], one["over"]) for one in plug(home)["limits"]}
    assert told["drawdown"] == (pytest.approx(120.0), 500, "since its best")
    assert told["loss"] == (pytest.approx(20.0), 300, "within 1h")
    assert told["money at risk"] == (80.0, 1000, "within 1h")


def test_a_version_that_is_revived_has_used_nothing(home: Home) -> None:
    home.apply(guards=LIMITS)
    home.learn(home.answer([True] * 40), [-6.0] * 40)
    home.give("kill")
    assert plug(home)["limits"] == []
    home.give("revive")
    assert [one["found"] for one in plug(home)["limits"]] == [0.0, 0.0, 0.0]


def test_the_evidence_of_each_guard_with_what_it_does(home: Home) -> None:
    home.apply(guards=LOSES)
    home.learn(home.answer([True] * 50), [1.0] * 50)
    home.look()
    (meter,) = plug(home)["meters"]
    assert (meter["name"], meter["do"], meter["tested"], meter["reached"]) == ("m v1", "kill", 50, False)
    assert 0 < meter["e_value"] < meter["threshold"]


def test_the_last_drill_and_the_newest_orders_are_told(home: Home) -> None:
    home.apply()
    assert plug(home)["last_drill"] is None
    for n, monitor in enumerate(("drill", "drill", "guards")):
        home.registry.add_finding(
            "bank", at_us=home.now_us + n, monitor=monitor, severity="info", text=f"finding {n}", data={"key": str(n)}
        )
    found = plug(home)
    assert found["last_drill"]["text"] == "finding 1"
    assert [order["verb"] for order in found["orders"]] == ["apply"]
