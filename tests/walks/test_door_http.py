"""What comes over the wire gets its right answer or a clear refusal, and then the next caller is answered."""

import json
import threading
from collections.abc import Callable

import pytest

from tests.walks.wire import Door, Said, parse, refused, row

BODY = json.dumps(row(7)).encode()
MANY = json.dumps([row(2 * number) for number in range(20_000)]).encode()
CHUNKED = "Transfer-Encoding: chunked"


pytestmark = pytest.mark.usefixtures("the_next_caller_is_answered")


def answered(said: Said, number: int = 7) -> None:
    """The answer to `row(number)`, alone."""
    assert said.status == 200, said
    (one,) = said.json["predictions"]
    assert (one["same_id"], one["same_x"], one["same_word"]) == (number, number + 0.25, f"w{number}")


def chunks(*pieces: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + last


# -- well made, if unusual

WELL_MADE = [
    ("chunked", (CHUNKED,), chunks(BODY)),
    ("one byte a chunk", (CHUNKED,), chunks(*[BODY[i : i + 1] for i in range(len(BODY))])),
    ("chunk extensions", (CHUNKED,), b'%x;a=b;c="d"\r\n%b\r\n0;e\r\n\r\n' % (len(BODY), BODY)),
    ("capital and padded chunk sizes", (CHUNKED,), b"%06X\r\n%b\r\n000\r\n\r\n" % (len(BODY), BODY)),
    ("a trailer", (CHUNKED,), chunks(BODY, last=b"0\r\nX-Checksum: 12\r\n\r\n")),
    ("header names in capitals", (f"CONTENT-LENGTH: {len(BODY)}",), BODY),
    ("no space after the colon", (f"content-length:{len(BODY)}",), BODY),
    ("spaces around a value", (f"Content-Length:  \t{len(BODY)} \t",), BODY),
    ("an empty value", (f"Content-Length: {len(BODY)}", "X-Empty:"), BODY),
    ("a value that is no ASCII", (f"Content-Length: {len(BODY)}", "X-Name: Zoë"), BODY),
    ("ninety headers", (f"Content-Length: {len(BODY)}", *[f"X-{i}: y" for i in range(90)]), BODY),
    ("a repeated header", (f"Content-Length: {len(BODY)}", "X-A: 1", "X-A: 2"), BODY),
    ("leading zeros in the length", (f"Content-Length: 000{len(BODY)}",), BODY),
    ("an expectation that is none", (f"Content-Length: {len(BODY)}", "Expect: sunshine"), BODY),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "body"), [one[1:] for one in WELL_MADE], ids=[one[0] for one in WELL_MADE])
def test_unusual_but_well_made_requests_are_answered_and_the_connection_goes_on(
    at: Door, lines: tuple[str, ...], body: bytes
) -> None:
    first, second = at.say(at.head("POST", "/predict/echo", *lines) + body, at.call(BODY))
    answered(first)
    answered(second)


def test_empty_lines_between_requests_are_passed_over(at: Door) -> None:
    first, second = at.say(b"\r\n\r\n" + at.call(BODY) + b"\r\n" + at.call(BODY))
    answered(first)
    answered(second)


TARGETS = [
    ("absolute", "http://{host}/predict/echo", 200),
    ("absolute in capitals", "HTTP://{host}/predict/echo", 200),
    ("a query", "/predict/echo?a=b&c=%00&d=/predict/other", 200),
    ("percent-encoded", "/predict/ec%68o", 200),
    ("a slash at the end", "/predict/echo/", 200),
    ("a wrong percent sign", "/predict/ec%zz", 404),
    ("no UTF-8", "/predict/%ff%fe", 404),
    ("a NUL", "/predict/echo%00", 404),
    ("one up", "/predict/../predict/echo", 404),
    ("one up and down", "/predict/other/../echo", 404),
    ("one up, encoded", "/predict/%2e%2e/%2e%2e/etc/passwd", 404),
    ("a part", "/predict/echo#x", 404),
    ("another case", "/Predict/echo", 405),
    ("two slashes", "//predict/echo", 405),
    ("nothing", "/predict/", 404),
    ("a long name", "/predict/" + "e" * 5_000, 404),
]


