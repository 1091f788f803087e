"""Connections are kept, shared by threads, and never reused when the server has ended them."""

import select
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from payoff.api import uploads
from payoff.client.form import Form
from payoff.client.pool import IDLE_MAX, Pool
from tests.shared import PATIENCE_S


class Echo(ThreadingHTTPServer):
    """Says back what was sent, and counts connections; ends one after its reply to /bye."""

    daemon_threads = True
    request_queue_size = 100  # who calls is not turned away to come again in seconds

    def __init__(self) -> None:
        self.connections = 0
        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.path == "/bye"

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(pool: Pool, server: Echo, body: bytes, path: str = "/") -> bytes:
    return pool.exchange("POST", f"http://127.0.0.1:{server.server_port}{path}", body, {}).body


def test_one_caller_needs_one_connection(echo: Echo) -> None:
    pool = Pool()
    assert [ask(pool, echo, b"%d" % i) for i in range(5)] == [b"%d" % i for i in range(5)]
    assert echo.connections == 1
    pool.close()


def test_a_connection_that_the_server_ended_is_not_used_again(echo: Echo) -> None:
    pool = Pool()
    assert ask(pool, echo, b"a", "/bye") == b"a"
    ((kept,),) = pool._idle.values()
    assert select.select([kept.sock], [], [], PATIENCE_S)[0]  # its end has come through
    assert ask(pool, echo, b"b") == b"b"
    assert echo.connections == 2
    pool.close()


def test_threads_get_their_own_answers(echo: Echo) -> None:
    pool = Pool()
    with ThreadPoolExecutor(16) as threads:
        sent = [b"%d" % i * (1 + i % 7) for i in range(200)]
        assert list(threads.map(lambda body: ask(pool, echo, body), sent)) == sent
    assert sum(map(len, pool._idle.values())) <= IDLE_MAX
    pool.close()


def test_a_form_is_what_the_server_reads(tmp_path: Path) -> None:
    import asyncio

    path = tmp_path / "model"
    path.write_bytes(bytes(range(256)) * 9000)
    texts = {"name": "Bänk", "reason": "a\r\n--b"}
    form = Form(texts, {"artifact": ('my "model"\n.onnx', path), "sample": ("s.csv", b"a\n1\n")})
    sent = b"".join(form)
    assert len(form) == len(sent)

    async def pieces() -> Any:
        yield sent

    read = asyncio.run(uploads.receive(pieces(), form.content_type, tmp_path))
    assert read.texts == texts
    assert read.files["artifact"][0].read_bytes() == path.read_bytes()
    assert read.files["artifact"][1] == 'my "model"\n.onnx'
    assert read.files["sample"][0].read_bytes() == b"a\n1\n"
