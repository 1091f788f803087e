"""A deploy is followed while it runs, and its end is learned even where its connection was lost."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from payoff.client import delivery
from payoff.client.delivery import Delivery
from payoff.client.form import Form
from payoff.client.wire import Wire
from payoff.errors import ModelFailed, PayoffError, Unavailable
from tests.shared import PATIENCE_S

FORM = Form({"name": "x"}, {})


@contextmanager
def server(post: Any, *views: dict[str, Any] | None) -> Iterator[str]:
    """Answers a POST with `post` (None: it hangs up) and looks with the views (None: not found), the last for good."""
    left = list(views)
    looked = threading.Event()

    class Told(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            looked.wait(PATIENCE_S)
            if post is None:
                self.close_connection = True
            else:
                self.answer(post)

        def do_GET(self) -> None:
            said = left.pop(0) if len(left) > 1 else left[0]
            if said is None:
                return self.answer({"error": {"kind": "not_found", "what": "gone"}}, 404)
            self.answer(said)
            looked.set()

        def answer(self, content: Any, status: int = 200) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as made:
        made.daemon_threads, made.block_on_close = True, False
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def view(state: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "steps": [], "doing": None, "reply": None, "error": None} | more


def test_what_goes_on_is_heard_and_the_reply_returned() -> None:
    heard: list[dict[str, Any]] = []
    with server({"version": 3}, view("running", doing={"what": "environment", "seconds": 1.0})) as url:
        assert Delivery(Wire(url, None), FORM, heard.append).run() == {"version": 3}
    assert heard[0]["doing"]["what"] == "environment"


def test_a_lost_connection_does_not_lose_the_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PAUSES_S", (0.01,))
    with server(None, *[view("running")] * 5, view("done", reply={"version": 3})) as url:
        assert Delivery(Wire(url, None), FORM).run() == {"version": 3}


@pytest.mark.parametrize(("views", "error", "words"), [
    pytest.param([view("running"), view("failed", error={"kind": "model_failed", "what": "no"})], ModelFailed, "no",
                 id="it failed"),
    pytest.param([view("running"), None], Unavailable, "no connection", id="the server forgot it"),
])  # fmt: skip
def test_a_lost_deploy_says_how_it_ended(
    views: list[dict[str, Any] | None], error: type[PayoffError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAUSES_S", (0.01,))
    monkeypatch.setattr(delivery, "MISSED_MAX", 3)
    with server(None, *views) as url, pytest.raises(error, match=words):
        Delivery(Wire(url, None), FORM).run()


def test_without_a_server_it_says_so_at_once() -> None:
    with pytest.raises(Unavailable, match="payoff up"):
        Delivery(Wire("http://127.0.0.1:9", None), FORM).run()
