"""Facts about a whole inference worker: a real process on a real socket, asked by real clients."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton

from payoff.flavors import golden
from payoff.flavors.rowfile import Rows
from payoff.journal.query import Journal
from payoff.records import Arm, Column, Explore, Field, Otherwise, Policy, Revision, Role, Rule, Served, Signature, Type
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.shared import PATIENCE_S, until
from tests.walks import models

SIGNATURE = Signature((Field("x", Type.FLOAT32),), (Field("y", Type.FLOAT32),))
RULES = (
    Rule("inputs.x < 1000000", Otherwise.FALLBACK),
    Rule("inputs.x > -100", Otherwise.BLOCK),
    Rule("inputs.x <> 7"),
)
POLICY = Policy(decision="outputs.y > 4", fallback={"decision": False}, rules=RULES)


def revision(home: Path, number: int, *arms: tuple[Role, float, float], policy: Policy = POLICY) -> Revision:
    """A revision whose arms are (role, factor, traffic); the factor is also the version."""
    made = [
        Arm(f"{role}-{factor:g}", role, "times", int(factor), _served(home, factor), traffic, Role.CHAMPION)
        for role, factor, traffic in arms
    ]
    return Revision("times", number, 0, "me", "", tuple(made), policy)


def _served(home: Path, factor: float) -> Served:
    return Served("onnx", Blobs(home / "artifacts").put(models.times(factor)), SIGNATURE)


@contextmanager
def worker(home: Path, key: str | None = None, *flags: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        command = [sys.executable, "-m", "payoff.gateway.worker", "--home", str(home), "--fd", str(door.fileno())]
        command += flags
        environment = {**os.environ, **({"PAYOFF_KEY": key} if key else {})}
        process = subprocess.Popen(command, pass_fds=(door.fileno(),), env=environment)
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            process.terminate()
            assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    live.publish(path, revision(path, 1, (Role.CHAMPION, 2, 0)))
    return path


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with worker(home) as found:
        yield found


def post(url: str, **how: Any) -> httpx.Response:
    """With the patience that a busy machine needs."""
    return httpx.post(url, timeout=PATIENCE_S, **how)


def ask(url: str, rows: object, **how: Any) -> httpx.Response:
    return post(f"{url}/predict/times", json=rows, **how)


def test_a_row_comes_back_with_its_answer_its_decision_and_why(url: str) -> None:
    (row,) = ask(url, {"x": 3}).json()["predictions"]
    assert (row["y"], row["decision"], row["arm"], row["version"]) == (6, True, "champion-2", 2)
    assert row["why"] == "champion"
    assert row["violations"] == ""


def test_a_broken_rule_flags_blocks_or_falls_back_row_by_row(url: str) -> None:
    rows = ask(url, [{"x": 1}, {"x": 2_000_000}, {"x": -200}, {"x": 7}]).json()["predictions"]
    assert [row["why"] for row in rows] == ["champion", "fallback: a rule was broken", "blocked by a rule", "champion"]
    assert [row["violations"] for row in rows] == ["", "inputs.x < 1000000", "inputs.x > -100", "inputs.x <> 7"]
    assert [row["decision"] for row in rows] == [False, False, None, True]
    assert [row["y"] for row in rows] == [2, None, None, 14]


def test_columns_are_answered_in_columns_and_csv_in_csv(url: str) -> None:
    assert ask(url, {"x": [1, 2]}).json()["columns"]["y"] == [2, 4]
    text = post(f"{url}/predict/times", content=b"x\n1\n2\n", headers={"content-type": "text/csv"}).text
    assert [line.split(",")[1] for line in text.splitlines()] == ['"y"', "2", "4"]


def test_the_caller_chooses_the_form_of_the_answer(url: str) -> None:
    reply = ask(url, [{"x": 1}], headers={"accept": "application/vnd.apache.arrow.stream"})
    assert reply.headers["content-type"] == "application/vnd.apache.arrow.stream"


def test_zero_rows_are_zero_answers(url: str) -> None:
    assert ask(url, []).json()["predictions"] == []


def test_ten_thousand_rows_come_back_in_order_and_each_is_journaled_once(url: str, home: Path) -> None:
    rows = ask(url, [{"x": x} for x in range(8, 10_008)]).json()["predictions"]
    assert [row["y"] for row in rows] == [2 * x for x in range(8, 10_008)]
    ids = [row["prediction_id"] for row in rows]
    assert ids == sorted(set(ids))
    found = [id_ for (id_,) in Journal(home).connect().sql("select id from predictions").fetchall()]
    assert len(found) == len(set(found))
    assert set(ids) <= set(found)


def test_rows_of_many_callers_are_never_mixed_up(url: str) -> None:
    def caller(start: int) -> bool:
        with httpx.Client(timeout=PATIENCE_S) as client:
            for x in range(start, start + 50):
                rows = client.post(f"{url}/predict/times", json=[{"x": x}, {"x": x + 0.5}]).json()["predictions"]
                if [row["y"] for row in rows] != [2 * x, 2 * x + 1]:
                    return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(caller, range(1_000, 17_000, 1_000)))


@pytest.mark.parametrize(
    ("path", "content", "kind", "status", "says"),
    [
        ("/predict/times", b'{"z": 1}', "application/json", 400, "'z'"),
        ("/predict/times", b'{"x": "one"}', "application/json", 400, "'one'"),
        ("/predict/times", b'{"x": null}', "application/json", 400, "'x'"),
        ("/predict/times", b'{"x": NaN}', "application/json", 400, "send null"),
        ("/predict/times", b'[{"x": 1}, {}]', "application/json", 400, "'x'"),
        ("/predict/times", b'[{"x": 1}, {"x"', "application/json", 400, "JSON"),
        ("/predict/times", b"x=1", "application/json", 400, "JSON"),
        ("/predict/times", b"", "application/json", 400, "empty"),
        ("/predict/times", b"<x/>", "text/xml", 415, "there are: application/json"),
        ("/predict/times", b"a\n1\n", "text/csv", 400, "'a'"),
        ("/predict/times", b"nonsense", "application/vnd.apache.arrow.stream", 400, "Arrow"),
        ("/predict/tims", b'{"x": 1}', "application/json", 404, "times"),
        ("/v2/models/times/infer", b"{}", "application/json", 400, "inputs"),
        ("/v2/models/times/infer", b'{"inputs":[{"name":"y"}]}', "application/json", 400, "'y'"),
        ("/v2/models/times/versions/9/infer", b"{}", "application/json", 404, "revision"),
        ("/nowhere", b"", "application/json", 405, "/predict/ENDPOINT"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(
    url: str, path: str, content: bytes, kind: str, status: int, says: str
) -> None:
    reply = post(f"{url}{path}", content=content, headers={"content-type": kind})
    assert reply.status_code == status
    assert says in reply.json()["error"]
    assert "Traceback" not in reply.text


def test_an_answer_that_the_caller_does_not_take_is_refused_with_those_there_are(url: str) -> None:
    reply = ask(url, {"x": 1}, headers={"accept": "image/png"})
    assert (reply.status_code, reply.json()["kind"]) == (406, "bad_input")
    assert "there are: application/json, application/x-ndjson" in reply.json()["error"]
    assert ask(url, {"x": 1}, headers={"accept": "image/png, text/csv;q=0.1"}).headers["content-type"] == "text/csv"


def test_a_format_that_is_not_read_is_refused_with_those_that_are(url: str) -> None:
    for said in ("text/xml", "application/json; charset=utf-16"):
        reply = post(f"{url}/predict/times", content=b"{}", headers={"content-type": said})
        assert (reply.status_code, reply.json()["kind"]) == (415, "bad_input")
        assert reply.headers["accept"].startswith("application/json, ")
        assert "accept-encoding" not in reply.headers


def test_ten_megabytes_of_json_are_answered_or_refused_and_the_worker_lives(url: str) -> None:
    rows = post(f"{url}/predict/times", content=b"[" + b'{"x": 1},' * 1_100_000 + b'{"x":1}]')
    assert rows.status_code == 413
    assert "100000" in rows.json()["error"]
    assert ask(url, {"x": 1}).status_code == 200


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_works_unchanged(url: str, binary: bool) -> None:
    client = triton.InferenceServerClient(url.removeprefix("http://"), network_timeout=PATIENCE_S)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("times")
    assert client.get_model_metadata("times")["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]
    asked = triton.InferInput("x", [3], "FP32")
    asked.set_data_from_numpy(np.array([1, 2, 8], np.float32), binary_data=binary)
    answer = client.infer("times", [asked], request_id="abc")
    assert answer.as_numpy("y").tolist() == [2, 4, 16]
    assert answer.as_numpy("decision").tolist() == [False, False, True]
    assert answer.get_response()["id"] == "abc"
    only = client.infer("times", [asked], outputs=[triton.InferRequestedOutput("y", binary_data=binary)])
    assert only.as_numpy("y").tolist() == [2, 4, 16]
    assert only.as_numpy("decision") is None


def test_a_door_with_a_key_opens_to_that_key_only(home: Path) -> None:
    with worker(home, key="sesame") as url:
        assert ask(url, {"x": 1}).status_code == 401
        assert ask(url, {"x": 1}, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert ask(url, {"x": 1}, headers={"authorization": "Bearer sesame"}).status_code == 200
        assert httpx.get(f"{url}/v2/health/live", timeout=PATIENCE_S).status_code == 401


def test_a_page_from_elsewhere_cannot_call_a_loopback_door(url: str) -> None:
    assert ask(url, {"x": 1}, headers={"host": "evil.example"}).status_code == 401
    assert ask(url, {"x": 1}, headers={"origin": "http://evil.example"}).status_code == 401


def served(home: Path, number: int) -> None:
    """Wait until the worker serves a revision."""
    reported(home, lambda status: status.serving.get("times") == number)


def reported(home: Path, true: Callable[[live.Status], object]) -> live.Status:
    """The worker's status, as soon as it says something: it writes it now and then."""
    said = until(lambda: [status for status in live.statuses(home) if true(status)], "a status that says so")
    return said[0]


