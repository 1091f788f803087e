"""Facts about streams over a real connection to a real worker: chunked, close-delimited, pipelined, slow, cut."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pyarrow as pa
import pytest

from payoff.journal.query import Journal
from payoff.records import Role
from payoff.store import live
from tests.gateway.test_worker import revision, worker
from tests.shared import PATIENCE_S, until

NDJSON, ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    live.publish(path, revision(path, 1, (Role.CHAMPION, 2, 0)))
    return path


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with worker(home) as found:
        yield found


@pytest.fixture(scope="module")
def cramped(home: Path) -> Iterator[str]:
    """One that holds little of a request at a time."""
    with worker(home, None, "--body-bytes-max", "2000000", "--workers", "5", "--index", "4") as found:
        yield found


class Line:
    """A raw connection with a stream on it."""

    def __init__(self, url: str, *head: str, version: str = "1.1") -> None:
        door = urlsplit(url)
        self.socket = socket.create_connection((door.hostname, door.port), timeout=PATIENCE_S)
        lines = [f"POST /predict/times HTTP/{version}", f"host: {door.netloc}", f"content-type: {NDJSON}", *head]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.got = b""

    def chunk(self, data: bytes) -> None:
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def until(self, mark: bytes, times: int = 1) -> bytes:
        while self.got.count(mark) < times:
            data = self.socket.recv(65_536)
            assert data, f"ended before {mark!r}: {self.got!r}"
            self.got += data
        return self.got

    def rest(self) -> bytes:
        while data := self.socket.recv(65_536):
            self.got += data
        return self.got


def line(x: float) -> bytes:
    return json.dumps({"x": x}).encode() + b"\n"


def ys(text: str) -> list[Any]:
    return [said.get("y", said.get("line")) for said in map(json.loads, text.splitlines())]


def answered(home: Path) -> int:
    with closing(Journal(home)) as journal:
        (found,) = journal.connect().sql("select count(*) from predictions").fetchall()
    return int(found[0])


def settled(home: Path) -> int:
    """How many rows were answered when no more are."""
    counts = [-1]

    def still() -> bool:
        time.sleep(0.2)
        counts.append(answered(home))
        return len(set(counts[-5:])) == 1  # for a second

    until(still, "no more rows are answered")
    return counts[-1]


def test_a_row_is_answered_before_the_next_one_is_sent(url: str) -> None:
    one = Line(url, "transfer-encoding: chunked")
    for x in range(5):
        one.chunk(line(x))
        one.until(b"prediction_id", x + 1)
    one.chunk(b'{"x": "text"}\n')
    assert b'"line":6' in one.until(b'"kind"')
    one.socket.sendall(b"0\r\n\r\n")
    head, _, _ = one.until(b"\r\n0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert NDJSON.encode() in head
    one.socket.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert b'"live":true' in one.until(b'"live"')


def test_a_request_of_known_length_may_be_longer_than_a_body_may_be(home: Path) -> None:
    body = b"".join(line(x) for x in range(20_000))
    with worker(home, None, "--body-bytes-max", "1000", "--index", "1") as url:
        said = httpx.post(f"{url}/predict/times", content=body, headers={"content-type": NDJSON}, timeout=PATIENCE_S)
        whole = httpx.post(
            f"{url}/predict/times", content=body, headers={"content-type": "text/csv"}, timeout=PATIENCE_S
        )
    assert ys(said.text) == [2.0 * x for x in range(20_000)]
    assert whole.status_code == 413


def test_an_old_client_reads_until_the_end(url: str) -> None:
    body = b"".join(line(x) for x in range(9_000))
    one = Line(url, f"content-length: {len(body)}", version="1.0")
    one.socket.sendall(body)
    head, _, said = one.rest().partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert b"connection: close" in head
    assert ys(said.decode()) == [2.0 * x for x in range(9_000)]


def test_a_stream_keeps_its_place_among_pipelined_requests(url: str) -> None:
    host = urlsplit(url).netloc
    one = Line(url, "transfer-encoding: chunked")
    one.chunk(line(1))
    one.socket.sendall(b"0\r\n\r\n")
    plain = f'POST /predict/times HTTP/1.1\r\nhost: {host}\r\ncontent-length: 8\r\n\r\n{{"x": 2}}'
    stream = f"POST /predict/times HTTP/1.1\r\nhost: {host}\r\ncontent-type: {NDJSON}\r\ncontent-length: 9\r\n\r\n"
    one.socket.sendall((plain + stream + '{"x": 3}\n' + plain).encode())
    got = one.until(b'"y":', 4)
    values = [float(part.split(b",")[0].rstrip(b"}]")) for part in got.split(b'"y":')[1:]]
    assert values == [2.0, 4.0, 6.0, 4.0]


@pytest.mark.parametrize(("path", "status"), [("/predict/nobody", 404), ("/predict/times", 401)])
def test_what_cannot_begin_is_refused_with_its_status(home: Path, path: str, status: int) -> None:
    key = "k" * 20 if status == 401 else None
    with worker(home, key, "--index", "2") as url:
        said = httpx.post(url + path, content=iter([line(1)]), headers={"content-type": NDJSON}, timeout=PATIENCE_S)
    assert said.status_code == status


def test_the_reason_reaches_a_client_that_is_still_sending(url: str) -> None:
    door = urlsplit(url)
    with socket.create_connection((door.hostname, door.port), timeout=PATIENCE_S) as one:
        head = f"POST /predict/nobody HTTP/1.1\r\nhost: {door.netloc}\r\ncontent-type: {NDJSON}\r\n"
        one.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        one.settimeout(0.05)
        got = b""
        for _ in range(100):
            one.sendall(b"%x\r\n%b\r\n" % (len(line(1)), line(1)))
            try:
                got += one.recv(65_536)
            except TimeoutError:
                continue
            break
        one.settimeout(PATIENCE_S)
        while data := one.recv(65_536):
            got += data
    assert b"404" in got
    assert b"no endpoint called 'nobody'" in got


def test_a_client_that_does_not_read_makes_the_door_stop_reading(cramped: str) -> None:
    one = Line(cramped, "transfer-encoding: chunked")
    one.chunk(line(1))
    one.until(b"prediction_id")
    one.socket.settimeout(1.0)
    many = b"".join(line(x) for x in range(2_000))
    sent = 0

    def send() -> None:
        nonlocal sent
        for _ in range(4_000):
            one.chunk(many)
            sent += 1

    with pytest.raises(TimeoutError):
        send()
    assert sent < 3_500  # as much as a request may have that is read whole, and what the sockets hold
    one.socket.close()


def test_a_client_that_reads_only_when_it_has_sent_all_is_answered_all_the_same(url: str) -> None:
    body = b"".join(line(x) for x in range(100_000))
    said = httpx.post(f"{url}/predict/times", content=body, headers={"content-type": NDJSON}, timeout=PATIENCE_S)
    assert said.text.count("prediction_id") == 100_000


def test_when_the_client_is_gone_the_work_ends(cramped: str, home: Path) -> None:
    earlier, sent = settled(home), 0
    one, many = Line(cramped, "transfer-encoding: chunked"), b"".join(line(x) for x in range(2_000))
    one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    one.chunk(line(1))
    one.until(b"prediction_id")
    one.socket.settimeout(1.0)
    with suppress(TimeoutError):  # until the door reads no more: however fast it is, something is left to do
        while sent < 8_000_000:
            one.chunk(many)
            sent += 2_000
    one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    one.socket.close()
    until(lambda: answered(home) > earlier, "the first row is counted")
    assert settled(home) - earlier < sent
    httpx.get(f"{cramped}/v2/health/live", timeout=PATIENCE_S).raise_for_status()


def test_a_worker_that_is_told_to_leave_ends_its_streams_with_the_reason(home: Path) -> None:
    with worker(home, None, "--index", "3") as url:
        one = Line(url, "transfer-encoding: chunked")
        one.chunk(line(1))
        one.until(b"prediction_id")
    assert b"this worker stops" in one.rest()


def test_arrow_batches_are_answered_while_the_request_is_sent(url: str) -> None:
    schema = pa.schema([("x", pa.float32())])

    def sent() -> Iterator[bytes]:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            for start in range(0, 200_000, 50_000):
                writer.write_batch(pa.record_batch([np.arange(start, start + 50_000, dtype=np.float32)], schema=schema))
        body = sink.getvalue().to_pybytes()
        yield from (body[at : at + 100_000] for at in range(0, len(body), 100_000))

    said = httpx.post(f"{url}/predict/times", content=sent(), headers={"content-type": ARROW}, timeout=PATIENCE_S)
    assert said.headers["content-type"] == ARROW
    found = pa.ipc.open_stream(said.content).read_all()
    assert found["y"].to_numpy().tolist() == [2.0 * x for x in range(200_000)]
