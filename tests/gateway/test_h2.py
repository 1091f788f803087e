"""Facts about one HTTP/2 connection of the gRPC door, told by frames that no client library would send, and by those
that all of them do."""

import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import hyperframe.frame as frames
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payoff.gateway.grpc_status import Code as Status
from payoff.gateway.h2_frames import PREFACE, WINDOW_END, Code
from payoff.gateway.h2_limits import FRAME_BYTES_MAX, STREAM_WINDOW
from tests.gateway.h2_door import HEADERS, LIMITS, Client, Server, is_ping, prefixed
from tests.shared import until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.port) as made:
        yield made


def raw(kind: int, flags: int, stream: int, payload: bytes, size: int | None = None) -> bytes:
    """A frame as it is, right or wrong."""
    length = len(payload) if size is None else size
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


# -- calls


def test_a_call_is_answered_with_its_message_and_a_status(client: Client) -> None:
    answer = client.call(b"hello")
    assert (answer.messages, answer.status, answer.headers[":status"]) == ([b"hello"], Status.OK, "200")
    assert answer.headers["content-type"] == "application/grpc"


def test_a_client_library_finds_nothing_amiss_in_a_long_conversation(server: Server) -> None:
    line = Client(server.port, hello=False).line
    other = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    other.initiate_connection()
    heard: dict[int, bytes] = {}
    ended = 0
    for number in range(120):
        stream = other.get_next_available_stream_id()
        other.send_headers(stream, list(HEADERS.items()))
        other.send_data(stream, prefixed(b"%d" % number * 50), end_stream=True)
        line.sendall(other.data_to_send())
        while ended <= number:
            for event in other.receive_data(line.recv(1 << 16)):
                if isinstance(event, h2.events.DataReceived):
                    heard[event.stream_id] = heard.get(event.stream_id, b"") + event.data
                    other.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                ended += isinstance(event, h2.events.StreamEnded)
            line.sendall(other.data_to_send())
    line.close()
    assert [*heard.values()] == [prefixed(b"%d" % number * 50) for number in range(120)]


def test_calls_of_one_connection_do_not_wait_for_each_other(server: Server, client: Client) -> None:
    late = client.next
    client.send(*client.request(b"a", path="/t/Late"), *client.request(b"b"))
    assert client.answer(late + 2).messages == [b"b"]
    assert not client.of(late).ended
    server.release()
    assert client.answer(late).messages == [b"a"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 400), max_size=30), st.booleans())
def test_it_makes_no_difference_how_the_bytes_are_cut(server: Server, sizes: list[int], single: bool) -> None:
    with Client(server.port, hello=False) as client:
        said = [PREFACE, frames.SettingsFrame(0).serialize()]
        for number in range(4):
            said += [frame.serialize() for frame in client.request(b"x" * number * 60)]
        whole = b"".join(said)
        for size in [1] * len(whole) if single else sizes:
            client.send(whole[:size])
            whole = whole[size:]
        client.send(whole)
        assert [client.answer(stream).messages for stream in (1, 3, 5, 7)] == [
            [b"x" * number * 60] for number in range(4)
        ]


def test_padding_priorities_and_what_nobody_knows_are_passed_over(client: Client) -> None:
    block = client.encoder.encode(list(HEADERS.items()))
    headers = frames.HeadersFrame(
        1, block, pad_length=7, depends_on=0, stream_weight=9, flags=["END_HEADERS", "PADDED", "PRIORITY"]
    )
    data = frames.DataFrame(1, prefixed(b"padded"), pad_length=30, flags=["END_STREAM", "PADDED"])
    client.send(frames.PriorityFrame(5, depends_on=0), raw(0x42, 0xFF, 0, b"?"), headers, raw(0x77, 0, 1, b""), data)
    assert client.answer(1).messages == [b"padded"]


