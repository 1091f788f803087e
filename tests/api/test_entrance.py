"""Before any path is looked at: the key, the Host header, pages of strangers, bodies that never end."""

import asyncio
import json
from typing import Any

import pytest

from payoff.api import entrance
from payoff.api.entrance import Entrance, patient
from payoff.doors import LOOPBACK


async def inside(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def call(headers: dict[str, str], key: str | None = None, hosts: frozenset[str] | None = LOOPBACK) -> tuple[int, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers.items()]}
    asyncio.run(Entrance(inside, key, hosts)(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"])
def test_loopback_names_come_in(host: str) -> None:
    assert call({"host": host}) == (200, b"in")


@pytest.mark.parametrize(("headers", "words"), [
    pytest.param({"host": "evil.example"}, "Host header", id="a name rebound to us"),
    pytest.param({}, "Host header", id="no Host"),
    pytest.param({"host": "localhost:1", "origin": "http://evil.example"}, "a page of", id="a page of strangers"),
    pytest.param({"host": "localhost:1", "origin": "null"}, "a page of", id="a page without origin"),
])  # fmt: skip
def test_browsers_led_here_by_strangers_are_refused(headers: dict[str, str], words: str) -> None:
    status, body = call(headers)
    assert status == 401
    assert words in json.loads(body)["error"]["what"]


def test_a_header_that_is_no_address_is_a_wrong_input_not_a_fault() -> None:
    status, body = call({"host": "localhost:1", "origin": "http://[::1"})
    assert (status, json.loads(body)["error"]["kind"]) == (400, "bad_input")


def test_our_own_console_comes_in() -> None:
    assert call({"host": "localhost:1", "origin": "http://localhost:1"}) == (200, b"in")


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", "Basic s3cret", "Bearer s3cre", "Bearer s3crétt"])
def test_without_the_key_nothing_but_the_way_in_is_said(given: str) -> None:
    status, body = call({"host": "h", "authorization": given}, key="s3cret", hosts=None)
    assert status == 401
    assert "PAYOFF_KEY" in json.loads(body)["error"]["what"]


def test_the_key_opens() -> None:
    assert call({"host": "h", "authorization": "Bearer s3cret"}, key="s3cret", hosts=None) == (200, b"in")


def test_a_body_that_stops_coming_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "CHUNK_WAIT_S_MAX", 0.01)

    async def never() -> Any:
        await asyncio.Event().wait()

    async def first_piece() -> Any:
        return await patient(never)()

    assert asyncio.run(first_piece()) == {"type": "http.disconnect"}
