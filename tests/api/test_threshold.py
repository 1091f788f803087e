"""The threshold, the experiment and the page over HTTP: what they say, and what they say no with."""

from typing import Any

import httpx
import pytest

from tests.shared import PATIENCE_S

Made = dict[str, Any]


@pytest.fixture(scope="module")
def young(http: httpx.Client, calls: Made, file: str, artifact: bytes) -> str:
    """An endpoint with a value and a threshold, and one prediction whose outcome is not known."""
    made = http.post(
        "/deploy", files={"artifact": ("m.onnx", artifact)}, data={"name": "calls", "endpoint": "young"}
    ).json()
    assert http.put("/endpoints/young", content=file.format(name="young")).status_code == 200
    httpx.post(made["url"], json=[{"age": 90.0, "balance": 0.0}], timeout=PATIENCE_S).raise_for_status()
    return "young"


@pytest.fixture(scope="module")
def bare(http: httpx.Client, calls: Made, artifact: bytes) -> str:
    """An endpoint nobody said anything about."""
    form = {"name": "calls", "endpoint": "bare"}
    http.post("/deploy", files={"artifact": ("m.onnx", artifact)}, data=form).raise_for_status()
    return "bare"


def refusal(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["what"]


def test_without_a_value_there_is_no_threshold(http: httpx.Client, bare: str) -> None:
    status, what = refusal(http.get(f"/endpoints/{bare}/threshold"))
    assert (status, "bare has no value: say in its file" in what) == (400, True)


def test_before_outcomes_have_come_both_say_what_is_missing(http: httpx.Client, young: str) -> None:
    for path, words in (("threshold", "a threshold needs 100"), ("experiment", "send outcomes, or wait")):
        status, what = refusal(http.get(f"/endpoints/{young}/{path}"))
        assert (status, words in what) == (409, True), what


def test_a_threshold_is_not_moved_without_evidence(http: httpx.Client, young: str) -> None:
    before = http.get(f"/endpoints/{young}").json()["revision"]
    assert http.post(f"/endpoints/{young}/threshold", json={}).status_code == 409
    assert http.get(f"/endpoints/{young}").json()["revision"] == before


@pytest.mark.parametrize(
    ("by", "words"),
    [("inputs.", "cannot read"), ("inputs.nope", "did you mean|there is no column"), ("outcome.subscribed", "outcome")],
)
def test_an_expression_that_does_not_fit_is_answered_with_why(
    http: httpx.Client, young: str, by: str, words: str
) -> None:
    status, what = refusal(http.get(f"/endpoints/{young}/experiment", params={"by": by}))
    assert status == 400
    assert any(word in what for word in words.split("|")), what


def test_the_page_of_one_endpoint_and_of_all(http: httpx.Client, young: str, bare: str) -> None:
    one, every = http.get(f"/endpoints/{young}/roi/page"), http.get("/roi/page")
    assert one.headers["content-type"].startswith("text/html")
    assert one.text.count("<article>") == 1
    assert every.text.count("<article>") >= 2
    assert "What young earned" in every.text


def test_all_statements_at_once_are_never_added_up(http: httpx.Client, young: str, bare: str) -> None:
    found = http.get("/roi").json()
    assert set(found) == {"statements"}
    assert {"young", "bare"} <= {one["endpoint"] for one in found["statements"]}


@pytest.mark.parametrize("path", ["threshold", "experiment", "roi/page"])
def test_an_endpoint_that_is_none_is_named(http: httpx.Client, young: str, path: str) -> None:
    status, what = refusal(http.get(f"/endpoints/nope/{path}"))
    assert (status, "nope" in what) == (404, True)
