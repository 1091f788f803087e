"""A verdict is computed again from its rows and settings alone, to the last digits."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payoff.errors import BadInput, Conflict
from payoff.experiment import BEATS, LOSES, SAME, Case, Question, Rows, again, judge, pack, settings, unpack


def rows(seed: int, n: int, drawn: bool) -> Rows:
    rng = np.random.default_rng(seed)
    money = rng.normal(-2, 5, n)
    money[::9] = np.nan
    ids = np.array([f"{number:06}" for number in range(n)], object)
    if not drawn:
        return Rows(ids, money, money + 0.1)
    own = rng.random(n) < 0.5
    return Rows(ids, money, money + 0.1, np.where(own, 2.0, -2.0), np.full(n, 2.0))


@example(LOSES, False, 10.0, 5, 56)  # both tests suffice at one row
@given(
    st.sampled_from([LOSES, BEATS, SAME]),
    st.booleans(),
    st.sampled_from([10.0, None]),
    st.integers(0, 99),
    st.integers(1, 400),
)
def test_the_same_evidence_comes_out(kind: str, drawn: bool, cap: float | None, seed: int, n: int) -> None:
    question = Question(kind, "m", 2, "m v1", cap, "EUR", drawn, 1.0)
    told = rows(seed, n, drawn)
    case = judge(Case(question, 0.01, 1_000), told)
    read = unpack(pack(told.take(told.ids <= (case.last_id or ""))))
    found = again(json.loads(json.dumps(settings(case))), read)
    assert found.log_e == pytest.approx(case.log_e, rel=1e-9, abs=1e-9)
    assert (found.tested, found.last_id, found.test) == (case.tested, case.last_id, case.test)


def test_rows_that_are_none_are_refused() -> None:
    with pytest.raises(BadInput, match="no rows of a verdict"):
        unpack(b"not Parquet")


def test_a_payoff_that_computes_otherwise_says_so() -> None:
    case = judge(Case(Question(LOSES, "m", 1, "nothing")), rows(1, 50, False))
    said = settings(case) | {"arithmetic": {**settings(case)["arithmetic"], "stakes": [0.5]}}
    with pytest.raises(Conflict, match="stakes changed"):
        again(said, rows(1, 50, False))
