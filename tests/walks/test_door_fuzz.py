"""Whatever bytes come to a real socket: well-formed answers and none that says we failed, the same worker, and then
the next caller's answer.

All find the same cases every time. Told PAYOFF_FUZZ_S, the last one goes on for so many seconds with a seed of its own,
which stands in what it says when it fails.
"""

import os
import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.walks.test_door_segments import KEY, Asked
from tests.walks.wire import SAME, Door, door, parse

pytestmark = pytest.mark.slow

LONG_S = float(os.environ.get("PAYOFF_FUZZ_S", "0"))
TRIES = 5_000
STATUSES = {100, 200, 400, 401, 404, 405, 406, 408, 411, 413, 414, 415, 417, 422, 429, 431, 501, 503, 505}
BASES = [
    Asked(), Asked(padding=300), Asked(chunked=True), Asked(way="tensors"), Asked(way="binary"), Asked(way="about"),
    Asked(way="head"), Asked(key="wrong"), Asked(way="binary", chunked=True),
]  # fmt: skip
SPICE = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b"\xff", b":", b" ", b"\t", b";", b",", b"%00", b"%", b"..", b"/", b"?",
    b"*", b"HTTP/1.0", b"HTTP/2.0", b"Content-Length: 5\r\n", b"Content-Length: 999999999999\r\n",
    b"Connection: close\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"0\r\n\r\n", b"Content-Encoding: gzip\r\n",
    b"Content-Type: text/csv\r\n", b"Content-Type: application/vnd.apache.parquet\r\n",
    b"Content-Type: application/vnd.apache.arrow.stream\r\n", b"Accept: text/csv\r\n",
    b"Inference-Header-Content-Length: 9\r\n", b"HEAD ", b"GET ", b"PUT ", b"CONNECT ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01", b"-1", b"1e400", b"NaN", b"{", b"[", b"]", b"}", b'"',
    b"\\u0000", b"\\ud800", b"null", b"9" * 30, b"[" * 2_000, b"A" * 40_000,
]  # fmt: skip
Change = tuple[str, int, int, bytes]  # what is done, where, over how many bytes, with what


@pytest.fixture(scope="module", params=[None, KEY], ids=["no key", "a key"])
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("door"), request.param) as found:
        yield found


def changed(whole: bytes, changes: list[Change]) -> bytes:
    """The same bytes, spoilt."""
    for what, where, span, spice in changes:
        begin = where % (len(whole) + 1)
        end = min(len(whole), begin + span)
        if what == "put":
            whole = whole[:begin] + spice + whole[begin:]
        elif what == "cut":
            whole = whole[:begin] + whole[end:]
        elif what == "double":
            whole = whole[:end] + whole[begin:]
        elif what == "replace":
            whole = whole[:begin] + spice + whole[end:]
        elif begin < len(whole):
            whole = whole[:begin] + bytes([whole[begin] ^ (1 << span % 8)]) + whole[begin + 1 :]
    return whole


def meets_with_sense(at: Door, sent: bytes) -> None:
    """The door answers this in well-formed HTTP, and does not fail."""
    with at.line() as line:
        line.send(sent)
        line.no_more()
        heard = line.rest()
    if b"HEAD" in sent:  # which of the answers have no body is anybody's guess
        assert b"HTTP/1.1 500 " not in heard  # a number by itself may be that of a column in somebody's words
        return
    for said in parse(heard):
        assert said.status in STATUSES, (sent, said)


CHANGES = st.tuples(
    st.sampled_from(["put", "cut", "double", "replace", "flip"]),
    st.integers(0, 2_000),
    st.integers(1, 60),
    st.one_of(st.sampled_from(SPICE), st.binary(max_size=20)),
)


@settings(SAME, max_examples=300)
@given(
    bases=st.lists(st.sampled_from(BASES), min_size=1, max_size=3), changes=st.lists(CHANGES, min_size=1, max_size=6)
)
def test_spoilt_requests_are_met_with_sense(at: Door, bases: list[Asked], changes: list[Change]) -> None:
    meets_with_sense(at, changed(b"".join(base.sent(at) for base in bases), changes))


@settings(SAME, max_examples=100)
@given(sent=st.lists(st.one_of(st.sampled_from(SPICE), st.binary(max_size=300)), min_size=1, max_size=12))
def test_noise_is_met_with_sense(at: Door, sent: list[bytes]) -> None:
    meets_with_sense(at, b"".join(sent))


@settings(SAME, max_examples=150)
@given(base=st.sampled_from(BASES[:5]), changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_spoilt_bodies_of_the_right_length_are_met_with_sense(at: Door, base: Asked, changes: list[Change]) -> None:
    head, _, body = base.sent(at).partition(b"\r\n\r\n")
    body = changed(body, changes)
    lines = [line for line in head.split(b"\r\n") if not line.startswith((b"Content-Length", b"Transfer-Encoding"))]
    with at.line() as line:
        (said,) = line.ask(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body]))
        assert said.status in STATUSES
    at.still_answers()


def test_spoilt_requests_for_a_while(at: Door) -> None:
    seed = random.SystemRandom().getrandbits(32) if LONG_S else 7
    chance = random.Random(seed)
    before, end, tried = at.memory_mb, time.monotonic() + LONG_S, 0
    while tried < TRIES or time.monotonic() < end:
        sent = b"".join(base.sent(at) for base in chance.choices(BASES, k=chance.randint(1, 4)))
        kinds = chance.choices(["put", "cut", "double", "replace", "flip"], k=chance.randint(1, 8))
        changes = [(kind, chance.randrange(3_000), chance.randint(1, 80), chance.choice(SPICE)) for kind in kinds]
        try:
            meets_with_sense(at, changed(sent, changes))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, case {tried}: {error}") from error
        tried += 1
    at.still_answers()
    assert at.memory_mb - before < 100