def test_headers_may_come_in_pieces_and_behind_the_messages(client: Client) -> None:
    block = client.encoder.encode([*HEADERS.items(), ("x-more", "y" * 600)])
    pieces = [block[:5], block[5:100], block[100:]]
    client.send(
        frames.HeadersFrame(1, pieces[0]),
        frames.ContinuationFrame(1, pieces[1]),
        frames.ContinuationFrame(1, pieces[2], flags=["END_HEADERS"]),
        frames.DataFrame(1, prefixed(b"hi")),
        frames.HeadersFrame(1, client.encoder.encode([("x-end", "1")]), flags=["END_HEADERS", "END_STREAM"]),
    )
    assert client.answer(1).messages == [b"hi"]


def test_a_block_of_headers_means_what_the_table_says_when_it_comes(client: Client) -> None:
    rest = b"".join([b"\x83\x86", b"\x00\x0ccontent-type\x10application/grpc"])
    put_echo, put_none = b"\x44\x07/t/Echo", b"\x44\x07/t/None"
    newest = b"\xbe" + rest  # the newest entry of the table as :path
    asked = [put_echo + rest, newest, newest, put_none + rest, newest, newest]
    for place, block in enumerate(asked):
        client.send(
            frames.HeadersFrame(2 * place + 1, block, flags=["END_HEADERS"]),
            frames.DataFrame(2 * place + 1, prefixed(b"x"), flags=["END_STREAM"]),
        )
    statuses = [client.answer(2 * place + 1).status for place in range(len(asked))]
    assert statuses == [Status.OK] * 3 + [Status.UNIMPLEMENTED] * 3


@pytest.mark.parametrize("size", [0, 40, 100, 4_096, 60_000])
def test_answers_can_be_read_whatever_table_the_client_keeps(server: Server, size: int) -> None:
    with Client(server.port, {frames.SettingsFrame.HEADER_TABLE_SIZE: size}) as client:
        client.decoder.max_allowed_table_size = size
        assert [client.call(b"x").status for _ in range(3)] == [Status.OK] * 3
        client.send(frames.SettingsFrame(0, settings={frames.SettingsFrame.HEADER_TABLE_SIZE: 500}))
        client.decoder.max_allowed_table_size = 500
        assert [client.call(b"x", path=path).status for path in ("/t/Echo", "/t/No", "/t/Echo", "/t/Echo")] == [
            Status.OK, Status.UNIMPLEMENTED, Status.OK, Status.OK,
        ]  # fmt: skip


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_packed_message_is_read_and_its_answer_packed_if_that_pays(client: Client, coding: str) -> None:
    pack: Callable[[bytes], bytes] = gzip.compress if coding == "gzip" else zlib.compress
    unpack: Callable[[bytes], bytes] = gzip.decompress if coding == "gzip" else zlib.decompress
    for message in (b"long " * 2_000, b"short"):
        stream = client.next
        head = client.request(None, grpc_encoding=coding)
        client.send(*head, frames.DataFrame(stream, prefixed(pack(message), 1), flags=["END_STREAM"]))
        answer = client.answer(stream)
        assert answer.headers["grpc-encoding"] == coding
        assert answer.data[0] == (len(message) > 1_024)
        assert (unpack(answer.messages[0]) if answer.data[0] else answer.messages[0]) == message


def test_the_answers_of_a_stream_come_in_the_order_of_its_messages(client: Client) -> None:
    messages = [b"x" * number for number in range(200)]
    client.send(*client.request(None, path="/t/Stream"))
    for message in messages:
        client.send(frames.DataFrame(1, prefixed(message)))
    assert client.until(lambda: len(client.of(1).messages) == 200)
    assert client.of(1).messages == messages
    assert not client.of(1).ended
    client.send(frames.DataFrame(1, b"", flags=["END_STREAM"]))
    assert client.answer(1).status is Status.OK


def test_a_stream_that_says_much_at_once_is_answered_to_its_end(client: Client) -> None:
    said = b"".join(prefixed(b"%d" % number) for number in range(3_000))
    client.send(*client.request(None, path="/t/Stream"))
    for start in range(0, len(said), 10_000):
        last = start + 10_000 >= len(said)
        client.send(frames.DataFrame(1, said[start : start + 10_000], flags=["END_STREAM"] if last else []))
    assert client.answer(1).status is Status.OK
    assert client.of(1).messages == [b"%d" % number for number in range(3_000)]


# -- what is refused, and goes on


