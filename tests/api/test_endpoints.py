"""One endpoint over HTTP: what it says of itself, files, orders, and refusals that name the way out."""

import re
from itertools import count
from typing import Any

import httpx
import pytest

from tests.shared import until

Made = dict[str, Any]
NUMBERS = count(1)


def said(reply: httpx.Response) -> tuple[int, str]:
    assert set(reply.json()) == {"error"}, reply.text
    return reply.status_code, reply.json()["error"]["what"]


@pytest.fixture
def fresh(http: httpx.Client, artifact: bytes) -> str:
    """An endpoint of its own, with a champion and a challenger."""
    name = f"fresh-{next(NUMBERS)}"
    for form in ({"name": "calls"}, {"name": "rival", "as": "challenger", "traffic": "10%"}):
        made = http.post("/deploy", files={"artifact": ("m.onnx", artifact)}, data=form | {"endpoint": name})
        assert made.status_code == 201, made.text
    return name


def test_an_endpoint_says_what_it_takes_and_how_to_ask_it(http: httpx.Client, calls: Made) -> None:
    found = http.get("/endpoints/calls").json()
    assert found["urls"]["predict"] == calls["url"]
    assert found["policy"]["decision"] == "outputs.probability > 0.5"
    assert [column["name"] for column in found["signature"]["inputs"]] == ["age", "balance"]
    assert [column["name"] for column in found["signature"]["outcome"]] == ["subscribed"]
    assert set(found["schema"]["properties"]) == {"age", "balance"}
    assert "decision: outputs.probability > 0.5" in found["yaml"]


def test_its_own_file_changes_nothing(http: httpx.Client, calls: Made) -> None:
    before = http.get("/endpoints/calls").json()
    assert http.post("/endpoints/calls/diff", content=before["yaml"]).json()["diff"] == ""
    done = http.put("/endpoints/calls", content=before["yaml"]).json()
    assert (done["changed"], done["order"], done["revision"]) == (False, None, before["revision"])


def test_json_is_a_file_too_and_the_diff_tells_before_it_happens(http: httpx.Client, fresh: str) -> None:
    arms = {"champion": {"model": "calls", "version": 1}}
    file = {"endpoint": fresh, "arms": arms, "decision": "outputs.probability > 0.9"}
    preview = http.post(f"/endpoints/{fresh}/diff", json=file).json()["diff"]
    assert "+decision: outputs.probability > 0.9" in preview
    done = http.put(f"/endpoints/{fresh}", json=file, params={"author": "ben", "reason": "be bold"}).json()
    assert (done["changed"], done["diff"], done["order"]["author"]) == (True, preview, "ben")
    assert http.get("/orders", params={"endpoint": fresh}).json()["orders"][0]["reason"] == "be bold"


