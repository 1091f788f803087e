"""Facts about a request that is answered while it is being sent, told by a desk with real models and a journal."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from payoff.codecs import formats
from payoff.codecs.pieces import Batches, Lines
from payoff.doors import kind, status
from payoff.errors import PayoffError, Unavailable
from payoff.gateway import stream
from payoff.gateway.reply import Reply, refusal
from payoff.gateway.stream import SOURCES, WRITERS, Stream
from payoff.records import Role
from payoff.serving import Heat, Limits
from tests.serving.house import House, until

pytestmark = pytest.mark.anyio


class Client:
    """The other end of a stream, in memory: what it was sent, and whether it was told to wait."""

    body_bytes_max = 4_000

    def __init__(self) -> None:
        self.body = b""
        self.content_type = b""
        self.replied: Reply | None = None
        self.over = self.last = self.was_cut = False
        self.pauses = 0
        self.paused = False

    def begin(self, content_type: bytes) -> None:
        assert not self.content_type
        self.content_type = content_type

    def send(self, data: bytes) -> None:
        assert self.content_type
        assert not self.over
        self.body += data

    def finish(self, last: bool) -> None:
        self.over, self.last = True, last

    def answer(self, content_type: bytes, body: bytes) -> None:
        self._reply(Reply(body, content_type), False)

    def refuse(self, error: Exception, last: bool) -> None:
        self._reply(explained(error), last)

    def about(self, error: Exception) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(explained(error).body)
        return said

    def _reply(self, reply: Reply, last: bool) -> None:
        assert not self.content_type
        self.replied, self.body, self.over, self.last = reply, reply.body, True, last

    def cut(self) -> None:
        self.over = self.was_cut = True

    def pause_reading(self) -> None:
        self.pauses += 1
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]


def explained(error: Exception) -> Reply:
    assert isinstance(error, PayoffError)
    return refusal(status(error), str(error), kind(error))


class Sent:
    """One request: its stream and its client."""

    def __init__(self, house: House, asked: str = "ndjson", answered: str = "ndjson") -> None:
        self.client = Client()
        writer = WRITERS[answered](formats.CODECS.take(answered))
        desk = house.desk
        self.stream = Stream(desk, lambda: desk.find("times"), SOURCES[asked](), writer, self.client)

    async def whole(self, *chunks: bytes) -> Client:
        """Send all of it at once."""
        self.stream.start()
        for chunk in chunks:
            self.stream.feed(chunk)
        self.stream.end()
        await until(lambda: self.client.over)
        return self.client


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = House(tmp_path, Limits(), Heat())
    await made.hot((Role.CHAMPION, made.here(2)))
    return made


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from payoff.flavors import FLAVORS

    monkeypatch.setitem(FLAVORS._own, "elsewhere", "tests.serving.elsewhere:FLAVOR")


def line(x: Any) -> bytes:
    return json.dumps({"x": x}).encode() + b"\n"


def ys(client: Client) -> list[Any]:
    return [said.get("y", said.get("line")) for said in client.lines]


async def test_rows_are_answered_before_the_request_is_whole(house: House) -> None:
    sent = Sent(house)
    sent.stream.start()
    sent.stream.feed(line(1) + line(2)[:4])
    await until(lambda: sent.client.body)
    assert ys(sent.client) == [2.0]
    sent.stream.feed(line(2)[4:])
    await until(lambda: len(sent.client.lines) == 2)
    assert not sent.client.over
    sent.stream.end()
    await until(lambda: sent.client.over)
    assert ys(sent.client) == [2.0, 4.0]
    assert not sent.client.last


async def test_many_rows_cut_anywhere_come_back_in_order_and_are_journaled(house: House) -> None:
    body = b"".join(line(x) for x in range(3_000)) + b'{"x": -1}'
    chunks = [body[start : start + 777] for start in range(0, len(body), 777)]
    client = await Sent(house).whole(*chunks)
    assert ys(client) == [*(2.0 * x for x in range(3_000)), -2.0]
    assert {row["id"] for row in house.journal()} == {said["prediction_id"] for said in client.lines}


async def test_a_request_that_is_whole_is_answered_by_an_ordinary_reply(house: House) -> None:
    client = await Sent(house).whole(line(1), b"\n", b"  \r\n", line(3))
    assert client.replied is not None
    assert client.replied.content_type == b"application/x-ndjson"
    assert ys(client) == [2.0, 6.0]


async def test_no_rows_are_no_answers(house: House) -> None:
    assert (await Sent(house).whole()).body == b""


@pytest.mark.parametrize("bad", [b"nonsense\n", b"5\n", b'{"x": "text"}\n', b'{"y": 1}\n', b"\xff\n", b"null\n"])
async def test_a_bad_line_gives_an_error_in_its_place_and_the_stream_goes_on(house: House, bad: bytes) -> None:
    client = await Sent(house).whole(line(1), b"\n", bad, line(2), bad, bad, line(3))
    assert ys(client) == [2.0, 3, 4.0, 5, 6, 6.0]
    fault = client.lines[1]
    assert fault.keys() == {"error", "kind", "line"}
    assert fault["kind"] == "bad_input"
    assert "row 0" not in fault["error"]


async def test_a_row_that_the_model_fails_on_costs_only_itself(tmp_path: Path) -> None:
    house = House(tmp_path, Limits(), Heat())
    await house.hot((Role.CHAMPION, house.away(factor=2, poison=7, crashes_max=9)))
    client = await Sent(house).whole(*(line(x) for x in (5, 6, 7, 8)))
    assert ys(client) == [10.0, 12.0, 3, 16.0]
    assert client.lines[2]["kind"] == "model_failed"


async def test_a_client_that_reads_slowly_is_not_written_to_and_then_not_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HELD_BYTES_MAX", 1_000)
    sent = Sent(house)
    sent.stream.start()
    sent.stream.pause()
    fed = 0
    while not sent.client.paused:
        sent.stream.feed(line(fed))
        fed += 1
        await asyncio.sleep(0)
    assert 1_000 < len(line(1)) * fed < 8_000  # as much as of a request that is read whole
    assert sent.client.body == b""
    sent.stream.resume()
    await until(lambda: len(sent.client.lines) == fed)
    assert not sent.client.paused


async def test_while_the_model_is_slow_the_connection_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HELD_BYTES_MAX", 1_000)
    house = House(tmp_path, Limits(), Heat())
    served = house.away(factor=2, gate=str(tmp_path / "gate"))
    await house.hot((Role.CHAMPION, served))
    sent = Sent(house)
    sent.stream.start()
    for x in range(300):
        sent.stream.feed(line(x))
        await asyncio.sleep(0)
        if sent.client.paused:
            break
    assert sent.client.paused
    assert not sent.stream.waits


async def test_when_the_client_is_gone_nothing_more_is_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PIECE_ROWS", 1)
    sent = Sent(house)
    sent.stream.start()
    sent.stream.feed(b"".join(line(x) for x in range(50)))
    await until(lambda: sent.client.body)
    sent.stream.lose()
    said = len(sent.client.lines)
    for _ in range(20):
        await asyncio.sleep(0)
    assert house.desk.idle
    assert len(house.journal()) <= said + 1


async def test_rows_in_mid_stream_go_to_the_revision_that_is_live_then(house: House) -> None:
    sent = Sent(house)
    sent.stream.start()
    sent.stream.feed(line(1))
    await until(lambda: sent.client.body)
    await house.hot((Role.CHAMPION, house.here(3)))
    client = await sent.whole(line(1))
    assert ys(client) == [2.0, 3.0]
    assert [said["revision"] for said in client.lines] == [1, 2]


async def test_an_endpoint_that_goes_away_ends_the_stream_with_the_reason(house: House) -> None:
    sent = Sent(house)
    sent.stream.start()
    sent.stream.feed(line(1))
    await until(lambda: sent.client.body)
    del house.desk.lives["times"]
    sent.stream.feed(line(2))
    await until(lambda: sent.client.over)
    assert sent.client.lines[1]["kind"] == "not_found"
    assert sent.client.last


async def test_a_full_desk_is_waited_for(tmp_path: Path) -> None:
    house = House(tmp_path, Limits(waiting_rows_max=4), Heat())
    live = await house.hot((Role.CHAMPION, house.here(2)))
    others = [house.call(live, 1, 2) for _ in range(2)]
    client = await Sent(house).whole(*(line(x) for x in range(3)))
    assert ys(client) == [0.0, 2.0, 4.0]
    assert all(call.done() for call in others)


async def test_a_stream_that_is_stopped_answers_what_has_come_and_says_why(house: House) -> None:
    sent = Sent(house)
    sent.stream.start()
    sent.stream.feed(line(1))
    sent.stream.stop(Unavailable("this worker stops"))
    await until(lambda: sent.client.over)
    assert ys(sent.client)[0] == 2.0
    assert sent.client.lines[1]["kind"] == "unavailable"
    assert sent.client.last


async def test_a_stream_waits_for_its_turn_on_the_connection(house: House) -> None:
    sent = Sent(house)
    sent.stream.feed(line(1))
    await asyncio.sleep(0.01)
    assert sent.client.body == b""
    assert ys(await sent.whole()) == [2.0]


async def test_a_line_without_end_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payoff.codecs.pieces.ITEM_BYTES_MAX", 100)
    sent = Sent(house)
    sent.stream.start()
    for _ in range(12):
        sent.stream.feed(b"x" * 10)
    await until(lambda: sent.client.over)
    assert sent.client.replied is not None
    assert sent.client.replied.status == 413


# -- Arrow


def batches(*sizes: int) -> bytes:
    schema, sink = pa.schema([("x", pa.float32())]), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        start = 0
        for size in sizes:
            writer.write_batch(pa.record_batch([np.arange(start, start + size, dtype=np.float32)], schema=schema))
            start += size
    return sink.getvalue().to_pybytes()


async def test_batches_are_answered_one_by_one(house: House) -> None:
    body = batches(2, 3)
    sent = Sent(house, "arrow", "arrow")
    sent.stream.start()
    sent.stream.feed(body[:-60])
    await until(lambda: sent.client.body)
    client = await sent.whole(body[-60:])
    with pa.ipc.open_stream(client.body) as reader:
        found = [batch.column("y").to_pylist() for batch in reader]
    assert found == [[0.0, 2.0], [4.0, 6.0, 8.0]]


@pytest.mark.parametrize("sizes", [(), (0,), (5_000,), (1, 0, 1)])
async def test_every_number_of_rows_and_batches_comes_back(house: House, sizes: tuple[int, ...]) -> None:
    client = await Sent(house, "arrow", "arrow").whole(batches(*sizes))
    assert pa.ipc.open_stream(client.body).read_all()["y"].to_pylist() == [2.0 * x for x in range(sum(sizes))]


async def test_batches_in_may_be_lines_out(house: House) -> None:
    client = await Sent(house, "arrow", "ndjson").whole(batches(2, 1))
    assert ys(client) == [0.0, 2.0, 4.0]


async def test_dictionaries_hold_for_the_batches_after_them(tmp_path: Path) -> None:
    source = Batches()
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), ["a", "b"])
    table, sink = pa.table({"t": texts}), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table.slice(1))
    for byte in sink.getvalue().to_pybytes():
        source.feed(bytes([byte]))
    source.end()
    from payoff.records import Field, Type

    fields = (Field("t", Type.TEXT),)
    found = [ask.rows["t"].values.tolist() for _ in range(2) for ask in source.next(fields, 100)]  # type: ignore[union-attr]
    assert found == [["a", "b"], ["b"]]


@pytest.mark.parametrize(("spoil", "words"), [
    pytest.param(lambda body: b"nonsense" + body, "not an Arrow stream", id="no Arrow"),
    pytest.param(lambda body: body[:-100], "ends inside of a message", id="cut off"),
])  # fmt: skip
async def test_what_is_no_stream_is_refused(house: House, spoil: Callable[[bytes], bytes], words: str) -> None:
    client = await Sent(house, "arrow", "arrow").whole(spoil(batches(3)))
    assert client.replied is not None
    assert client.replied.status == 400
    assert words in json.loads(client.body)["error"]


async def test_what_comes_after_the_end_of_an_arrow_stream_is_not_kept(house: House) -> None:
    assert (await Sent(house, "arrow", "arrow").whole(batches(3) + batches(3))).was_cut


async def test_an_arrow_answer_that_cannot_go_on_is_cut_so_that_nobody_takes_it_for_whole(house: House) -> None:
    sent = Sent(house, "arrow", "arrow")
    sent.stream.start()
    sent.stream.feed(batches(2)[:-8])
    await until(lambda: sent.client.body)
    sent.stream.feed(b"nonsense, not a message")
    await until(lambda: sent.client.over)
    assert sent.client.was_cut


def test_lines_hold_what_they_have_not_given() -> None:
    lines = Lines()
    lines.feed(line(1) + line(22) + b'{"x"')
    assert lines.held == len(line(1) + line(22)) + 4
    lines.next((), 1)
    assert lines.held == len(line(22)) + 4
