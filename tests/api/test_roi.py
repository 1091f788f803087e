"""What versions earned, over HTTP, to the cent."""

from typing import Any

import httpx
import pytest

from tests.shared import PATIENCE_S, until

Made = dict[str, Any]


@pytest.fixture(scope="module")
def told(http: httpx.Client, calls: Made, file: str, artifact: bytes) -> Made:
    """An endpoint with four predictions: two calls, of which one subscribed, one not called, one unknown."""
    form = {"name": "calls", "endpoint": "earns"}
    made = http.post("/deploy", files={"artifact": ("m.onnx", artifact)}, data=form).json()
    assert http.put("/endpoints/earns", content=file.format(name="earns")).status_code == 200
    rows = [{"age": age, "balance": 0.0} for age in (90.0, 80.0, 10.0, 70.0)]
    answers = httpx.post(made["url"], json=rows, timeout=PATIENCE_S).json()["predictions"]
    assert [row["decision"] for row in answers] == [True, True, False, True]
    truths = zip(answers, (True, False, True), strict=False)
    outcomes = [{"prediction_id": row["prediction_id"], "subscribed": truth} for row, truth in truths]
    found: Made = http.post("/endpoints/earns/outcomes", json=outcomes).json()
    return found


def test_value_cost_and_net_per_version(http: httpx.Client, told: Made) -> None:
    found = http.get("/endpoints/earns/roi").json()
    (row,) = found["versions"]
    assert (row["model"], row["version"], row["role"]) == ("calls", 1, "champion")
    assert (row["answered"], row["matured"], row["in_flight"]) == (4, 3, 1)
    assert row["value"] == 60 - 2 - 2
    assert row["net"] == pytest.approx(row["value"] - row["cost"], abs=1e-9)
    assert 0 <= row["cost"] <= http.get("/costs", params={"since": "2d"}).json()["bill"]["total"]
    assert row["vs_fallback"] == row["net"]  # the fallback calls nobody
    assert found["currency"] == "EUR"
    assert found["note"]


def test_days_add_up_to_the_same(http: httpx.Client, told: Made) -> None:
    total, days = until(lambda: at_once(http), "a look between two bookings of what it cost")
    assert days[-1]["net_so_far"] == pytest.approx(total["net"], abs=1e-6)


def at_once(http: httpx.Client) -> tuple[Made, list[Made]] | None:
    """The total and the days; None where something was booked meanwhile."""
    before = http.get("/endpoints/earns/roi").json()["total"]
    days = http.get("/endpoints/earns/roi/days").json()["days"]
    return (before, days) if http.get("/endpoints/earns/roi").json()["total"] == before else None


def test_the_guards_come_to_every_outcome_soon(http: httpx.Client, told: Made) -> None:
    def come() -> bool:
        found = http.get("/endpoints/earns/judged").json()["outcome_id"]
        return found is not None and found >= told["outcome_id"]

    until(come, f"the guards to come to {told['outcome_id']}")


@pytest.mark.parametrize("path", ["roi", "roi/days", "judged", "predictions", "revisions"])
def test_an_endpoint_that_is_none_is_named(http: httpx.Client, calls: Made, path: str) -> None:
    reply = http.get(f"/endpoints/nope/{path}")
    assert (reply.status_code, "nope" in reply.json()["error"]["what"]) == (404, True)


def test_a_column_that_is_no_date_is_refused(http: httpx.Client, told: Made) -> None:
    reply = http.get("/endpoints/earns/roi/days", params={"column": "age'; drop table x"})
    assert reply.status_code == 400
