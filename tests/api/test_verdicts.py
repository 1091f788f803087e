"""How every question stands, what is on file, and a verdict computed again, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.shared import PATIENCE_S, until

Made = dict[str, Any]
GUARDS = """
guards:
  - {when: loses money, against: fallback, error: 1%, gain_cap: 20, do: kill}
"""


@pytest.fixture(scope="module")
def killed(http: httpx.Client, calls: Made, file: str, artifact: bytes) -> Made:
    """An endpoint whose model called 200 people in vain, and was killed for it."""
    form = {"name": "calls", "endpoint": "loses"}
    made = http.post("/deploy", files={"artifact": ("m.onnx", artifact)}, data=form).json()
    assert http.put("/endpoints/loses", content=file.format(name="loses") + GUARDS).status_code == 200
    rows = [{"age": 90.0, "balance": 0.0}] * 200
    answers = httpx.post(made["url"], json=rows, timeout=PATIENCE_S).json()["predictions"]
    http.post(
        "/endpoints/loses/outcomes", json=[{"prediction_id": a["prediction_id"], "subscribed": False} for a in answers]
    )
    until(lambda: latest(http)["verb"] == "kill", "the guard to kill it")
    return until(lambda: reached(http), "a verdict that has been reached")


def latest(http: httpx.Client) -> Made:
    """The newest order."""
    found: Made = http.get("/orders", params={"endpoint": "loses"}).json()["orders"][0]
    return found


def reached(http: httpx.Client) -> Made | None:
    """How the questions stand, as soon as the watch has seen the kill, too."""
    found: Made = http.get("/endpoints/loses/verdicts").json()
    return found if found["now"][0]["reached"] else None


def test_a_verdict_on_file_says_what_it_rests_on(http: httpx.Client, killed: Made) -> None:
    (filed,) = killed["on_file"]
    assert (filed["model"], filed["question"], filed["mean"]) == (
        "calls",
        "loses money against fallback",
        pytest.approx(-2, abs=1e-3),
    )
    assert filed["e_value"] >= filed["threshold"] == 100
    assert len(filed["rows"]) == 64
    order = latest(http)
    assert (order["verb"], order["evidence"]["verdict"], order["evidence"]["rows"]) == (
        "kill",
        filed["id"],
        filed["rows"],
    )


def test_it_is_computed_again_from_its_rows_alone(http: httpx.Client, killed: Made) -> None:
    (filed,) = killed["on_file"]
    found = http.get(f"/verdicts/{filed['id']}/again").json()
    assert found["again"]["same"] is True
    assert found["again"]["e_value"] == pytest.approx(filed["e_value"], rel=1e-9)
    assert "earned 2.00 EUR less per prediction than the fallback" in found["again"]["text"]


def test_every_question_says_how_it_stands_and_what_would_change_it(http: httpx.Client, killed: Made) -> None:
    (now,) = http.get("/endpoints/loses/verdicts").json()["now"]
    assert (now["question"], now["reached"], now["test"]) == ("loses money against fallback", True, "since launch")
    assert now["guard"] == {"when": "loses money", "do": "kill", "error": 0.01}
    assert now["outlook"].startswith("The verdict stands")


def test_no_such_verdict_and_no_such_endpoint(http: httpx.Client, calls: Made) -> None:
    assert http.get("/verdicts/999999/again").status_code == 404
    assert http.get("/endpoints/nope/verdicts").status_code == 404
