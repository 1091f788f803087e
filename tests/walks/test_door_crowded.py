"""Very many and very slow connections: they cost little memory, and nobody else waits for them."""

import json
import select
import threading
import time
from contextlib import suppress

import pytest

from tests.shared import PATIENCE_S, until
from tests.walks.wire import Door, Line, parse, refused, row

pytestmark = pytest.mark.slow

BODY = json.dumps(row(7)).encode()
IDLE = 9_900  # a worker takes 10,000
TICK_S = 0.01  # in which the system counts


def answered(at: Door, times: int) -> float:
    """Callers on fresh connections, and on one that stays, are answered; how long the worker computes for it, in s."""
    begun_s = at.cpu_s
    with at.line() as line:
        for _ in range(times):
            (said,) = line.ask(at.call(BODY))
            at.still_answers()
            assert said.status == 200
    return at.cpu_s - begun_s


def test_ten_thousand_idle_connections_cost_little_and_nobody_waits_for_them(at: Door) -> None:
    before, alone_s = at.memory_mb, max(TICK_S, answered(at, 100))
    lines = [at.line() for _ in range(IDLE)]
    try:
        at.still_answers()  # they are taken in their turn: all are there
        assert answered(at, 100) < 10 * alone_s
        assert at.memory_mb - before < IDLE * 20_000 / 2**20
        for line in lines[:: IDLE // 100]:  # they are as good as any
            assert line.ask(at.call(BODY))[0].status == 200
        for line in lines[1 :: IDLE // 100]:
            line.send(at.call(BODY)[:50])
        assert answered(at, 100) < 10 * alone_s
    finally:
        for line in lines:
            line.socket.close()
    answered(at, 50)


def test_one_connection_too_many_is_told_so_and_there_is_room_when_others_leave(at: Door) -> None:
    lines = [at.line() for _ in range(10_050)]
    try:
        with at.line() as line:
            line.send(at.call(BODY))
            (said,) = parse(line.rest())
        refused(said, 503)
        assert lines[0].ask(at.call(BODY))[0].status == 200
    finally:
        for line in lines:
            line.socket.close()
    until(lambda: let_in(at), "there is room at the door")


def let_in(at: Door) -> bool:
    with at.line() as line:
        return line.ask(at.call(BODY))[0].status == 200


def dribble(lines: list[Line], sent: list[bytes], over: threading.Event) -> None:
    """A byte for each of them every second, as long as the door takes them."""
    for place in range(10_000):
        for line, whole in zip(lines, sent, strict=True):
            if place < len(whole) - 1:
                with suppress(OSError):
                    line.socket.send(whole[place : place + 1])
        if over.wait(1.0):
            return


def is_told(line: Line) -> bool:
    """Whether there is something to read."""
    poll = select.poll()
    poll.register(line.socket, select.POLLIN)
    return bool(poll.poll(0))


def test_clients_that_send_a_byte_a_second_are_refused_after_a_minute_and_cost_nobody_else_anything(at: Door) -> None:
    """Slow heads, slow bodies, slow chunks, and requests that begin and stop."""
    chunked = at.head("POST", "/predict/echo", "Transfer-Encoding: chunked")
    large = at.head("POST", "/predict/echo", "Content-Length: 100000")
    kinds = [at.call(BODY), chunked + b"1\r\n{\r\n" * 50, large + b" " * 100_000, b"PO", at.head("GET", "/v2")[:-1]]
    sent = [kinds[number % len(kinds)] for number in range(200)]
    lines = [at.line() for _ in sent]
    for line, whole in zip(lines, sent, strict=True):  # half of them begin with all but the last part at once
        if whole.startswith((chunked, large)):
            line.send(whole[: whole.index(b"\r\n\r\n") + 4])
    rest = [one.partition(b"\r\n\r\n")[2] if one.startswith((chunked, large)) else one for one in sent]
    over = threading.Event()
    slow = threading.Thread(target=dribble, args=(lines, rest, over))
    slow.start()
    computed_s, began_s = at.cpu_s, time.monotonic()
    while not all(map(is_told, lines)):
        assert time.monotonic() < began_s + PATIENCE_S, "nobody tells them"
        answered(at, 10)
        time.sleep(1)
    assert at.cpu_s - computed_s < (time.monotonic() - began_s) / 2
    over.set()
    slow.join()
    for line in lines:
        said = parse(line.rest())
        line.socket.close()
        assert len(said) == 1
        refused(said[0], 408)
    at.still_answers()


def test_a_client_that_reads_a_large_answer_slowly_gets_all_of_it(at: Door) -> None:
    many = json.dumps([row(2 * number) for number in range(20_000)]).encode()
    with at.line(receive_bytes=4096) as line:
        line.send(at.call(many))
        for _ in range(200):
            line.heard += line.socket.recv(1_000)
            time.sleep(0.01)
        at.still_answers()
        (said,) = line.hear()
    assert [one["same_id"] for one in said.json["predictions"]] == [2 * number for number in range(20_000)]
