"""Whether a goal is met follows from the measured rows, and what was not measured is not judged."""

import pytest

from benchmarks.goals import FASTAPI, GOALS, JSON_32, P99, PAYOFF, PER_S, Row, judged

pytestmark = pytest.mark.docs


def rows(payoff: float, fastapi: float, figure: str = PER_S) -> list[Row]:
    return [{"case": JSON_32, "server": PAYOFF, figure: payoff}, {"case": JSON_32, "server": FASTAPI, figure: fastapi}]


def told(words: str, measured: list[Row]) -> Row:
    return next(row for row in judged(measured) if row["goal"] == words)


@pytest.mark.parametrize(("payoff", "met"), [(40_000, "met"), (39_999, "NOT MET")])
def test_a_goal_is_met_from_its_bound_on(payoff: float, met: str) -> None:
    assert told("JSON, to FastAPI", rows(payoff, 4_000))[""] == met


def test_a_latency_is_to_be_at_most_its_bound() -> None:
    assert told("p99 at 32 connections, to FastAPI", rows(900, 10_000, P99))[""] == "met"
    assert told("p99 at 32 connections, to FastAPI", rows(2_100, 10_000, P99))[""] == "NOT MET"


def test_the_other_servers_ratio_is_carried_over_by_the_yardstick() -> None:
    assert told("JSON, to FastAPI", rows(40_000, 4_000))["against Triton, carried over"] == 2.5


def test_what_was_not_measured_is_not_judged() -> None:
    assert {row[""] for row in judged([])} == {"not measured"}
    assert len(judged([])) == len(GOALS)