@pytest.mark.parametrize(
    ("headers", "message", "status", "says"),
    [
        ({"path": "/t/Nothing"}, b"", Status.UNIMPLEMENTED, "no method '/t/Nothing'"),
        ({"path": "/t/Broken"}, b"", Status.INTERNAL, "incident"),
        ({"grpc_encoding": "snappy"}, b"", Status.UNIMPLEMENTED, "'snappy' is not read here"),
        ({"grpc_timeout": "0n"}, b"", Status.DEADLINE_EXCEEDED, "had passed"),
        ({}, b"x" * 100_001, Status.RESOURCE_EXHAUSTED, "100,001 bytes; the limit is 100,000"),
    ],
)
def test_a_call_that_is_refused_hears_why_and_the_next_is_answered(
    client: Client, headers: dict[str, str], message: bytes, status: Status, says: str
) -> None:
    stream = client.next
    client.send(*client.request(None, **headers))
    for start in range(0, max(1, len(message)), 16_000):
        client.send(frames.DataFrame(stream, prefixed(message)[start : start + 16_000]))
    client.send(
        frames.DataFrame(stream, prefixed(message)[16_000 * (len(message) // 16_000 + 1) :], flags=["END_STREAM"])
    )
    answer = client.answer(stream)
    assert answer.status is status
    assert says in answer.headers["grpc-message"]
    assert client.call(b"next").messages == [b"next"]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0", prefixed(b"abc")[:-1], prefixed(b"a") + prefixed(b"b"), prefixed(b"a") + b"x",
        prefixed(b"a", 1), prefixed(b"a", 7),
    ],
)  # fmt: skip
def test_a_call_without_exactly_one_message_is_refused(client: Client, data: bytes) -> None:
    client.send(*client.request(None), frames.DataFrame(1, data, flags=["END_STREAM"]))
    assert client.answer(1).status is Status.INVALID_ARGUMENT
    assert client.call(b"next").messages == [b"next"]


@pytest.mark.parametrize("known", [False, True])
def test_a_message_over_the_limit_is_refused_also_if_it_comes_in_one_frame(client: Client, known: bool) -> None:
    for _ in range(2 * known):
        assert client.call(b"x").status is Status.OK
    answer = client.call(b"x" * 100_001)
    assert answer.status is Status.RESOURCE_EXHAUSTED
    assert "100,001 bytes; the limit is 100,000" in answer.headers["grpc-message"]
    assert client.call(b"next").messages == [b"next"]


def test_whatever_follows_known_headers_is_looked_at_as_ever(client: Client) -> None:
    assert [client.call(b"x").status for _ in range(3)] == [Status.OK] * 3
    block = client.encoder.encode(list(HEADERS.items()))

    def call(data: bytes, flags: int = 1, numbers: tuple[int, int] | None = None) -> Any:
        stream, client.next = client.next, client.next + 2
        first, second = numbers or (stream, stream)
        client.send(raw(1, 4, first, block) + raw(0, flags, second, data))
        return client.answer(stream)

    assert call(prefixed(b"one") + b"!").status is Status.INVALID_ARGUMENT
    assert call(prefixed(b"one")[:-1]).status is Status.INVALID_ARGUMENT
    assert call(prefixed(b"one", 1)).status is Status.INVALID_ARGUMENT
    assert call(b"\x03" + prefixed(b"one") + b"\0" * 3, flags=9).messages == [b"one"]
    reserved = client.next | 1 << 31
    assert call(prefixed(b"one"), numbers=(reserved, reserved)).messages == [b"one"]


def test_a_message_that_unpacks_to_more_than_the_limit_is_refused(client: Client) -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    client.send(*client.request(None, grpc_encoding="gzip"))
    client.send(frames.DataFrame(1, prefixed(bomb, 1)[:16_000]), frames.DataFrame(1, prefixed(bomb, 1)[16_000:32_000]))
    client.send(
        *[frames.DataFrame(1, prefixed(bomb, 1)[at : at + 16_000]) for at in range(32_000, len(bomb) + 5, 16_000)]
    )
    client.send(frames.DataFrame(1, b"", flags=["END_STREAM"]))
    assert client.answer(1).status is Status.RESOURCE_EXHAUSTED


def test_whoever_speaks_http_but_not_grpc_is_told(client: Client) -> None:
    client.send(*client.request(None, **{"content_type": "application/json"}))
    answer = client.answer(1)
    assert (answer.headers[":status"], answer.status) == ("415", Status.UNIMPLEMENTED)
    assert "application/grpc" in answer.headers["grpc-message"]


def test_whoever_speaks_http_1_is_told(server: Server) -> None:
    with Client(server.port, hello=False) as client:
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        heard = b""
        while part := client.line.recv(1 << 16):
            heard += part
    assert heard.startswith(b"HTTP/1.1 426 ")
    assert b"gRPC" in heard


@pytest.mark.parametrize(
    "wrong",
    [
        [("Upper", "1")], [("connection", "close")], [("te", "gzip")], [(":path", "/again")], [(":strange", "1")],
        [("transfer-encoding", "chunked")],
    ],
)  # fmt: skip
def test_headers_that_are_none_end_their_stream_and_no_other(client: Client, wrong: list[tuple[str, str]]) -> None:
    block = client.encoder.encode(
        [*((n, v) for n, v in HEADERS.items() if n not in dict(wrong) or n[0] == ":"), *wrong]
    )
    client.send(frames.HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]))
    assert client.answer(1).reset is Code.PROTOCOL_ERROR
    client.next = 3
    assert client.call(b"next").messages == [b"next"]