def test_shadows_and_killed_arms_are_recorded_and_never_answer(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0), (Role.SHADOW, 3, 0)))
    with worker(tmp_path) as url:
        first = [ask(url, {"x": x}).json()["predictions"][0] for x in range(8, 28)]
        live.publish(tmp_path, revision(tmp_path, 2, (Role.KILLED, 2, 0), (Role.SHADOW, 3, 0)))
        served(tmp_path, 2)
        second = [ask(url, {"x": x}).json()["predictions"][0] for x in range(8, 28)]
    assert {row["version"] for row in first} == {2}
    assert {(row["version"], row["decision"], row["why"]) for row in second} == {
        (None, False, "fallback: times v2 is killed")
    }
    counted = "select version, count(*) from shadows group by 1 order by 1"
    shadows = Journal(tmp_path).connect().sql(counted).fetchall()
    assert shadows == [(2, 20), (3, 40)]


def test_traffic_is_split_by_key_and_a_key_stays_where_it_is(tmp_path: Path) -> None:
    policy = Policy(route_by="customer")
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0), (Role.CHALLENGER, 3, 0.3), policy=policy))
    rows = [{"x": 1, "customer": f"c{number}"} for number in range(1_000)]
    with worker(tmp_path) as url:
        once = [row["version"] for row in ask(url, rows).json()["predictions"]]
        again = [row["version"] for row in ask(url, rows).json()["predictions"]]
    assert once == again
    assert 0.22 < once.count(3) / 1_000 < 0.38


