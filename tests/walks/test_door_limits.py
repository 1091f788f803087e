"""What a caller may cost: whatever he sends or does not read, memory stays bounded and the next caller is answered."""

import json
import threading
from contextlib import suppress

import pytest

from tests.walks.wire import Door, Line, parse, refused, row

BODY = json.dumps(row(7)).encode()
MANY = json.dumps([row(2 * number) for number in range(20_000)]).encode()
CHUNKED = "Transfer-Encoding: chunked"


pytestmark = pytest.mark.usefixtures("the_next_caller_is_answered")


def test_a_client_that_closes_its_side_after_a_last_call_is_answered(at: Door) -> None:
    """One that says it is the last; else a closed side cannot be told from a client that has gone."""
    with at.line() as line:
        line.send(at.call(BODY) + at.call(MANY) + at.call(BODY, "Connection: close"))
        line.no_more()
        first, large, last = parse(line.rest())
    assert len(large.json["predictions"]) == 20_000
    assert first.json["predictions"][0]["same_id"] == last.json["predictions"][0]["same_id"] == 7


def test_http_1_0_that_asks_to_go_on_is_told_so_or_ended(at: Door) -> None:
    asked = at.call(BODY, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with at.line() as line:
        (said,) = line.ask(asked)
        assert said.status == 200
        if said.headers.get("connection", "").lower() == "keep-alive":
            assert line.ask(asked)[0].status == 200
        else:
            assert line.rest() == b""


def test_a_trailer_changes_nothing(at: Door) -> None:
    for line in ("Content-Type: text/csv", "Content-Encoding: gzip", "Content-Length: 3", "Accept: text/csv"):
        trailer = b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(BODY), BODY, line.encode())
        (said,) = at.say(at.head("POST", "/predict/echo", CHUNKED) + trailer)
        assert said.status == 400 or said.json["predictions"][0]["same_id"] == 7, said


def test_a_transfer_coding_that_is_not_read_is_named(at: Door) -> None:
    sent = at.head("POST", "/predict/echo", "Transfer-Encoding: gzip, chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (34, BODY)
    (said,) = at.say(sent)
    refused(said, 400, 501)


PROTOCOLS = [
    ("TLS", bytes.fromhex("16030100c8010000c40303") + bytes(190), "https"),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), "HTTP/2"),
    ("HTTP/2 in words", b"GET /v2 HTTP/2.0\r\nHost: localhost\r\n\r\n", "HTTP/1.1"),
]


@pytest.mark.parametrize(("sent", "word"), [one[1:] for one in PROTOCOLS], ids=[one[0] for one in PROTOCOLS])
def test_another_protocol_is_refused_by_name(at: Door, sent: bytes, word: str) -> None:
    with at.line() as line:
        line.send(sent)
        (said,) = parse(line.rest())
    refused(said, 400, 505)
    assert word in said.json["error"]


FLOODS = {"value": b"X-A: ", "name": b"X-", "target": None}


@pytest.mark.parametrize("where", FLOODS)
def test_a_head_without_end_is_refused_before_it_costs_memory(at: Door, where: str) -> None:
    begun = FLOODS[where]
    head = b"GET /" if begun is None else at.head("GET", "/v2")[:-2] + begun
    before = at.memory_mb
    with at.line() as line:
        line.send(head)
        for _ in range(200):
            line.send(b"x" * 100_000)
        grown = at.memory_mb - before
        said = parse(line.rest())
    assert grown < 10
    for one in said:  # what the door said may be lost when it has gone while we sent
        refused(one, 400, 414, 431)


@pytest.mark.slow
def test_heads_that_all_differ_are_not_kept(at: Door) -> None:
    before = at.memory_mb
    with at.line() as line:
        for number in range(5_000):
            (said,) = line.ask(at.call(BODY, f"X-Request-Id: {number:020000d}"))
            assert said.status == 200
    with at.line() as line:
        for number in range(20_000):
            (said,) = line.ask(at.call(BODY, f"X-Request-Id: {number:0500d}"))
            assert said.status == 200
    assert at.memory_mb - before < 40


def test_a_body_in_tiny_chunks_costs_about_its_size(at: Door) -> None:
    pairs = 1_000_000
    before = at.memory_mb
    with at.line() as line:
        line.send(at.head("POST", "/predict/echo", CHUNKED) + b"2\r\n  \r\n" * pairs)
        line.send(b"%x\r\n%b\r\n" % (len(BODY), BODY))
        at.still_answers()
        grown = at.memory_mb - before
        line.send(b"0\r\n\r\n")
        (said,) = line.hear()
    assert said.json["predictions"][0]["same_id"] == 7
    assert grown < 8 * 2 * pairs / 2**20


@pytest.mark.slow
def test_a_caller_who_sends_without_end_and_never_reads_is_read_no_more(at: Door) -> None:
    before = at.memory_mb
    stopped = False
    with at.line(receive_bytes=4096, patience_s=2) as line:
        try:
            for _ in range(3_000):
                line.socket.sendall(at.call(BODY) * 200)
        except TimeoutError:
            stopped = True
        grown = at.memory_mb - before
        line.reset()
    assert stopped
    assert grown < 30


def flood(line: Line, sent: bytes) -> None:
    """As much of it as the door takes."""
    with suppress(OSError):
        line.socket.sendall(sent)


@pytest.mark.slow
def test_callers_who_never_read_their_large_answers_cost_only_themselves(at: Door) -> None:
    lines = [at.line(receive_bytes=4096, patience_s=3) for _ in range(10)]
    senders = [threading.Thread(target=flood, args=(line, at.call(MANY) * 50)) for line in lines]
    before = at.memory_mb
    for sender in senders:
        sender.start()
    for _ in range(50):
        at.still_answers()
    assert at.memory_mb - before < 400
    for line in lines:
        line.reset()
    for sender in senders:
        sender.join()


@pytest.mark.slow
def test_a_large_body_is_refused_in_words_that_reach_a_client_who_sends_it_all_the_same(at: Door) -> None:
    size = 80 << 20
    with at.line() as line:
        line.send(at.head("POST", "/predict/echo", f"Content-Length: {size}"))
        for _ in range(size >> 20):
            line.send(b" " * (1 << 20))
        (said,) = parse(line.rest())
    refused(said, 413)
    assert "--body-max" in said.json["error"]