@pytest.mark.parametrize(("file", "words"), [
    pytest.param("endpoint: [", "no YAML", id="no YAML"),
    pytest.param("", "empty", id="nothing"),
    pytest.param("endpoint: other\narms: {champion: {model: calls, version: 1}}", "not 'calls'", id="another endpoint"),
    pytest.param("endpoint: calls\narms: {champion: {model: calls, version: 1}}\ndecision: outputs.probabilty > 1",
                 "probability", id="a misspelt column"),
    pytest.param("endpoint: calls\narms: {champion: {model: calls, version: 99}}", "version", id="no such version"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(http: httpx.Client, calls: Made, file: str, words: str) -> None:
    reply = http.put("/endpoints/calls", content=file)
    assert said(reply)[0] in (400, 404)
    assert words in said(reply)[1]


def test_a_version_lives_through_its_orders(http: httpx.Client, fresh: str) -> None:
    def order(verb: str, **details: Any) -> Made:
        reply = http.post(f"/endpoints/{fresh}/orders", json={"verb": verb, "author": "anna", **details})
        assert reply.status_code == 200, reply.text
        found: Made = reply.json()
        return {arm["name"]: arm for arm in found["arms"]}

    assert order("ramp", traffic="25%")["challenger"]["traffic"] == 0.25
    assert order("allocate", shares={"challenger": "30%"})["challenger"]["traffic"] == 0.3
    assert order("kill", arm="challenger", reason="loses")["challenger"]["role"] == "killed"
    assert order("revive", arm="rival:1", reason="was noise")["challenger"]["role"] == "challenger"
    assert order("promote")["champion"]["model"] == "rival"
    assert order("rollback", to=2)["champion"]["model"] == "calls"
    verbs = [one["verb"] for one in http.get("/orders", params={"endpoint": fresh}).json()["orders"]]
    assert verbs == ["rollback", "promote", "revive", "kill", "allocate", "ramp", "deploy", "deploy"]


def test_the_audit_trail_can_be_verified(http: httpx.Client, fresh: str) -> None:
    last = http.get("/orders", params={"limit": 1}).json()["orders"][0]
    assert http.get("/orders/verify").json() == {"whole": True, "broken": None, "end": last["chain"]}
    assert last["endpoint"] == fresh


@pytest.mark.parametrize(("order", "status", "words"), [
    pytest.param({"verb": "explode"}, 400, "promote", id="a verb that is none"),
    pytest.param({"verb": "kill"}, 400, "needs a reason", id="a kill without a reason"),
    pytest.param({"verb": "revive", "reason": " "}, 400, "needs a reason", id="a reason that says nothing"),
    pytest.param({"verb": "revive", "reason": "x"}, 409, "promote", id="a move that is not legal"),
    pytest.param({"verb": "ramp"}, 400, "traffic", id="a ramp to nowhere"),
    pytest.param({"verb": "ramp", "traffic": 2}, 400, "no share", id="more than everything"),
    pytest.param({"verb": "promote", "arm": "nobody"}, 404, "there are", id="an arm that is none"),
    pytest.param({"verb": "allocate"}, 400, "shares", id="an allocation of nothing"),
    pytest.param({"verb": "allocate", "shares": {"champion": 0.5}}, 409, "cannot allocate", id="the champion's share"),
    pytest.param({"verb": "allocate", "shares": {"challenger": 2}}, 400, "no share", id="two wholes"),
    pytest.param({"verb": "promote", "author": "guard: mine"}, 400, "how guards sign", id="a person as a guard"),
    pytest.param({"verb": "rollback", "to": 99}, 404, "no revision 99", id="a revision that is none"),
    pytest.param({"verb": "deploy"}, 400, "/api/deploy", id="a deploy without a file"),
    pytest.param({}, 400, "verb", id="no verb"),
    pytest.param({"verb": "kill", "reasn": "x"}, 400, "reasn", id="a misspelt field"),
    pytest.param({"verb": 5}, 400, "verb", id="a verb of another type"),
    pytest.param([1], 400, "object", id="a list"),
])  # fmt: skip
def test_an_order_that_cannot_be_is_refused_with_the_ones_that_can(
    http: httpx.Client, fresh: str, order: Any, status: int, words: str
) -> None:
    reply = http.post(f"/endpoints/{fresh}/orders", json=order)
    assert said(reply)[0] == status
    assert words in said(reply)[1]


@pytest.mark.parametrize(("method", "path", "status", "words"), [
    pytest.param("GET", "/endpoints/nope", 404, "calls", id="an endpoint that is none names the others"),
    pytest.param("GET", "/models/nope/versions", 404, "calls", id="a model that is none names the others"),
    pytest.param("GET", "/endpoints/..%2F..%2Fetc", 404, "/api/docs", id="a path in a name"),
    pytest.param("GET", "/endpoints/A%20B", 400, "cannot name", id="a name that cannot be one"),
    pytest.param("GET", "/nowhere", 404, "/api/docs", id="a path that is none"),
    pytest.param("PATCH", "/endpoints/calls", 405, "PATCH", id="a method that is none"),
    pytest.param("GET", "/orders?limit=0", 400, "limit", id="a limit of nothing"),
    pytest.param("GET", "/orders?limit=x", 400, "limit", id="a limit that is none"),
    pytest.param("POST", "/endpoints/nope/orders", 400, "", id="no body"),
])  # fmt: skip
def test_a_wrong_address_gets_an_answer_that_helps(
    http: httpx.Client, calls: Made, method: str, path: str, status: int, words: str
) -> None:
    reply = http.request(method, path)
    assert said(reply)[0] == status
    assert words in said(reply)[1]


@pytest.mark.parametrize("body", [b"", b"{", b'{"verb": "promote"', b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_broken_body_is_refused_not_a_fault(http: httpx.Client, calls: Made, body: bytes) -> None:
    for path in ("/endpoints/calls/orders", "/endpoints/calls/outcomes", "/sql"):
        reply = http.post(path, content=body, headers={"content-type": "application/json"})
        assert said(reply)[0] == 400, (path, reply.text)


def test_ten_megabytes_of_json_are_no_order(http: httpx.Client, calls: Made) -> None:
    reply = http.post("/endpoints/calls/orders", json={"verb": "promote", "reason": "x" * (10 << 20)})
    assert said(reply)[0] in (400, 409, 413)


def test_an_alias_points_at_a_version(http: httpx.Client, calls: Made) -> None:
    assert http.put("/models/calls/aliases/best", json={"version": 1}).status_code == 200
    models = {one["model"]: one for one in http.get("/models").json()["models"]}
    assert models["calls"]["aliases"] == {"best": 1}
    assert said(http.put("/models/calls/aliases/best", json={"version": 7}))[0] == 404


def test_the_documents_name_every_endpoint_and_need_no_internet(http: httpx.Client, calls: Made) -> None:
    document = http.get("/docs/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/api/deploy", "/api/endpoints/{endpoint}", "/predict/calls"} <= set(document["paths"])
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/predict/calls" in page.text
    assert "http" not in page.text.replace("openapi.json", "") or "src=" not in page.text


def parts(http: httpx.Client) -> dict[str, Made]:
    return {part["part"]: part for part in http.get("/health").json()["parts"]}


def test_health_names_every_part(http: httpx.Client, calls: Made) -> None:
    assert parts(http).keys() >= {"database", "audit trail", "disk", "journal", "worker 0"}
    found = http.get("/health").json()
    assert found["healthy"] is all(part["state"] == "ok" for part in found["parts"])


def test_health_finds_nothing_wrong_with_a_sound_house(http: httpx.Client, calls: Made) -> None:
    """Other tests send outcomes that are refused, and that is told."""

    def wrong() -> list[Made]:
        return [part for part in parts(http).values() if part["state"] != "ok" and part["part"] != "outcomes"]

    until(lambda: not wrong(), "every part to be ok")


def test_health_says_how_each_model_is_computed(http: httpx.Client, calls: Made) -> None:
    """Where depends on how fast this machine is."""
    form = r"\bcalls v1: [\d,]+ us for a row, (on the event loop|in a thread) on cpu, 1 thread, [\d,]+ rows a call"
    until(lambda: re.search(form, parts(http)["models"]["text"]), f"the worker to report {form}")