def test_who_is_held_out_or_explored_is_told_who_decided_and_a_customer_stays_held_out(tmp_path: Path) -> None:
    policy = replace(POLICY, rules=(), route_by="customer", holdout=0.2, explore=Explore(0.3))
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0), (Role.CHALLENGER, 3, 0.3), policy=policy))
    rows = [{"x": 8, "customer": f"c{number}"} for number in range(1_000)]
    with worker(tmp_path) as url:
        once, again = (ask(url, rows).json()["predictions"] for _ in range(2))
    with worker(tmp_path) as url:
        alone = ask(url, rows[:1]).json()["predictions"]
    assert [row["arm"] for row in once] == [row["arm"] for row in again]
    assert alone[0]["arm"] == once[0]["arm"]
    assert [row["why"] for row in once] != [row["why"] for row in again]  # chance decides each time anew
    drawn, held = "explore: decided at random among true, false", "hold-out: 20% of the traffic is decided by the"
    assert {(row["arm"], row["version"], row["y"], row["decision"]) for row in once if row["why"].startswith(held)} == {
        ("fallback", None, None, False)
    }
    assert {(row["arm"], row["version"], row["y"], row["decision"]) for row in once if row["why"] == drawn} == {
        (arm, version, 8 * version, decision)
        for arm, version in (("champion-2", 2), ("challenger-3", 3)) for decision in (True, False)
    }  # fmt: skip
    assert {(row["arm"], row["decision"]) for row in once if row["why"].startswith("ch")} == {
        ("champion-2", True), ("challenger-3", True)
    }  # fmt: skip
    counted = "select choice, count(*) from predictions group by 1 order by 1"
    found = dict(Journal(tmp_path).connect().sql(counted).fetchall())
    said = [row["why"] for row in (*once, *again, *alone)]
    assert found["explore"] == said.count(drawn) > 300
    assert found["holdout"] == sum(why.startswith(held) for why in said) > 250