def test_more_calls_than_agreed_are_turned_away_and_may_come_again(server: Server, client: Client) -> None:
    for _ in range(LIMITS.calls_max):
        client.send(*client.request(b"", path="/t/Late"))
    over = client.next
    client.send(*client.request(b"over"))
    assert client.answer(over).reset is Code.REFUSED_STREAM
    server.release()
    assert client.answer(1).status is Status.OK
    assert client.call(b"again").messages == [b"again"]


def test_the_bodies_of_one_connection_that_are_not_whole_have_a_limit(client: Client) -> None:
    for _ in range(3):
        stream = client.next
        client.send(*client.request(None), frames.DataFrame(stream, prefixed(b"x" * 80_000)[:16_000]))
        client.send(*[frames.DataFrame(stream, b"x" * 16_000) for _ in range(3)])
    assert client.answer(stream).status is Status.RESOURCE_EXHAUSTED
    assert not client.of(1).ended


def test_a_call_that_is_taken_back_is_known_to_be_gone(server: Server, client: Client) -> None:
    before = len(server.seen)
    client.send(*client.request(b"", path="/t/Never"), frames.PingFrame(0, opaque_data=b"01234567"))
    assert client.until(lambda: len(server.seen) > before)
    call = server.seen[-1]
    assert (call.gone, call.head.headers[b":path"]) == (False, b"/t/Never")
    assert call.address == "{}:{}".format(*client.line.getsockname())
    client.send(frames.RstStreamFrame(1, Code.CANCEL))
    assert client.call(b"next").status is Status.OK
    assert call.gone
    call.hear(b"too late")
    assert not client.of(1).ended


def test_calls_of_a_client_that_leaves_are_gone(server: Server) -> None:
    with Client(server.port) as client:
        before = len(server.seen)
        client.send(*client.request(b"", path="/t/Never"))
        assert client.until(lambda: len(server.seen) > before)
    until(lambda: server.seen[-1].gone, "the call is known to be gone")


# -- windows


def test_an_answer_waits_for_the_windows_of_the_client(server: Server) -> None:
    with Client(server.port, {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 10}) as client:
        client.send(*client.request(b"90000", path="/t/Large"))
        assert client.until(lambda: len(client.of(1).data) == 10)
        client.send(frames.WindowUpdateFrame(1, window_increment=5))
        assert client.until(lambda: len(client.of(1).data) == 15)
        client.send(frames.WindowUpdateFrame(1, window_increment=200_000))
        assert client.until(lambda: len(client.of(1).data) > 60_000)
        assert not client.of(1).ended  # the connection's window is full
        client.send(frames.WindowUpdateFrame(0, window_increment=200_000))
        assert client.answer(1).messages == [b"x" * 90_000]
        assert client.of(1).status is Status.OK


