"""Large bodies: one at a time, beside calls that are small; they mean what they mean when they are small."""

import asyncio
import gzip
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from payoff.errors import Abandoned, BadInput, Busy
from payoff.gateway.aside import Aside
from payoff.gateway.request import LARGE_BYTES, Head, Request
from payoff.records import Arm, Field, Policy, Role, Served, Signature, Type
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.gateway import endpoints
from tests.gateway.test_worker import ask, revision, worker
from tests.shared import PATIENCE_S, until

HEAD = Head(b"POST", "/predict/times", b"", {}, keep_alive=True)
MANY, SOME = 99_000, 30_000  # rows of a large body


def request() -> Request:
    return Request(None, HEAD, b"")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_the_loop_goes_on_while_a_large_body_is_worked_on() -> None:
    told: list[Any] = []
    done, release = asyncio.Event(), threading.Event()

    def tell(found: Any) -> None:
        told.append(found)
        done.set()

    aside = Aside(lambda error, request: told.append(error), 1_000)
    aside.do(request(), lambda: release.wait(PATIENCE_S), tell)
    await asyncio.sleep(0)
    assert told == []  # and here we are
    release.set()
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    assert told == [True]


@pytest.mark.anyio
async def test_large_bodies_have_their_turn_one_after_the_other_and_what_has_begun_goes_first() -> None:
    told: list[Any] = []
    at_work: list[str] = []
    done = asyncio.Event()
    aside = Aside(lambda error, request: told.append(str(error)), 1_000)

    def work(name: str) -> Callable[[], str]:
        def begin() -> str:
            at_work.append(name)
            assert len(at_work) == 1
            at_work.remove(name)
            if name == "no good":
                raise BadInput(name)
            return name

        return begin

    def last(name: Any) -> None:
        told.append(name)
        done.set()

    aside.do(request(), work("unpack a"), lambda _: aside.do(request(), work("read a"), told.append))
    gone = request()
    gone.gone = True
    aside.do(gone, work("gone"), told.append)
    aside.do(request(), work("no good"), told.append)
    aside.do(request(), work("b"), last)
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    assert told == ["read a", str(Abandoned("the caller has gone; nothing was done")), "no good", "b"]