def test_a_revision_that_cannot_be_loaded_leaves_the_one_before_in_service_and_says_so(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    broken = revision(tmp_path, 2, (Role.CHAMPION, 3, 0))
    Blobs(tmp_path / "artifacts").path(broken.arms[0].served.digest).unlink()
    with worker(tmp_path) as url:
        served(tmp_path, 1)
        live.publish(tmp_path, broken)
        status = reported(tmp_path, lambda status: "times" in status.failed)
        assert status.failed["times"][0] == 2
        assert "missing" in status.failed["times"][1]
        assert ask(url, {"x": 8}).json()["predictions"][0]["y"] == 16


def test_a_request_that_is_under_way_when_the_worker_leaves_is_answered(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    rows = json.dumps([{"x": x} for x in range(20_000)]).encode()
    head = b"POST /predict/times HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(rows)
    with worker(tmp_path) as url:
        place = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(place, timeout=PATIENCE_S) as line:
            line.sendall(head + rows[:-1])
            assert ask(url, {"x": 8}).status_code == 200
            os.kill(reported(tmp_path, lambda status: status.pid).pid, signal.SIGTERM)
            line.sendall(rows[-1:])
            answer = b"".join(iter(lambda: line.recv(1 << 20), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"prediction_id") == 20_000


def test_a_version_that_does_not_reproduce_its_sample_rows_here_never_takes_traffic(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    golden.write(
        tmp_path / "golden.npz",
        Rows(SIGNATURE.inputs, {"x": Column(np.array([1, 2], np.float32))}),
        Rows(SIGNATURE.outputs, {"y": Column(np.array([3, 7], np.float32))}),
    )
    digest = Blobs(tmp_path / "artifacts").put(tmp_path / "golden.npz")
    wrong = revision(tmp_path, 2, (Role.CHAMPION, 3, 0))
    arm = replace(wrong.arms[0], served=replace(wrong.arms[0].served, golden=digest))
    with worker(tmp_path) as url:
        served(tmp_path, 1)
        live.publish(tmp_path, replace(wrong, arms=(arm,)))
        status = reported(tmp_path, lambda status: "times" in status.failed)
        assert "does not reproduce 1 of its 2 sample rows" in status.failed["times"][1]
        assert ask(url, {"x": 8}).json()["predictions"][0]["y"] == 16


def endpoint(home: Path, name: str, factor: float, policy: Policy = POLICY) -> Revision:
    return replace(revision(home, 1, (Role.CHAMPION, factor, 0), policy=policy), endpoint=name)


def test_more_endpoints_than_models_stay_loaded_all_answer(tmp_path: Path) -> None:
    for factor in range(2, 8):
        live.publish(tmp_path, endpoint(tmp_path, f"times-{factor}", factor))
    with worker(tmp_path, None, "--hot-max", "2") as url:
        for _ in range(2):
            for factor in range(2, 8):
                rows = post(f"{url}/predict/times-{factor}", json={"x": 8}).json()["predictions"]
                assert rows[0]["y"] == 8 * factor
        status = reported(tmp_path, lambda status: status.counters["models_loaded"] >= 12)
        assert status.counters["models_hot"] == 2
        assert len(status.serving) == 6


def test_a_worker_that_starts_serves_at_once_and_says_what_cannot_be_loaded(tmp_path: Path) -> None:
    whole, broken = endpoint(tmp_path, "whole", 2), endpoint(tmp_path, "broken", 3, Policy())
    safe = endpoint(tmp_path, "safe", 3)
    for one in (whole, broken, safe):
        live.publish(tmp_path, one)
    Blobs(tmp_path / "artifacts").path(broken.arms[0].served.digest).unlink()
    with worker(tmp_path) as url:
        assert post(f"{url}/predict/whole", json={"x": 8}).json()["predictions"][0]["y"] == 16
        reply = post(f"{url}/predict/broken", json={"x": 8})
        assert (reply.status_code, reply.json()["kind"]) == (422, "model_failed")
        assert "is missing from artifacts/" in reply.json()["error"]
        row = post(f"{url}/predict/safe", json={"x": 8}).json()["predictions"][0]
        assert (row["decision"], row["arm"]) == (False, "fallback")
        assert row["why"].startswith("fallback: artefact")
        status = reported(tmp_path, lambda status: len(status.failed) == 2)
        assert set(status.failed) == {"broken", "safe"}
        assert set(status.serving) == {"whole", "broken", "safe"}


def test_a_kill_never_waits_for_a_model_that_is_cold(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    live.publish(tmp_path, endpoint(tmp_path, "other", 3))
    with worker(tmp_path, None, "--hot-max", "1") as url:
        assert post(f"{url}/predict/other", json={"x": 8}).status_code == 200
        Blobs(tmp_path / "artifacts").path(_served(tmp_path, 2).digest).unlink()
        live.publish(tmp_path, revision(tmp_path, 2, (Role.KILLED, 2, 0)))
        served(tmp_path, 2)
        row = ask(url, {"x": 8}).json()["predictions"][0]
        assert row["why"] == "fallback: times v2 is killed"
