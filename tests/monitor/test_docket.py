"""Cases of an endpoint: who is judged by which rows, in any batches."""

import numpy as np
import pyarrow as pa
import pytest

from payoff.experiment import BEATS, LOSES, Question
from payoff.ledger import Prices
from payoff.monitor.docket import Docket, Matured, matured, told
from payoff.monitor.lives import Brief
from payoff.records import Arm, Role, Served, Signature

NAN = float("nan")
ARM = Arm("a", Role.CHAMPION, "m", 1, Served("onnx", "0" * 64, Signature((), ())))
HOUR_NS = 3_600_000_000_000


def brief(
    kind: str = LOSES, version: int = 1, against: str = "fallback", since: int = 1, until: int | None = None
) -> Brief:
    return Brief(Question(kind, "m", version, against, 0.01, 10.0), ARM, since, until)


def rows(*each: tuple[str, int, str, float, float, float]) -> Matured:
    ids, revision, arm, worth, fallback, cost = zip(*each, strict=True)
    return Matured(
        np.array(ids, object),
        np.array(revision),
        np.array(arm, object),
        np.array(worth),
        np.array(fallback),
        np.array(cost),
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
    found = told(brief(), ROWS)
    assert found.ids.tolist() == ["a", "c", "d"]
    assert found.swing.tolist() == pytest.approx([3.0, NAN, 5.0], nan_ok=True)
    assert found.money.tolist() == pytest.approx([2.5, NAN, 4.5], nan_ok=True)


def test_against_nothing_only_its_own_value_counts() -> None:
    assert told(brief(against="nothing"), ROWS).money.tolist() == pytest.approx([4.5, NAN, 5.5], nan_ok=True)


def test_challenger_and_champion_are_compared_where_both_were_asked() -> None:
    found = told(brief(BEATS, 2, "m v1"), ROWS)
    assert found.ids.tolist() == ["a", "c", "d"]
    assert found.swing.tolist() == pytest.approx([-4.0, NAN, -2.0], nan_ok=True)
    assert found.money.tolist() == pytest.approx([-3.75, NAN, -1.75], nan_ok=True)


def test_only_rows_of_the_present_life_count() -> None:
    assert told(brief(since=2), ROWS).ids.tolist() == ["c", "d"]
    assert told(brief(since=1, until=3), ROWS).ids.tolist() == ["a", "c"]


def test_a_docket_comes_to_the_same_cases_however_the_rows_come() -> None:
    asked = [brief(), brief(version=2), brief(BEATS, 2, "m v1")]
    one, many = Docket(), Docket()
    one.ask(asked)
    many.ask(asked)
    one.hear(ROWS)
    for start, stop in ((0, 2), (2, 4), (4, 4), (4, 6), (6, 8)):
        many.hear(ROWS.take(slice(start, stop)))
    assert [one.case(each) for each in asked] == [many.case(each) for each in asked]
    assert one.through == many.through == "d"
    assert one.case(asked[0]).unknown == 1


def test_a_question_that_is_asked_again_goes_on_where_it_was() -> None:
    docket = Docket()
    docket.ask([brief()])
    docket.hear(ROWS)
    docket.ask([brief(version=2)])
    docket.ask([brief()])
    assert docket.case(brief()).bets.n == 2


def test_journal_rows_become_arrays() -> None:
    table = pa.table(
        {
            "id": ["a", "a"],
            "model": ["m", None],
            "version": pa.array([3, None], pa.int64()),
            "value": pa.array([1.5, None], pa.float64()),
            "baseline": pa.array([None, 2.0], pa.float64()),
            "cpu_ns": pa.array([HOUR_NS, 0], pa.int64()),
        }
    )
    found = matured(table, np.array([1, 2]), Prices(31_611))
    assert found.arm.tolist() == ["m v3", ""]
    assert found.worth.tolist() == pytest.approx([1.5, NAN], nan_ok=True)
    assert found.fallback.tolist() == pytest.approx([NAN, 2.0], nan_ok=True)
    assert found.cost.tolist() == pytest.approx([0.031611, 0])