@pytest.mark.anyio
async def test_large_bodies_for_which_there_is_no_room_are_refused_and_the_others_are_read() -> None:
    told: list[Any] = []
    done, release = asyncio.Event(), threading.Event()

    def tell(name: Any) -> None:
        told.append(name)
        if len(told) == 3:
            done.set()

    def ask(name: str) -> None:
        aside.do(Request(None, HEAD, b"x" * 400), lambda: release.wait(PATIENCE_S) and name, tell)  # type: ignore[arg-type]

    aside = Aside(lambda error, request: told.append(error), 1_000)
    for name in "abc":  # the first is being read, the others wait
        ask(name)
    with pytest.raises(Busy, match="800 bytes of large bodies are waiting; the limit is 1,000"):
        ask("d")
    release.set()
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    assert told == ["a", "b", "c"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    live.publish(path, revision(path, 1, (Role.CHAMPION, 2, 0)))
    return path


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with worker(home) as found:
        yield found


def large(rows: int = MANY) -> bytes:
    """A body whose reading takes far longer than some small calls."""
    body = json.dumps([{"x": number / 7 + 8} for number in range(rows)], indent=3).encode()
    assert len(body) > LARGE_BYTES
    return body


def send(url: str, body: bytes, *lines: str) -> socket.socket:
    place = urlsplit(url)
    line = socket.create_connection((place.hostname, place.port or 0), PATIENCE_S)
    head = ["POST /predict/times HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *lines, "", ""]
    line.sendall("\r\n".join(head).encode() + body)
    return line


def overtaken(url: str, body: bytes, *lines: str) -> bool:
    """Whether small calls that come after a large body are answered before it is."""
    with httpx.Client(timeout=PATIENCE_S) as client, send(url, body, *lines) as line:
        for _ in range(5):
            assert client.post(f"{url}/predict/times", json={"x": 1}).json()["predictions"][0]["y"] == 2
        waits = not select.select([line], [], [], 0)[0]
        assert line.recv(15) == b"HTTP/1.1 200 OK"
        return waits


@pytest.mark.parametrize("coding", ["gzip", ""])
def test_small_calls_are_answered_while_a_large_body_is_unpacked_and_read(url: str, coding: str) -> None:
    body = gzip.compress(large(), 1) if coding else large()
    lines = [f"content-encoding: {coding}"] if coding else []
    until(lambda: overtaken(url, body, *lines), "small calls are answered before a large body that came first")


def test_large_bodies_are_answered_as_small_ones_are(url: str) -> None:
    xs = [number / 8 for number in range(80, 60_000)]
    for body in (json.dumps([{"x": x} for x in xs]), json.dumps({"columns": {"x": xs}})):
        said = httpx.post(f"{url}/predict/times", content=body, timeout=PATIENCE_S).json()
        found = said["columns"]["y"] if "columns" in said else [row["y"] for row in said["predictions"]]
        assert found == [2 * x for x in xs]
    text = "x\n" + "\n".join(map(str, xs))
    headers = {"content-type": "text/csv", "accept": "application/json"}
    said = httpx.post(f"{url}/predict/times", content=text, headers=headers, timeout=PATIENCE_S).json()
    assert said["columns"]["y"] == found


def test_what_is_wrong_in_a_large_body_is_told_as_in_a_small_one(url: str) -> None:
    wrong = large().replace(b'"x": 7079.428571428572', b'"x": "many"')
    for how in ({}, {"accept": "text/csv"}):
        reply = httpx.post(f"{url}/predict/times", content=wrong, headers=how, timeout=PATIENCE_S)
        assert (reply.status_code, reply.json()["kind"]) == (400, "bad_input")
        assert "row 49500 (the first is 0): got 'many'" in reply.json()["error"]
    reply = httpx.post(f"{url}/predict/times", content=large(100_001), timeout=PATIENCE_S)
    assert (reply.status_code, "the limit is 100000" in reply.json()["error"]) == (413, True)
    reply = httpx.post(f"{url}/predict/tims", content=large(), timeout=PATIENCE_S)
    assert reply.status_code == 404


def test_a_large_body_whose_caller_has_gone_is_not_read(url: str) -> None:
    body = large(SOME)
    counted = 'payoff_requests_total{endpoint="times",form="http",status="abandoned"} '

    def left_behind_a_large_one() -> bool:
        with send(url, body) as line:
            for _ in range(2):
                send(url, body).close()
            assert line.recv(15) == b"HTTP/1.1 200 OK"
        assert ask(url, [{"x": number} for number in range(SOME)]).status_code == 200  # has its turn after them
        return counted in httpx.get(f"{url}/metrics", timeout=PATIENCE_S).text

    until(left_behind_a_large_one, "a body is not read whose caller left while another was")


def test_a_large_answer_is_packed_and_means_the_same(url: str) -> None:
    body = large(SOME)
    plain, packed = (
        httpx.post(f"{url}/predict/times", content=body, headers={"accept-encoding": how}, timeout=PATIENCE_S)
        for how in ("identity", "gzip")
    )
    assert packed.headers["content-encoding"] == "gzip"
    assert [row["y"] for row in packed.json()["predictions"]] == [row["y"] for row in plain.json()["predictions"]]


def test_rows_that_are_read_while_another_revision_goes_live_are_asked_of_that_one(tmp_path: Path) -> None:
    first = revision(tmp_path, 1, (Role.CHAMPION, 2, 0))
    live.publish(tmp_path, first)
    fields = {"x": (Type.FLOAT64, 1)}
    served = Served(
        "onnx",
        Blobs(tmp_path / "artifacts").put(endpoints.identity(fields)),
        Signature((Field("x", Type.FLOAT64),), (Field("x_out", Type.FLOAT64),)),
    )
    second = replace(first, number=2, policy=Policy(), arms=(Arm("champion", Role.CHAMPION, "same", 1, served),))
    body = large(SOME)
    xs = [row["x"] for row in json.loads(body)]

    def ask_on(url: str) -> list[dict[str, Any]]:
        """Until the second revision answers."""
        said: list[dict[str, Any]] = []
        while not said or said[-1]["revision"] == 1:
            said.append(httpx.post(f"{url}/predict/times", content=body, timeout=PATIENCE_S).json())
        return said

    with worker(tmp_path) as url, ThreadPoolExecutor(2) as callers:
        asked = [callers.submit(ask_on, url) for _ in range(2)]  # one body is read while the other waits, at any moment
        assert ask(url, {"x": 8}).status_code == 200
        live.publish(tmp_path, second)
        said = [one.result() for one in asked]
    for one in said:
        assert [row["x_out"] for row in one[-1]["predictions"]] == xs
        assert all(len(answer["predictions"]) == len(xs) for answer in one)