@pytest.mark.parametrize(("target", "status"), [one[1:] for one in TARGETS], ids=[one[0] for one in TARGETS])
def test_a_target_is_found_or_not_in_words(at: Door, target: str, status: int) -> None:
    (said,) = at.say(at.call(BODY, path=target.format(host=at.host)))
    if status == 200:
        answered(said)
    else:
        refused(said, status)
        assert len(said.body) < 500


METHODS = [("OPTIONS", "*"), ("OPTIONS", "/predict/echo"), ("TRACE", "/v2"), ("CONNECT", "example.org:443"),
           ("GET", "/predict/echo"), ("PUT", "/predict/echo"), ("DELETE", "/v2/models/echo"), ("PATCH", "/"),
           ("PROPFIND", "/")]  # fmt: skip


@pytest.mark.parametrize(("method", "target"), METHODS)
def test_a_method_that_is_not_possible_is_answered_with_those_that_are(at: Door, method: str, target: str) -> None:
    (said,) = at.say(at.head(method, target))
    refused(said, 400, 405, 501)
    if said.status == 405:
        assert said.headers["allow"]


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", "/v2/models/echo", "/nothing", "/predict/echo"])
def test_head_is_answered_like_get_without_the_body(at: Door, path: str) -> None:
    head, get = at.say(at.head("HEAD", path) + at.head("GET", path), methods=("HEAD", "GET"))
    assert head.status == get.status
    assert head.body == b""
    if head.status == 200:
        assert head.headers == get.headers


# -- HTTP/1.0


def old(at: Door, *lines: str) -> bytes:
    return at.call(BODY, *lines).replace(b"HTTP/1.1", b"HTTP/1.0", 1)


def test_http_1_0_is_answered_and_the_connection_ends(at: Door) -> None:
    with at.line() as line:
        line.send(old(at))
        (said,) = parse(line.rest())
    answered(said)


# -- asking before sending


def test_a_client_that_asks_first_sends_its_body_when_it_is_told_to(at: Door) -> None:
    head = at.head("POST", "/predict/echo", "Expect: 100-continue", f"Content-Length: {len(BODY)}")
    with at.line() as line:
        (going,) = line.ask(head)
        assert going.status == 100
        (said,) = line.ask(BODY)
        answered(said)


def test_a_client_that_asks_first_and_sends_at_once_is_answered(at: Door) -> None:
    head = at.head("POST", "/predict/echo", "Expect: 100-continue", f"Content-Length: {len(BODY)}")
    *_, said = at.say(head + BODY)
    answered(said)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(at: Door) -> None:
    with at.line() as line:
        line.send(at.head("POST", "/predict/echo", "Expect: 100-continue", "Content-Length: 999999999"))
        (said,) = parse(line.rest())
    refused(said, 413)


# -- what is not HTTP, or not clear

