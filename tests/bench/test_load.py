"""The load alone, against servers whose pace is known."""

import asyncio
import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.bench.load import Load, Seen, whole
from payoff.bench.tally import percentile_us

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BUSY = b'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 17\r\n\r\n{"error": "full"}'


@contextmanager
def answering(reply: bytes, after_s: float = 0.0, times: int = 1_000_000) -> Iterator[int]:
    """The port of a server that answers so late, and closes a connection after so many answers."""
    loop = asyncio.new_event_loop()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            if not await reader.read(1_000):
                break
            await asyncio.sleep(after_s)
            writer.write(reply)
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(talk, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def loaded(port: int, **job: Any) -> Seen:
    asked = base64.b64encode(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n").decode()
    whole = {"host": "127.0.0.1", "port": port, "requests": [asked], "connections": 1, "seconds": 0.5, **job}

    async def run() -> Seen:
        return await Load(whole).run()

    return asyncio.run(run())


def test_answers_are_counted_with_their_latency() -> None:
    with answering(OK, after_s=0.01) as port:
        seen = loaded(port, connections=4)
    assert seen.answered > 0
    assert seen.failed == 0
    assert min(seen.counts) >= 9_900
    assert seen.slowest_us >= max(seen.counts)


def test_at_a_rate_that_is_too_much_others_waiting_is_part_of_the_latency() -> None:
    with answering(OK, after_s=0.05) as port:
        closed, due = loaded(port), loaded(port, rate=200.0, seconds=2.0)
    asked, owed = percentile_us(closed.counts, 0.5), percentile_us(due.counts, 0.5)
    assert asked is not None
    assert owed is not None
    assert owed > 4 * asked
    assert sum(due.counts.values()) + due.unsent + due.failed >= 90


def test_answers_that_take_longer_than_a_step_are_waited_for() -> None:
    with answering(OK, after_s=0.9) as port:
        seen = loaded(port, seconds=0.1)
    assert seen.answered > 0
    assert seen.seconds > 0.1
    assert min(seen.counts) >= 890_000


def test_refusals_are_counted_and_the_first_is_told() -> None:
    with answering(BUSY, after_s=0.01) as port:
        seen = loaded(port)
    assert seen.answered == 0
    assert seen.failed > 0
    assert "full" in seen.why


def test_a_connection_that_is_closed_is_made_again() -> None:
    with answering(OK, after_s=0.005, times=3) as port:
        seen = loaded(port, seconds=1.0)
    assert seen.answered > 3


def test_where_nobody_listens_all_fails() -> None:
    with socket.socket() as nobody:  # keeps the place, and does not listen
        nobody.bind(("127.0.0.1", 0))
        seen = loaded(nobody.getsockname()[1])
    assert seen.answered == 0
    assert "no connection" in seen.why


@given(st.binary(max_size=50), st.integers(0, 200), st.booleans())
def test_a_response_is_whole_when_its_last_byte_is_there(body: bytes, cut: int, chunked: bool) -> None:
    if chunked:
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunk
    else:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    if chunked and b"0\r\n\r\n" in body:
        return
    assert whole(data) == len(data)
    assert whole(data[: min(cut, len(data) - 1)]) is None
    assert whole(data + b"HTTP/1.1 200") == len(data)


@pytest.mark.parametrize("data", [b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_a_response_without_a_body_ends_with_its_head(data: bytes) -> None:
    assert whole(data) == len(data)
