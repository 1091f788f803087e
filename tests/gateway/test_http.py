"""Facts about one HTTP connection of the inference door, told by raw sockets."""

import asyncio
import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from payoff.gateway.http import Connection
from payoff.gateway.reply import Reply, packed, refusal
from payoff.gateway.request import Door, Limits, Request
from tests.gateway.clocked import Clocked
from tests.shared import PATIENCE_S, until

LIMITS = Limits(body_bytes_max=1_000, head_bytes_max=2_000, headers_max=20, connections_max=50)
LARGE = ",".join(map(str, range(100_000))).encode()


class Server:
    """A door on a thread of its own; `answer` echoes the body, late if the path says so.

    Time passes for its connections when somebody says so, and only then.
    """

    def __init__(self) -> None:
        self.loop = Clocked()
        self.door = Door(self.answer, lambda error, request: refusal(500, str(error), "internal"), LIMITS)
        self.ready = threading.Event()
        self.seen: list[bytes] = []
        self.paths: list[str] = []
        self.held: list[Request] = []
        self.thread = self.loop.start(self._serve())
        self.ready.wait()

    def answer(self, request: Request) -> None:
        self.seen.append(request.body)
        self.paths.append(request.path)
        reply = Reply(request.method + b" " + request.path.encode() + b" " + request.body, b"text/plain")
        if request.path == "/never":
            self.held.append(request)
        elif request.path == "/large":
            request.hear(Reply(LARGE))
        elif request.path == "/late":
            self.loop.call_later(0.05, request.hear, reply)
        else:
            request.hear(reply)

    async def _serve(self) -> None:
        server = await self.loop.create_server(lambda: Connection(self.door), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.leave = asyncio.Event()
        self.ready.set()
        await self.leave.wait()
        for connection in list(self.door.open):
            connection.transport.abort()
        server.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.leave.set)
        self.thread.join()

    def later(self, seconds: float) -> None:
        """So much time passes for every connection."""
        self.loop.later(seconds, self.door.open)

    def connection(self, line: socket.socket) -> Connection:
        """This end of a line."""
        mine = line.getsockname()

        def found() -> list[Connection]:
            return [one for one in [*self.door.open] if one.transport.get_extra_info("peername") == mine]

        return until(found, "the connection is open")[0]

    def say(self, *pieces: bytes, done: bool = False, later_s: float = 0.0) -> bytes:
        """Send some bytes and read until the server ends the connection; `done` says that there are no more, and
        `later_s` is the time that passes when they have been read."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as line:
            for piece in pieces:
                line.sendall(piece)
            if done:
                line.shutdown(socket.SHUT_WR)
            if later_s:
                connection = self.connection(line)
                until(lambda: connection.receiving or not pieces, "what was sent has been read")
                self.later(later_s)
            return b"".join(iter(lambda: line.recv(65_536), b""))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.stop()


CLOSE = b"Connection: close\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
TWO_LENGTHS = b"Content-Length: 5\r\nContent-Length: 6\r\n"


def test_a_body_in_many_pieces_arrives_whole(server: Server) -> None:
    heard = server.say(b"POST /a HTTP/1.1\r\nHo", b"st: x\r\nContent-Length: 5\r\n" + CLOSE + b"\r\nhe", b"llo")
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert heard.endswith(b"\r\n\r\nPOST /a hello")


def test_a_chunked_body_arrives_whole(server: Server) -> None:
    heard = server.say(
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    )
    assert heard.endswith(b"POST /a hello")


def test_pipelined_calls_are_answered_in_their_order_even_when_the_first_is_late(server: Server) -> None:
    heard = server.say(b"GET /late HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert heard.index(b"GET /late") < heard.index(b"GET /b") < heard.index(b"GET /c")


def test_more_pipelined_calls_than_the_limit_are_all_answered(server: Server) -> None:
    heard = server.say(b"GET /late HTTP/1.1\r\n\r\n" * 40 + b"GET /end HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert heard.count(b"200 OK") == 41
    assert heard.endswith(b"GET /end ")


@pytest.mark.parametrize("path", [b"/now", b"/late"])
def test_a_client_that_says_no_more_and_listens_gets_its_answer(server: Server, path: bytes) -> None:
    heard = server.say(b"GET %b HTTP/1.1\r\n\r\n" % path, done=True)
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert heard.endswith(b"\r\n\r\nGET %b " % path)
    assert heard.count(b"HTTP") == 1
    heard = server.say(b"GET %b HTTP/1.1\r\n\r\n" % path * 3 + b"GET /end HTTP/1.0\r\n\r\n", done=True)
    assert heard.count(b"HTTP/1.1 200 OK\r\n") == heard.count(b"HTTP/1.1") == 4
    assert heard.endswith(b"\r\n\r\nGET /end ")


def test_others_are_answered_while_a_large_answer_is_packed_and_its_own_connection_keeps_its_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def pack(reply: Reply, *how: Any) -> Reply:
        assert release.wait(PATIENCE_S)
        return packed(reply, *how)

    monkeypatch.setattr("payoff.gateway.http.packed", pack)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as line:
        line.sendall(b"GET /large HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\nGET /next HTTP/1.1\r\n" + CLOSE + b"\r\n")
        until(lambda: "/large" in server.paths, "the large answer is made")
        assert server.say(b"GET /small HTTP/1.0\r\n\r\n").endswith(b"GET /small ")
        assert "/next" not in server.paths
        release.set()
        heard = b"".join(iter(lambda: line.recv(1 << 20), b""))
    head, _, rest = heard.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head
    assert rest.endswith(b"GET /next ")
    assert gzip.decompress(rest[: rest.rindex(b"HTTP/1.1 200 OK")]) == LARGE


def test_half_a_request_is_no_request_when_its_client_says_no_more(server: Server) -> None:
    assert server.say(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe", done=True) == b""


def test_a_client_that_is_gone_is_known_to_be_gone_before_its_answer_is_there(server: Server) -> None:
    for how in (b"", CLOSE):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as line:
            line.sendall(b"GET /never HTTP/1.1\r\n%b\r\n" % how)
            until(lambda: server.held, "it is asked")
        asked = server.held.pop()
        until(lambda asked=asked: asked.gone, "its caller is known to be gone")  # type: ignore[misc]


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    assert server.say(b"GET /old HTTP/1.0\r\n\r\n").endswith(b"GET /old ")


def test_a_client_that_asks_before_sending_is_told_to_go_on(server: Server) -> None:
    heard = server.say(b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + CLOSE + b"\r\n", b"hi")
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_an_offer_of_another_protocol_is_answered_in_this_one(server: Server) -> None:
    offer = b"GET /up HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    heard = server.say(offer + b"GET /next HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert heard.index(b"GET /up ") < heard.index(b"GET /next ")


def test_a_path_may_be_percent_encoded_and_have_a_query(server: Server) -> None:
    assert b"GET /gr\xc3\xb6\xc3\x9fe " in server.say(b"GET /gr%C3%B6%C3%9Fe?a=b HTTP/1.1\r\n" + CLOSE + b"\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", b"400", id="garbage"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 9999\r\n\r\n", b"413", id="a body declared too large"),
        pytest.param(
            CHUNKED + b"190\r\n" + b"x" * 400 + b"\r\n3e8\r\n" + b"x" * 1000,
            b"413",
            id="a chunked body that grows too large",
        ),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 30 + b"\r\n", b"431", id="too many headers"),
        pytest.param(b"GET /" + b"a" * 3_000 + b" HTTP/1.1\r\n\r\n", b"431", id="a path without end"),
        pytest.param(b"POST / HTTP/1.1\r\n" + TWO_LENGTHS + b"\r\nhello", b"400", id="two lengths"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words_and_the_connection_ends(
    server: Server, sent: bytes, status: bytes
) -> None:
    heard = server.say(sent)
    assert heard.startswith(b"HTTP/1.1 " + status)
    assert b'"error":"' in heard


@pytest.mark.parametrize("sent", [b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe", b"GET / HT"])
def test_half_a_request_is_refused_after_a_while(server: Server, sent: bytes) -> None:
    heard = server.say(sent, later_s=LIMITS.receive_s_max + 1)
    assert heard.startswith(b"HTTP/1.1 408")
    assert b'"error":"' in heard


def test_a_silent_connection_is_closed_after_a_while(server: Server) -> None:
    assert server.say(later_s=LIMITS.idle_s_max + 1) == b""


def test_a_client_that_does_not_take_its_answers_is_let_go_of(server: Server) -> None:
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.settimeout(0.5)
        line.connect(("127.0.0.1", server.port))
        with suppress(TimeoutError, ConnectionError):  # until neither reads any more
            while True:
                line.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 900\r\n\r\n" + bytes(900))
        until(lambda: server.later(LIMITS.idle_s_max + 1) or not server.door.open, "it is let go of")  # type: ignore[func-returns-value]


def test_a_refusal_waits_for_the_answers_before_it(server: Server) -> None:
    heard = server.say(b"GET /late HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    assert heard.index(b"GET /late") < heard.index(b"400 Bad Request")


def test_more_connections_than_the_limit_are_told_so(server: Server) -> None:
    until(lambda: not server.door.open, "all others have gone")
    place = ("127.0.0.1", server.port)
    held = [socket.create_connection(place, timeout=PATIENCE_S) for _ in range(LIMITS.connections_max)]
    try:
        held[-1].sendall(b"GET /a HTTP/1.1\r\n\r\n")
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200")
        assert server.say(b"").startswith(b"HTTP/1.1 503")
    finally:
        for line in held:
            line.close()
    until(lambda: not server.door.open, "they are known to be gone")
    assert server.say(b"GET /b HTTP/1.1\r\n" + CLOSE + b"\r\n").endswith(b"GET /b ")


def test_an_offer_of_another_protocol_with_a_body_keeps_its_body(server: Server) -> None:
    offer = b"POST /up HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\nhe"
    heard = server.say(offer, b"llo" + b"GET /next HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert heard.index(b"POST /up hello") < heard.index(b"GET /next ")


def test_head_is_answered_without_a_body(server: Server) -> None:
    heard = server.say(b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert heard.count(b"content-length: 8") == 1
    assert b"HEAD /a" not in heard
    assert heard.endswith(b"GET /b ")


def test_words_that_no_text_may_hold_are_still_told() -> None:
    assert refusal(422, "half \udcff", "model_failed").body == b'{"error":"half ?","kind":"model_failed"}'