UNCLEAR = [
    ("length and chunks", (f"Content-Length: {len(BODY)}", CHUNKED), BODY),
    ("chunks and length", (CHUNKED, f"Content-Length: {len(BODY)}"), chunks(BODY)),
    ("two lengths", (f"Content-Length: {len(BODY)}", "Content-Length: 3"), BODY),
    ("a list of lengths", (f"Content-Length: {len(BODY)}, 3",), BODY),
    ("a signed length", (f"Content-Length: +{len(BODY)}",), BODY),
    ("a negative length", ("Content-Length: -1",), BODY),
    ("a hexadecimal length", ("Content-Length: 0x22",), BODY),
    ("a length with a fraction", ("Content-Length: 34.0",), BODY),
    ("an empty length", ("Content-Length:",), BODY),
    ("a length beyond 64 bits", ("Content-Length: 99999999999999999999999",), BODY),
    ("a length in other digits", ("Content-Length: \xb2\xb3",), BODY),
    ("identity", ("Transfer-Encoding: identity",), BODY),
    ("chunked, identity", ("Transfer-Encoding: chunked, identity",), chunks(BODY)),
    ("chunked and once more not", (CHUNKED, "Transfer-Encoding: identity"), chunks(BODY)),
    ("chunked misspelt", ("Transfer-Encoding: xchunked",), chunks(BODY)),
    ("a tab before the colon", ("Transfer-Encoding\t: chunked",), chunks(BODY)),
    ("a space before the colon", ("Content-Length : 5",), BODY),
    ("a folded line", ("X-A: b\r\n c",), BODY),
    ("a folded length", ("Content-Length:\r\n 34",), BODY),
    ("a NUL in a value", ("X-A: b\0c",), BODY),
    ("a NUL in a name", ("X-\0A: b",), BODY),
    ("a bare CR in a value", ("X-A: b\rContent-Length: 5",), BODY),
    ("a bare LF in a value", ("X-A: b\nContent-Length: 5",), BODY),
    ("a name that is none", ("X A: b",), BODY),
    ("no name", (": b",), BODY),
    ("no colon", ("Hello",), BODY),
    ("a chunk size that is none", (CHUNKED,), b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a negative chunk size", (CHUNKED,), b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a chunk size with 0x", (CHUNKED,), b"0x22\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a chunk size beyond 64 bits", (CHUNKED,), b"F" * 18 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a chunk longer than its size", (CHUNKED,), b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    ("a chunk line that ends in LF", (CHUNKED,), b"%x\n%b\n0\n\n" % (len(BODY), BODY)),
    ("two hosts", ("Host: 127.0.0.1", f"Content-Length: {len(BODY)}"), BODY),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "body"), [one[1:] for one in UNCLEAR], ids=[one[0] for one in UNCLEAR])
def test_a_request_whose_end_or_meaning_is_unclear_is_refused_once_and_the_connection_ends(
    at: Door, lines: tuple[str, ...], body: bytes
) -> None:
    """Nothing after it is taken for a request: what a proxy before us took for a body may not become one here."""
    smuggled = at.call(BODY, path="/predict/other")
    (said,) = at.say(at.head("POST", "/predict/echo", *lines) + body + smuggled)
    refused(said, 400, 501)
    assert said.ends


NO_HTTP = [
    ("bare line feeds", lambda at: at.call(BODY).replace(b"\r\n", b"\n")),
    ("one bare line feed", lambda at: at.call(BODY).replace(b"\r\nHost", b"\nHost")),
    ("bare carriage returns", lambda at: at.call(BODY).replace(b"\r\nHost", b"\rHost")),
    ("a NUL in the target", lambda at: at.head("GET", "/v2\0")),
    ("a letter of Latin-1 in the target", lambda at: at.head("GET", "/pr\xe9dict")),
    ("a delete in the target", lambda at: at.head("GET", "/v2\x7f")),
    ("a space in the target", lambda at: at.head("GET", "/v2 x")),
    ("a method in small letters", lambda at: at.call(BODY).replace(b"POST", b"post")),
    ("a method that there is not", lambda at: at.call(BODY).replace(b"POST", b"BREW")),
    ("another version", lambda at: at.head("GET", "/v2").replace(b"HTTP/1.1", b"HTTP/1.7")),
    ("another protocol", lambda at: at.head("GET", "/v2").replace(b"HTTP/1.1", b"JTTP/1.1")),
    ("TLS", lambda at: bytes.fromhex("16030100c8010000c40303") + bytes(190)),
    ("SSH", lambda at: b"SSH-2.0-OpenSSH_9.9\r\n"),
    ("zeros", lambda at: bytes(2_000)),
    ("JSON", lambda at: BODY),
]  # fmt: skip


@pytest.mark.parametrize("sent", [one[1] for one in NO_HTTP], ids=[one[0] for one in NO_HTTP])
def test_what_is_not_http_is_refused_in_words_and_the_connection_ends(at: Door, sent: Callable[[Door], bytes]) -> None:
    (said,) = at.say(sent(at) + at.call(BODY))
    refused(said, 400, 501, 505)
    assert said.ends


LARGE = [
    ("a long header", ("X-A: " + "b" * 100_000,), 431),
    ("a long name", ("X" * 100_000 + ": b",), 431),
    ("a thousand headers", tuple(f"X-{i}: y" for i in range(1_000)), 431),
    ("headers that are long together", tuple(f"X-{i}: " + "y" * 900 for i in range(60)), 431),
    ("a large body", ("Content-Length: 999999999999",), 413),
]


