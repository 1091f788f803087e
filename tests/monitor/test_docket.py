"""Cases of an endpoint: who is judged by which rows, in any batches."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from payoff.experiment import BEATS, LOSES, Question
from payoff.ledger import Prices
from payoff.monitor.docket import Docket, told
from payoff.monitor.lives import Bar, Brief
from payoff.monitor.matured import Matured, matured
from payoff.records import Arm, Revision, Role, Served, Signature

NAN = float("nan")
ARM = Arm("a", Role.CHAMPION, "m", 1, Served("onnx", "0" * 64, Signature((), ())))
HOUR_NS = 3_600_000_000_000


def brief(
    kind: str = LOSES, version: int = 1, against: str = "fallback", since: int = 1, until: int | None = None
) -> Brief:
    rival = ("m", 1) if kind == BEATS else None
    return Brief(Question(kind, "m", version, against, 10.0), ARM, since, until, rival=rival, bars=(Bar(0, 0.01),))


def rows(*each: tuple[str, int, str, float, float, float]) -> Matured:
    ids, revision, arm, worth, fallback, cost = zip(*each, strict=True)
    no, nothing = np.zeros(len(ids), bool), np.zeros(len(ids), np.int64)
    return Matured(
        ids=np.array(ids, object),
        revision=np.array(revision),
        arm=np.array(arm, object),
        worth=np.array(worth),
        fallback=np.array(fallback),
        cost=np.array(cost),
        side=np.array(arm, object),
        shadow=no,
        explored=no,
        failed=no,
        violated=no,
        latency_us=nothing,
        time_us=nothing,
    )


ROWS = rows(
    ("a", 1, "m v1", 5.0, 2.0, 0.5),
    ("a", 1, "m v2", 1.0, 2.0, 0.25),
    ("b", 1, "", 2.0, 2.0, 0.0),
    ("b", 1, "m v2", 7.0, 2.0, 0.25),
    ("c", 2, "m v1", NAN, NAN, 0.5),
    ("c", 2, "m v2", 3.0, 1.0, 0.25),
    ("d", 3, "m v2", 4.0, 1.0, 0.25),
    ("d", 3, "m v1", 6.0, 1.0, 0.5),
)


def test_a_version_is_measured_against_the_fallback_compute_included() -> None:
    found = told(brief(), ROWS, {})
    assert found.ids.tolist() == ["a", "c", "d"]
    assert found.swing.tolist() == pytest.approx([3.0, NAN, 5.0], nan_ok=True)
    assert found.money.tolist() == pytest.approx([2.5, NAN, 4.5], nan_ok=True)


def test_against_nothing_only_its_own_value_counts() -> None:
    assert told(brief(against="nothing"), ROWS, {}).money.tolist() == pytest.approx([4.5, NAN, 5.5], nan_ok=True)


def test_challenger_and_champion_are_compared_where_both_were_asked() -> None:
    found = told(brief(BEATS, 2, "m v1"), ROWS, {})
    assert found.ids.tolist() == ["a", "c", "d"]
    assert found.swing.tolist() == pytest.approx([-4.0, NAN, -2.0], nan_ok=True)
    assert found.money.tolist() == pytest.approx([-3.75, NAN, -1.75], nan_ok=True)


def test_only_rows_of_the_present_life_count() -> None:
    assert told(brief(since=2), ROWS, {}).ids.tolist() == ["c", "d"]
    assert told(brief(since=1, until=3), ROWS, {}).ids.tolist() == ["a", "c"]


def test_a_docket_comes_to_the_same_cases_however_the_rows_come() -> None:
    asked = [brief(), brief(version=2), brief(BEATS, 2, "m v1")]
    one, many = Docket(), Docket()
    one.open(asked)
    many.open(asked)
    one.hear(ROWS)
    for start, stop in ((0, 2), (2, 4), (4, 4), (4, 6), (6, 8)):
        many.hear(ROWS.take(slice(start, stop)))
    for each in asked:
        here, there = one.case(each), many.case(each)
        assert here.bets.logs == pytest.approx(there.bets.logs)
        assert here.detector.restarts == pytest.approx(there.detector.restarts)
        assert (here.tested, here.unknown, here.last_id, here.seen) == (
            there.tested, there.unknown, there.last_id, there.seen,
        )  # fmt: skip
    assert one.through == many.through == "d"
    assert one.case(asked[0]).unknown == 1


def test_a_question_that_is_asked_again_goes_on_where_it_was() -> None:
    docket = Docket()
    docket.open([brief()])
    docket.hear(ROWS)
    docket.open([brief(version=2)])
    docket.open([brief()])
    assert docket.case(brief()).bets.n == 2


def test_journal_rows_become_arrays() -> None:
    table = pa.table(
        {
            "id": ["a", "a", "b"],
            "time": pa.array([7, 7, 8], pa.timestamp("us")),
            "revision": pa.array([1, 1, 2], pa.int64()),
            "model": ["m", None, None],
            "version": pa.array([3, None, None], pa.int64()),
            "choice": ["explore", "holdout", "failed"],
            "instead_of": ["", "", "champion"],
            "shadow": [False, False, False],
            "violated": [True, False, None],
            "value": pa.array([1.5, None, 1.0], pa.float64()),
            "baseline": pa.array([None, 2.0, 2.0], pa.float64()),
            "fee": pa.array([0.5, 0.0, None], pa.float64()),
            "cpu_ns": pa.array([HOUR_NS, 0, 0], pa.int64()),
            "latency_us": pa.array([9, 9, 9], pa.int64()),
        }
    )
    past = [Revision("e", number, number, "me", "", (replace(ARM, name="champion"),)) for number in (1, 2)]
    found = matured(table, past, Prices(31_611))
    assert found.arm.tolist() == ["m v3", "", ""]
    assert found.side.tolist() == ["m v3", "holdout", "m v1"]
    assert found.worth.tolist() == pytest.approx([1.5, NAN, 1.0], nan_ok=True)
    assert found.fallback.tolist() == pytest.approx([NAN, 2.0, 2.0], nan_ok=True)
    assert found.cost.tolist() == pytest.approx([0.531611, 0, 0])
    assert (found.explored.tolist(), found.failed.tolist()) == ([True, False, False], [False, False, True])
    assert (found.violated.tolist(), found.time_us.tolist()) == ([True, False, False], [7, 7, 8])