def test_a_new_first_window_holds_for_calls_that_are_open(server: Server) -> None:
    with Client(server.port, {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as client:
        client.send(*client.request(b"abc"))
        client.send(frames.PingFrame(0, opaque_data=b"01234567"))
        assert client.until(lambda: any(isinstance(frame, frames.PingFrame) for frame in client.others))
        assert client.of(1).data == b""
        client.send(frames.SettingsFrame(0, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 70_000}))
        assert client.answer(1).messages == [b"abc"]


def test_frames_are_no_larger_than_the_client_takes(server: Server) -> None:
    with Client(server.port, {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 20}) as client:
        client.send(frames.WindowUpdateFrame(0, window_increment=1 << 20), *client.request(b"400000", path="/t/Large"))
        sizes = []
        take = client.take

        def look(frame: Any) -> None:
            sizes.append(len(frame.data) if isinstance(frame, frames.DataFrame) else 0)
            take(frame)

        client.take = look  # type: ignore[method-assign]
        assert client.answer(1).messages == [b"x" * 400_000]
        assert max(sizes) == 16_384


def test_a_client_that_leaves_no_room_gets_no_more_calls(server: Server) -> None:
    with Client(server.port, {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as client:
        for _ in range(4):
            client.send(*client.request(b"90000", path="/t/Large"))
        over = client.next
        client.send(*client.request(b"x"))
        answer = client.answer(over)
        assert answer.status is Status.RESOURCE_EXHAUSTED
        assert int(answer.headers["grpc-retry-pushback-ms"]) > 0


def test_a_client_that_sends_much_is_given_room_again(client: Client) -> None:
    stream = client.next
    client.send(*client.request(None, path="/t/Stream"))
    piece = prefixed(b"x" * 8_000) * 2
    for _ in range(STREAM_WINDOW // len(piece) // 2 + 20):
        client.send(frames.DataFrame(stream, piece))
    assert client.until(lambda: any(frame.stream_id == stream for frame in client.others))
    (update,) = [frame for frame in client.others if frame.stream_id == stream]
    assert update.window_increment > STREAM_WINDOW // 2


# -- what ends the connection

PING, SETTING = frames.PingFrame(0, opaque_data=b"01234567").serialize(), frames.SettingsFrame(0).serialize()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(raw(0, 0, 1, b"x"), Code.PROTOCOL_ERROR, id="data on a stream that is not open"),
        pytest.param(raw(0, 0, 0, b"x"), Code.PROTOCOL_ERROR, id="data on no stream"),
        pytest.param(raw(0, 8, 1, b"\x09x"), Code.PROTOCOL_ERROR, id="nothing but padding, on no stream"),
        pytest.param(raw(1, 4, 2, b"\x82"), Code.PROTOCOL_ERROR, id="headers on an even stream"),
        pytest.param(raw(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff"), Code.COMPRESSION_ERROR, id="no hpack"),
        pytest.param(raw(1, 4, 1, b"\xc0"), Code.COMPRESSION_ERROR, id="an index beyond the table"),
        pytest.param(raw(1, 0xC, 1, b"\xff\x82"), Code.PROTOCOL_ERROR, id="headers that are all padding"),
        pytest.param(raw(1, 0, 1, b"\x82") + PING, Code.PROTOCOL_ERROR, id="a ping amid headers"),
        pytest.param(raw(1, 0, 1, b"\x82") + raw(9, 4, 3, b""), Code.PROTOCOL_ERROR, id="headers of another stream"),
        pytest.param(raw(9, 4, 1, b""), Code.PROTOCOL_ERROR, id="continuation of nothing"),
        pytest.param(raw(2, 0, 0, b"12345"), Code.PROTOCOL_ERROR, id="priority of no stream"),
        pytest.param(raw(2, 0, 1, b"1234"), Code.FRAME_SIZE_ERROR, id="a short priority"),
        pytest.param(raw(3, 0, 1, b"1234"), Code.PROTOCOL_ERROR, id="reset of a stream that was never open"),
        pytest.param(raw(3, 0, 1, b"123"), Code.FRAME_SIZE_ERROR, id="a short reset"),
        pytest.param(raw(4, 0, 1, b""), Code.PROTOCOL_ERROR, id="settings of a stream"),
        pytest.param(raw(4, 0, 0, b"12345"), Code.FRAME_SIZE_ERROR, id="half a setting"),
        pytest.param(raw(4, 1, 0, b"123456"), Code.FRAME_SIZE_ERROR, id="settings in an ack"),
        pytest.param(raw(4, 0, 0, b"\0\2\0\0\0\7"), Code.PROTOCOL_ERROR, id="push neither on nor off"),
        pytest.param(raw(4, 0, 0, b"\0\4\xff\xff\xff\xff"), Code.FLOW_CONTROL_ERROR, id="a window out of range"),
        pytest.param(raw(4, 0, 0, b"\0\5\0\0\0\1"), Code.PROTOCOL_ERROR, id="frames too small"),
        pytest.param(raw(5, 4, 1, b"1234"), Code.PROTOCOL_ERROR, id="a promise"),
        pytest.param(raw(6, 0, 0, b"1234567"), Code.FRAME_SIZE_ERROR, id="a short ping"),
        pytest.param(raw(6, 0, 3, b"12345678"), Code.PROTOCOL_ERROR, id="a ping on a stream"),
        pytest.param(raw(7, 0, 1, b"12345678"), Code.PROTOCOL_ERROR, id="goaway on a stream"),
        pytest.param(raw(8, 0, 0, b"\0\0\0\0"), Code.PROTOCOL_ERROR, id="a window of nothing more"),
        pytest.param(raw(8, 0, 0, b"\x7f\xff\xff\xff"), Code.FLOW_CONTROL_ERROR, id="a window beyond the end"),
        pytest.param(raw(8, 0, 0, b"123"), Code.FRAME_SIZE_ERROR, id="a short window update"),
        pytest.param(raw(8, 0, 9, b"\0\0\0\1"), Code.PROTOCOL_ERROR, id="a window of a stream that was never open"),
        pytest.param(raw(0, 0, 1, b"", FRAME_BYTES_MAX + 1), Code.FRAME_SIZE_ERROR, id="a frame that is too large"),
        pytest.param(raw(1, 0, 1, b"x" * 5_000), Code.ENHANCE_YOUR_CALM, id="too many headers"),
        pytest.param(raw(1, 4, 1, b"\x82" * 3_000), Code.ENHANCE_YOUR_CALM, id="headers that unpack to too many"),
    ],
)
def test_what_breaks_the_protocol_ends_the_connection_with_its_code(server: Server, said: bytes, code: Code) -> None:
    with Client(server.port) as client:
        client.send(said)
        assert client.end() is code


def test_the_first_frame_is_settings(server: Server) -> None:
    with Client(server.port, hello=False) as client:
        client.send(PREFACE, PING)
        assert client.end() is Code.PROTOCOL_ERROR


FLOODS = {
    "pings": PING * 400,
    "settings": SETTING * 400,
    "priorities": raw(2, 0, 1, b"\0\0\0\3\1") * 400,
    "room for nothing": raw(8, 0, 0, b"\0\0\0\1") * 400,
    "frames that nobody knows": raw(0x55, 0, 0, b"") * 400,
    "continuations": raw(1, 0, 1, b"") + raw(9, 0, 1, b"") * 400,
    "acks": raw(4, 1, 0, b"") * 400,
    "goodbyes": raw(7, 0, 0, b"\0" * 8) * 400,
}


@pytest.mark.parametrize("said", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_that_asks_for_nothing_is_told_to_be_calm(server: Server, said: bytes) -> None:
    with Client(server.port) as client:
        client.send(said)
        assert client.end() is Code.ENHANCE_YOUR_CALM


def test_empty_data_without_end_is_a_flood_too(server: Server) -> None:
    with Client(server.port) as client:
        client.send(*client.request(None), raw(0, 0, 1, b"") * 400)
        assert client.end() is Code.ENHANCE_YOUR_CALM


def test_calls_that_are_begun_only_to_be_taken_back_end_the_connection(server: Server) -> None:
    with Client(server.port) as client:
        for number in range(200):
            client.send(*client.request(b"", path="/t/Never"), frames.RstStreamFrame(2 * number + 1, Code.CANCEL))
        assert client.end() is Code.ENHANCE_YOUR_CALM
    until(lambda: all(call.gone for call in server.seen), "all calls are known to be gone")


def test_calls_that_we_have_to_reset_count_as_taken_back(server: Server) -> None:
    with Client(server.port) as client:
        for number in range(200):
            zero = frames.WindowUpdateFrame(2 * number + 1).serialize()[:-4] + b"\0\0\0\0"
            client.send(*client.request(b"", path="/t/Never"), zero)
        assert client.end() is Code.ENHANCE_YOUR_CALM


def test_many_calls_with_the_frames_that_clients_send_beside_them_are_no_flood(client: Client) -> None:
    for _ in range(1_500):
        answer = client.call(b"x" * 100)
        client.send(PING, frames.WindowUpdateFrame(0, window_increment=105))
    assert answer.status is Status.OK
    assert client.gone is None


# -- time


def test_a_client_that_does_not_say_what_it_wants_is_let_go(server: Server) -> None:
    with Client(server.port, hello=False) as silent, Client(server.port, hello=False) as slow:
        slow.send(PREFACE[:10])
        for one in (silent, slow):
            assert one.until(lambda one=one: one.closed, meanwhile=minutes(server))  # type: ignore[misc]


def minutes(server: Server) -> Callable[[], None]:
    """Time passes, more of it than a message may take."""
    return lambda: server.later(LIMITS.receive_s_max + 1)


def test_a_frame_that_does_not_end_ends_the_connection(server: Server) -> None:
    with Client(server.port) as client:
        client.send(PING[:12])
        client.end(minutes(server))


def test_a_message_that_does_not_end_ends_its_call_and_no_other(server: Server) -> None:
    with Client(server.port) as client:
        client.send(*client.request(None), frames.DataFrame(1, prefixed(b"x" * 100)[:50]))
        client.send(*client.request(None, path="/t/Stream"), frames.DataFrame(3, prefixed(b"xx")))
        client.heard()
        server.later(LIMITS.receive_s_max + 1)
        assert client.answer(1).reset is Code.CANCEL
        assert client.of(3).messages == [b"xx"]
        assert not client.of(3).ended  # a stream may be silent between its messages
        assert client.call(b"next").messages == [b"next"]


def test_an_answer_that_is_not_taken_is_let_go(server: Server) -> None:
    with Client(server.port, {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as client:
        client.send(*client.request(b"x"))
        client.heard()
        server.later(LIMITS.receive_s_max + 1)
        assert client.answer(1).reset is Code.CANCEL


def test_a_deadline_that_passes_is_told(server: Server, client: Client) -> None:
    for _ in range(3):  # with the same headers, each counts from its own beginning
        stream = client.next
        client.send(*client.request(b"x", path="/t/Never", grpc_timeout="60m"))
        client.heard()
        server.later(0.07)
        answer = client.answer(stream)
        assert answer.status is Status.DEADLINE_EXCEEDED
        assert "0.06 s" in answer.headers["grpc-message"]


def test_a_deadline_that_has_not_passed_holds_nobody_up(server: Server, client: Client) -> None:
    stream = client.next
    client.send(*client.request(b"x", path="/t/Late", grpc_timeout="8H"))
    assert client.call(b"next").status is Status.OK
    server.later(1)
    server.release()
    assert client.answer(stream).messages == [b"x"]


def test_an_idle_connection_ends_without_an_error(server: Server) -> None:
    with Client(server.port) as client:
        assert client.call(b"x").status is Status.OK
        server.later(LIMITS.idle_s_max + 1)
        assert client.end() is Code.NO_ERROR


def asked(client: Client) -> list[Any]:
    """The pings that have come."""
    return [frame for frame in client.others if is_ping(frame)]


def test_a_silent_client_with_calls_is_asked_whether_it_is_there(server: Server) -> None:
    quiet_s, answer_s = LIMITS.quiet_s_max + 1, LIMITS.answer_s_max + 1
    with Client(server.port) as client:
        client.send(*client.request(b"x", path="/t/Never"))
        client.heard().others.clear()
        server.later(quiet_s)
        assert client.until(lambda: asked(client))
        server.later(answer_s)
        client.end()
    with Client(server.port) as client:
        client.send(*client.request(b"x", path="/t/Never"))
        for _ in range(3):
            client.heard().others.clear()
            server.later(quiet_s)
            assert client.until(lambda: asked(client))
            client.send(*[frames.PingFrame(0, frame.opaque_data, flags=["ACK"]) for frame in asked(client)])
            client.heard()
            server.later(answer_s)
        assert client.call(b"still here").status is Status.OK


def test_more_connections_than_a_worker_takes_are_told_so(server: Server) -> None:
    clients = [Client(server.port) for _ in range(LIMITS.connections_max + 8)]
    try:
        last = clients[-1]
        assert last.end() is Code.ENHANCE_YOUR_CALM
        assert last.gone is not None
        assert last.gone.additional_data.startswith(b"a worker takes 30 connections")
    finally:
        for client in clients:
            client.line.close()


# -- leaving


def test_a_worker_that_leaves_answers_what_was_asked_before_its_clients_could_know() -> None:
    server = Server()
    try:
        with Client(server.port) as client:
            client.send(*client.request(b"before", path="/t/Late"), *client.request(None, path="/t/Stream"))
            assert client.call(b"x").status is Status.OK
            server.drain()
            assert client.until(lambda: client.gone)
            assert client.gone is not None
            assert (client.gone.last_stream_id, client.gone.error_code) == (WINDOW_END, Code.NO_ERROR)
            late = client.next
            client.send(*client.request(b"meanwhile"))
            assert client.until(lambda: any(isinstance(frame, frames.PingFrame) for frame in client.others))
            (ping,) = [frame for frame in client.others if isinstance(frame, frames.PingFrame)]
            client.send(frames.PingFrame(0, ping.opaque_data, flags=["ACK"]), *client.request(b"too late"))
            server.release()
            assert client.end(lambda: server.later(0)) is Code.NO_ERROR
            assert client.gone.last_stream_id == late
            assert [client.of(stream).messages for stream in (1, late, late + 2)] == [[b"before"], [b"meanwhile"], []]
            assert client.of(3).status is Status.UNAVAILABLE  # a stream that was open, and had nothing to wait for
    finally:
        server.stop()


# -- anything at all


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 2))
def test_any_bytes_leave_the_door_open_for_others(server: Server, said: bytes, after: int) -> None:
    before = [b"", PREFACE, PREFACE + SETTING][after]
    with Client(server.port, hello=False) as client:
        client.send(before + said)
        client.until(lambda: client.gone, 0.02)
        assert client.gone is None or client.gone.error_code != Code.INTERNAL_ERROR
    with Client(server.port) as client:
        assert client.call(b"still here").messages == [b"still here"]


def test_frames_of_any_kind_in_any_order_leave_the_door_open_for_others(server: Server) -> None:
    chance = random.Random(7)
    for _ in range(400):  # connections, on a slow machine as on a fast one
        with Client(server.port) as client:
            for _ in range(chance.randrange(1, 60)):
                client.send(spoiled(client, chance))
            client.until(lambda: client.gone, 0.01)
            assert client.gone is None or client.gone.error_code != Code.INTERNAL_ERROR
        with Client(server.port) as client:
            assert client.call(b"still here").messages == [b"still here"]


def spoiled(client: Client, chance: random.Random) -> bytes:
    """A frame, often a right one, sometimes with a byte changed."""
    whole = b"".join(frame.serialize() for frame in client.request(chance.randbytes(chance.randrange(200))))
    if chance.random() < 0.5:
        payload = chance.randbytes(chance.choice([0, 4, 5, 6, 8, 40]))
        whole = raw(chance.randrange(11), chance.choice([0, 1, 4, 5, 8, 0x20, 0xFF]), chance.randrange(9), payload)
    if chance.random() < 0.3:
        at = chance.randrange(len(whole))
        whole = whole[:at] + chance.randbytes(1) + whole[at + 1 :]
    return whole