@pytest.mark.parametrize(("lines", "status"), [one[1:] for one in LARGE], ids=[one[0] for one in LARGE])
def test_what_is_too_large_is_refused_with_the_limit(at: Door, lines: tuple[str, ...], status: int) -> None:
    (said,) = at.say(at.head("POST", "/predict/echo", *lines))
    refused(said, status)
    assert said.ends


def test_a_target_without_end_is_refused(at: Door) -> None:
    (said,) = at.say(at.call(BODY, path="/" + "a" * 100_000))
    refused(said, 414, 431)


@pytest.mark.parametrize("part", [40, 4, -5])
def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(at: Door, part: int) -> None:
    for _ in range(50):
        with at.line() as line:
            line.send(at.call(BODY)[:part])
        with at.line() as line:
            line.send(at.call(BODY)[:part])
            line.reset()


def test_a_client_that_leaves_before_its_answer_costs_nobody_else_his(at: Door) -> None:
    for number in range(30):
        gone = [at.line() for _ in range(5)]
        with at.line() as line:
            for one in gone:
                one.send(at.call(MANY if number % 10 == 0 else BODY))
                one.reset()
            (said,) = line.ask(at.call(json.dumps(row(number)).encode()))
            answered(said, number)


# -- many in one connection


def mixed(at: Door, number: int) -> tuple[bytes, int]:
    """A request and the status it gets."""
    good = at.call(json.dumps(row(number)).encode())
    kinds = [(good, 200), (at.call(b"{"), 400), (at.call(b"[]"), 200), (at.call(BODY, path="/predict/nobody"), 404),
             (at.head("GET", "/v2/health/live"), 200), (at.head("DELETE", "/v2"), 405),
             (at.head("POST", "/predict/echo", CHUNKED) + chunks(json.dumps(row(number)).encode()), 200)]  # fmt: skip
    return kinds[number % len(kinds)]


def test_good_and_bad_requests_in_one_go_are_answered_in_their_order(at: Door) -> None:
    asked = [mixed(at, number) for number in range(1_400)]
    with at.line() as line:
        sender = threading.Thread(target=line.send, args=(b"".join(sent for sent, _ in asked),))
        sender.start()
        heard = line.hear(len(asked))
        sender.join()
    assert [said.status for said in heard] == [status for _, status in asked]
    for number, said in enumerate(heard):
        if number % 7 in (0, 6):
            answered(said, number)


def test_nothing_after_a_refusal_that_ends_the_connection_is_answered(at: Door) -> None:
    said = at.say(at.call(BODY) + b"nonsense\r\n\r\n" + at.call(BODY) * 3)
    answered(said[0])
    refused(said[1], 400)
    assert len(said) == 2


def test_nothing_after_a_last_request_is_answered(at: Door) -> None:
    (said,) = at.say(at.call(BODY, "Connection: close") + at.call(BODY) * 3)
    answered(said)
    assert said.ends


def test_five_thousand_tiny_calls_in_one_connection(at: Door) -> None:
    with at.line() as line:
        for number in range(5_000):
            (said,) = line.ask(at.call(json.dumps(row(number)).encode()))
            answered(said, number)


def test_a_call_that_is_answered_late_does_not_let_others_pass_it(at: Door) -> None:
    with at.line() as line:
        line.send(at.call(MANY) + at.call(BODY) + at.head("GET", "/v2"))
        large, small, about = line.hear(3)
    assert len(large.json["predictions"]) == 20_000
    answered(small)
    assert about.json["name"] == "payoff"


# -- half open


def test_a_client_that_closes_its_side_after_its_calls_is_answered(at: Door) -> None:
    with at.line() as line:
        (first,) = line.ask(at.call(BODY))
        answered(first)
        line.send(at.call(BODY) * 3)
        line.no_more()
        assert len(parse(line.rest())) == 3


def test_half_a_request_and_then_nothing_ends_the_connection(at: Door) -> None:
    for part in (-1, 50):
        with at.line() as line:
            line.send(at.call(BODY)[:part])
            line.no_more()
            assert [said.status for said in parse(line.rest())] in ([], [400])
