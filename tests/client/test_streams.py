"""Many rows at once, rows that are still coming, and servers that have no room: over real connections."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from payoff.client import Client, Endpoint, wire
from payoff.client.ordered import in_order
from payoff.client.pool import Reply
from payoff.client.wire import Body, Wire, pause_s
from payoff.errors import BadInput, Busy, NotFound, Unavailable
from tests.shared import PATIENCE_S, until

SAMPLE = pd.DataFrame({"x": np.arange(8.0)})


@pytest.fixture(scope="session")
def doubled(client: Client) -> Endpoint:
    import payoff

    return client.deploy(payoff.rule("inputs.x * 2", output="y"), name="doubled", sample=SAMPLE)


def row(x: Any) -> dict[str, Any]:
    return {"x": x}


def test_a_large_frame_comes_back_whole_and_in_order(doubled: Endpoint) -> None:
    frame = pd.DataFrame({"x": np.arange(220_000.0)}, index=np.arange(220_000)[::-1])
    answers = doubled.predict(frame)
    assert np.array_equal(answers["y"], 2 * frame["x"])
    assert list(answers.index[:2]) == [219_999, 219_998]
    assert answers["prediction_id"].is_unique


def test_a_row_is_answered_before_the_next_one_exists(doubled: Endpoint) -> None:
    said: list[float] = []

    def rows() -> Iterator[dict[str, Any]]:
        for x in range(5):
            until(lambda: len(said) == x, f"{x} answers before the next row")  # noqa: B023 - looked at now
            yield row(float(x))

    for answer in doubled.predict_stream(rows()):
        said.append(answer["y"])
    assert said == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_row_that_cannot_be_answered_raises_its_error_and_tells_which(doubled: Endpoint) -> None:
    stream = doubled.predict_stream([row(1.0), row("text"), row(2.0)])
    assert next(stream)["y"] == 2.0
    with pytest.raises(BadInput, match=r"row 1 \(the first is 0\): column 'x'"):
        next(stream)


def test_or_it_comes_back_as_its_error_and_the_stream_goes_on(doubled: Endpoint) -> None:
    said = list(doubled.predict_stream([row(1.0), row("text"), row(2.0)], keep_good=True))
    assert [one.get("y") for one in said] == [2.0, None, 4.0]
    assert said[1]["kind"] == "bad_input"


def test_frames_in_a_stream_come_back_as_frames(doubled: Endpoint) -> None:
    frames = (pd.DataFrame({"x": np.arange(float(n))}) for n in range(1, 7))
    found = list(doubled.predict_stream(frames))
    assert [list(one["y"]) for one in found] == [[2.0 * x for x in range(n)] for n in range(1, 7)]


def test_no_rows_are_no_answers(doubled: Endpoint) -> None:
    assert list(doubled.predict_stream([])) == []


def test_what_goes_wrong_with_the_rows_is_raised_as_it_is(doubled: Endpoint) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield row(1.0)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(doubled.predict_stream(rows()))


def test_an_endpoint_that_is_not_there_is_said_at_once(doubled: Endpoint, client: Client) -> None:
    nobody = Endpoint(doubled._wire, "nobody")
    nobody._url = doubled.url.replace("doubled", "nobody")
    with pytest.raises(NotFound, match="no endpoint called 'nobody'"):
        list(nobody.predict_stream(row(float(x)) for x in range(100_000)))


def test_a_stream_that_is_left_ends(doubled: Endpoint) -> None:
    def senders() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "payoff-stream"}

    before = senders()
    stream = doubled.predict_stream(row(1.0) for _ in count())
    assert next(stream)["y"] == 2.0
    assert senders() - before
    stream.close()
    until(lambda: not senders() - before, "nobody to ask for more rows")


# -- in order


def test_answers_come_in_the_order_of_the_questions_and_only_so_many_are_on_their_way() -> None:
    """Of every four the first is answered last, and only when all of them have been asked."""
    busy, busiest, lock = 0, 0, threading.Lock()
    others = [threading.Semaphore(0) for _ in range(12)]

    def work(item: int) -> int:
        nonlocal busy, busiest
        with lock:
            busy, busiest = busy + 1, max(busiest, busy + 1)
        if item % 4:
            others[item // 4].release()
        elif not all(others[item // 4].acquire(timeout=PATIENCE_S) for _ in range(3)):
            raise TimeoutError(f"three more beside {item} were never asked")
        with lock:
            busy -= 1
        return item

    assert list(in_order(work, iter(range(48)), at_once=4)) == list(range(48))
    assert busiest <= 4


def test_after_an_error_nothing_more_is_begun() -> None:
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise BadInput("three")
        return item

    with pytest.raises(BadInput, match="three"):
        list(in_order(work, range(1_000), at_once=2))
    assert len(begun) < 10


@pytest.mark.parametrize("items", [[], [1], [1, 2]])
def test_few_items_are_all_there(items: list[int]) -> None:
    assert list(in_order(str, items)) == [*map(str, items)]


# -- no room


LONG_AT = 3


class Full(BaseHTTPRequestHandler):
    """Has no room for the first `refusals` requests; the third hears that this will be so for long."""

    protocol_version = "HTTP/1.1"
    refusals = 0
    status = 429
    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.path)
        refused = len(self.seen) <= self.refusals
        body = b'{"error": "no room", "kind": "busy"}' if refused else b"done"
        self.send_response(self.status if refused else 200)
        if len(self.seen) == LONG_AT:
            self.send_header("retry-after", "10000")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Not in the tests' output."""


@pytest.fixture
def full(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    made = type("Made", (Full,), {"refusals": request.param, "seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.mark.parametrize("full", [2], indirect=True)
def test_a_server_without_room_is_asked_again(full: tuple[str, list[str]]) -> None:
    url, seen = full
    asked = Wire(url, None).ask(f"{url}/predict/x", Body(b"rows", "text/csv"), "*/*", patience_s=PATIENCE_S)
    assert asked.body == b"done"
    assert len(seen) == 3


@pytest.mark.parametrize("full", [10**9], indirect=True)
def test_but_no_longer_than_its_patience_lasts(full: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server asks for more than that, and is not waited for in vain."""
    monkeypatch.setattr(wire, "PATIENCE_S", 10_000.0)
    url, seen = full
    with pytest.raises(Busy, match="no room"):
        Wire(url, None).ask(f"{url}/predict/x", Body(b"rows", "text/csv"), "*/*", patience_s=4_000.0)
    assert len(seen) == LONG_AT


def test_nobody_at_all_is_not_waited_for() -> None:
    with pytest.raises(Unavailable, match="nothing answers"):
        Wire("http://127.0.0.1:9", None).ask("http://127.0.0.1:9/predict/x", Body(b"", "text/csv"), "*/*")


def test_the_pause_is_what_the_server_says_or_grows() -> None:
    assert 1.0 <= pause_s(Reply(429, {"retry-after": "2"}, b""), 0) <= 2.0
    assert pause_s(Reply(429, {}, b""), 0) <= 0.1
    assert pause_s(Reply(429, {"retry-after": "soon"}, b""), 9) <= 5.0
    assert pause_s(Reply(503, {"retry-after": "9999"}, b""), 0) <= 30.0


def test_a_table_of_arrow_comes_back_as_one(doubled: Endpoint) -> None:
    answers = doubled.predict(pa.table({"x": [1.5]}))
    assert isinstance(answers, pa.Table)
    assert answers["y"].to_pylist() == [3.0]
