"""Errors come out of the client as the classes they were on the server, with the server's words."""

import json
import socket
import subprocess
import sys

import pytest

import payoff
from payoff import errors
from payoff.client.said import said
from payoff.client.wire import Wire
from payoff.doors import STATUS, kind


@pytest.mark.parametrize("one", list(STATUS))
def test_every_error_that_a_door_sends_comes_back_as_itself_or_as_its_kind(one: type[errors.PayoffError]) -> None:
    body = json.dumps({"error": {"kind": kind(one("x")), "what": "the words"}}).encode()
    back = said(STATUS[one], body)
    assert type(back) is (one if one.__base__ is errors.PayoffError else one.__base__)
    assert kind(back) == kind(one("x"))
    assert str(back) == "the words"


@pytest.mark.parametrize(("body", "words"), [
    pytest.param(b'{"error": "no endpoint x", "kind": "not_found"}', "no endpoint x", id="the inference door's shape"),
    pytest.param(b"<html>bad gateway", "<html>bad gateway", id="a proxy's page"),
    pytest.param(b"", "status 404 and no reason", id="nothing"),
    pytest.param(b"[1]", "status 404 and no reason", id="JSON of another shape"),
])  # fmt: skip
def test_other_shapes_fall_back_to_the_status(body: bytes, words: str) -> None:
    back = said(404, body)
    assert type(back) is errors.NotFound
    assert words in str(back)


def test_nothing_listening_says_how_to_start() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"  # nobody else can listen there meanwhile
        with pytest.raises(errors.Unavailable, match=f"nothing answers at {url}: start it with `payoff up`"):
            payoff.connect(url).endpoints()


@pytest.mark.parametrize(
    "url", ["8080", "ftp://x", "http://", "localhost:8080", "http://[::1", "http://a..b", "http://x:y", "http://x/é"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(errors.BadInput, match="expected something like http://"):
        payoff.connect(url)


@pytest.mark.parametrize("key", [" ", "\t", "open\nsesame", "open sesame", "sesame\n", "sésame", "sesame\x00"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(errors.BadInput, match="PAYOFF_KEY") as refused:
        payoff.connect("http://127.0.0.1:9", key)
    assert "same" not in str(refused.value)


def test_a_name_never_becomes_a_path_of_its_own() -> None:
    assert Wire("http://h", None).at("endpoints", "../models?x#y") == "http://h/api/endpoints/..%2Fmodels%3Fx%23y"


def test_importing_payoff_imports_nothing_of_it() -> None:
    code = "import sys, payoff; print(sorted({'httpx', 'pyarrow', 'numpy', 'typer'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
