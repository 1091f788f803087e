"""Remote models: other servers answer, payoff asks them within limits."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.breaker import FAILURES_MAX, LONGEST_S, Breaker
from payoff.flavors.flavor import Loaded, Prepared
from payoff.flavors.golden import check
from payoff.flavors.http import Address, Broken, Client, Limits, address
from payoff.flavors.remote_ask import Agreed, Asker
from payoff.records.columns import Column
from payoff.records.signature import Field, Signature, Type
from tests.flavors.arrivals import Around, answers, columns, listed, prepared
from tests.flavors.peer import Peer, serving

SAMPLE = {"a": [1.5, 2.0, None], "b": [1, 2, 3], "c": ["x", "y", "zü"], "id": [7, 8, 9]}


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving(Peer()) as found:
        yield found


def deploy(folder: Path, url: str, sample: dict[str, Any] | None = None, more: str = "") -> Prepared:
    path = folder / "sums.yaml"
    patience = "" if "timeout" in more else "timeout: 60s\n"  # a busy machine is no defect
    path.write_text(f"remote: {url}\nmodel: sums\n{patience}{more}")
    return prepared(path, sample)


def load(made: Prepared) -> Loaded:
    around = Around()
    return around.load(around.keep(made))


@pytest.mark.parametrize("binary", [True, False])
def test_a_remote_model_takes_and_gives_what_its_server_says(tmp_path: Path, peer: Peer, binary: bool) -> None:
    peer.binary = binary
    made = deploy(tmp_path, peer.url)
    assert made.signature == Signature(
        (Field("a", Type.FLOAT64), Field("b", Type.INT64), Field("c", Type.TEXT)),
        (Field("total", Type.FLOAT64), Field("words", Type.TEXT)),
    )
    assert peer.asked == []  # the metadata says it all
    got = answers(load(made).run, made.signature, a=[1.5, 2.5], b=[10, 20], c=["x", ""])
    assert got == {"total": [11.5, 22.5], "words": ["x", ""]}
    assert peer.asked[0]["binary"] is binary
    assert made.provenance["tensors"] == ("binary" if binary else "JSON")
    assert made.provenance["server"] == "peer 7"


@pytest.mark.parametrize("binary", [True, False])
def test_the_answers_to_the_sample_are_kept_and_proven_again(tmp_path: Path, peer: Peer, binary: bool) -> None:
    peer.binary = binary
    made = deploy(tmp_path, peer.url, SAMPLE)
    assert [str(field) for field in made.signature.inputs] == ["float64 or null", "int64", "text"]
    assert [str(field) for field in made.signature.outputs] == ["float64 or null", "text"]
    assert made.golden_path is not None
    run = load(made).run
    check(run, made.golden_path, made.signature)
    total = {"name": "total", "datatype": "FP64", "shape": [3], "data": [1, 2, 3]}
    words = {"name": "words", "datatype": "BYTES", "shape": [3], "data": ["x", "y", "zü"]}
    peer.answer = {"outputs": [total, words]}
    with pytest.raises(ModelFailed, match="does not reproduce 3 of its 3 sample rows"):
        check(run, made.golden_path, made.signature)


def test_a_server_without_metadata_is_asked_with_the_samples_columns(tmp_path: Path, peer: Peer) -> None:
    peer.metadata = False
    with pytest.raises(BadInput, match=r"does not say what sums takes \(404: no metadata here\).*--sample FILE"):
        deploy(tmp_path, peer.url)
    made = deploy(tmp_path, peer.url, {"n": [1, 2], "on": np.array(["2008-05-05", "2008-05-06"], "datetime64[D]")})
    assert [str(field) for field in made.signature.inputs] == ["int64", "date"]
    assert answers(load(made).run, made.signature, n=[5], on=[np.datetime64("2020-02-29")]) == {
        "total": [5.0],
        "words": ["2020-02-29"],
    }


def test_inputs_and_outputs_may_be_said_and_named(tmp_path: Path, peer: Peer) -> None:
    more = 'version: "1"\ninputs: {x: "float64[3]"}\noutputs: {sum: total}\n'
    made = deploy(tmp_path, peer.url, {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5, 6]}, more)
    assert [field.name for field in made.signature.inputs] == ["a", "b", "c"]
    assert peer.asked[0]["inputs"][0]["shape"] == [2, 3]
    assert peer.asked[0]["inputs"][0]["data"] == [1, 3, 5, 2, 4, 6]
    assert [one["name"] for one in peer.asked[0]["outputs"]] == ["total"]
    assert answers(load(made).run, made.signature, a=[1.0], b=[1.0], c=[1.0]) == {"sum": [3.0]}


def test_calls_at_the_same_time_share_a_few_connections(tmp_path: Path, peer: Peer) -> None:
    made = deploy(tmp_path, peer.url)
    loaded = load(made)
    peer.connections.clear()

    async def all_of_them() -> list[Any]:
        assert loaded.ask is not None
        rows = [columns(made.signature, a=[float(n)], b=[n], c=["x"]) for n in range(100)]
        found = await asyncio.gather(*map(loaded.ask, rows))
        loaded.close()
        return [listed(one)["total"][0] for one in found]

    assert asyncio.run(all_of_them()) == [2.0 * n for n in range(100)]
    assert len(peer.connections) <= loaded.batches_max == 8


def test_rows_max_splits_a_call(tmp_path: Path, peer: Peer) -> None:
    made = deploy(tmp_path, peer.url, more="rows_max: 2\n")
    got = answers(load(made).run, made.signature, a=[1.0, 2.0, 3.0], b=[1, 2, 3], c=["x", "y", "z"])
    assert got == {"total": [2.0, 4.0, 6.0], "words": ["x", "y", "z"]}
    assert sorted(one["inputs"][0]["shape"][0] for one in peer.asked) == [1, 2]


def test_no_rows_are_not_worth_a_call(tmp_path: Path, peer: Peer) -> None:
    made = deploy(tmp_path, peer.url)
    got = load(made).run(columns(made.signature, a=[], b=[], c=[]))
    assert [len(column) for column in got.values()] == [0, 0]
    assert peer.asked == []


def test_a_secret_is_a_variable_and_never_stored(tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.token = "swordfish"
    with pytest.raises(BadInput, match=r"refuses \(401\): who are you; it wants headers"):
        deploy(tmp_path, peer.url)
    more = 'headers: {Authorization: "Bearer env:SCORING_TOKEN"}\n'
    with pytest.raises(ModelFailed, match="the variable SCORING_TOKEN is not in the environment of `payoff up`"):
        deploy(tmp_path, peer.url, more=more)
    monkeypatch.setenv("SCORING_TOKEN", "swordfish")
    made = deploy(tmp_path, peer.url, SAMPLE, more)
    assert b"swordfish" not in made.served_path.read_bytes() + repr(made.provenance).encode()
    assert answers(load(made).run, made.signature, a=[1.0], b=[1], c=["x"])["total"] == [2.0]
    monkeypatch.delenv("SCORING_TOKEN")
    with pytest.raises(ModelFailed, match="the variable SCORING_TOKEN is not in the environment"):
        load(made)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param("headers: {Authorization: swordfish}", "a secret does not belong into a file", id="a secret"),
        pytest.param(
            'headers: {X-A: "env:PAYOFF_KEY"}', "PAYOFF_KEY is payoff's own and is sent to nobody", id="our key"
        ),
        pytest.param("headers: {Host: example.org}", "this header cannot be sent", id="host"),
        pytest.param('headers: {X-A: "a\\nb"}', "this header cannot be sent", id="a line end"),
        pytest.param("timeout: 2", "expected a duration with its unit", id="no unit"),
        pytest.param("timeout: 1h", "too long for callers to wait", id="an hour"),
        pytest.param("rows_max: 0", "expected how many rows", id="no rows"),
        pytest.param("inputs: {a: double}", "no column type 'double'; did you mean 'float64'", id="a type"),
        pytest.param("verson: 1", "no key 'verson' here; did you mean 'version'", id="a key"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises((BadInput, ModelFailed), match=says):
        deploy(tmp_path, "http://127.0.0.1:9", more=more)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org", "write http://HOST:PORT or https://HOST"),
        ("127.0.0.1:8000", "write http://HOST:PORT or https://HOST"),
        ("http://ann:secret@example.org", "an address holds no user, password"),
        ("http://example.org:99999", "Port out of range"),
        ("http://exa mple.org", "write http://HOST:PORT"),
    ],
)
def test_an_address_is_http_without_a_password(url: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        address(url)


def test_an_address_may_have_a_path_and_six_colons() -> None:
    assert address("https://example.org/models/") == Address("example.org", 443, True, "/models")
    assert address("http://[::1]:8000").authority == "[::1]:8000"


def test_nobody_at_the_address_is_told_at_the_deploy(tmp_path: Path) -> None:
    with socket.socket() as taken:  # by somebody who does not listen
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(BadInput, match=r"sums at http://127.0.0.1:\d+ cannot be asked: .*; start it"):
            deploy(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(b"<html>", "answered something that cannot be read: body is not JSON", id="html"),
        pytest.param({"outputs": 1}, "its outputs are 1; expected a list", id="no outputs"),
        pytest.param({"outputs": []}, "did not answer 'total'; it answered nothing", id="nothing"),
        pytest.param(
            {"outputs": [{"name": "total", "datatype": "FP64", "shape": [2], "data": [1, 2]}]},
            r"has the shape \[2\] in answer to 1 rows",
            id="more rows",
        ),
        pytest.param(
            {"outputs": [{"name": "total", "datatype": "FP64", "shape": [1], "data": [1, 2]}]},
            r"has 2 elements; its shape is \[1\]",
            id="too much data",
        ),
        pytest.param(
            {"outputs": [{"name": "total", "datatype": "BYTES", "shape": [1], "data": ["1"]}]},
            "output 'total' is text; it was float64",
            id="another type",
        ),
        pytest.param(
            {"outputs": [{"name": "total", "datatype": "FP64", "shape": [1, 2], "data": [[1, 2]]}]},
            r"has the shape \[2\] per row; it had \[\]",
            id="another shape",
        ),
        pytest.param(
            {"outputs": [{"name": "total", "datatype": "FP64", "shape": [-1], "data": []}]},
            "expected name, shape and one of",
            id="a shape of no size",
        ),
    ],
)
def test_an_answer_that_is_none_fails_in_words(tmp_path: Path, peer: Peer, answer: Any, says: str) -> None:
    run = load(made := deploy(tmp_path, peer.url, more="outputs: [total]\n")).run
    peer.answer = answer
    with pytest.raises(ModelFailed, match=rf"sums at {peer.url} .*{says}"):
        answers(run, made.signature, a=[1.0], b=[1], c=["x"])


def test_a_null_where_there_was_never_one_fails(tmp_path: Path, peer: Peer) -> None:
    run = load(made := deploy(tmp_path, peer.url, more="outputs: [words]\n")).run
    peer.answer = {"outputs": [{"name": "words", "datatype": "BYTES", "shape": [2], "data": ["a", None]}]}
    with pytest.raises(ModelFailed, match="output 'words' is null in row 1, and it was never null"):
        answers(run, made.signature, a=[1.0, 1.0], b=[1, 1], c=["x", "x"])


def test_a_server_that_refuses_is_quoted_and_asked_again(tmp_path: Path, peer: Peer) -> None:
    run = load(made := deploy(tmp_path, peer.url)).run
    peer.status = 400
    for _ in range(FAILURES_MAX + 1):  # it is there, so there is no reason to leave it alone
        with pytest.raises(ModelFailed, match=r"refused \(400\): not today"):
            answers(run, made.signature, a=[1.0], b=[1], c=["x"])
    peer.status = 200
    assert answers(run, made.signature, a=[1.0], b=[1], c=["x"])["total"] == [2.0]


def test_a_server_that_is_down_costs_only_the_first_calls_their_time(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payoff.flavors.remote_ask.Breaker", lambda: Breaker(lambda: 0.0))  # its clock stands still
    made = deploy(tmp_path, peer.url)
    agreed = msgspec.json.decode(made.served_path.read_bytes(), type=Agreed)
    hasty = replace(agreed, told=replace(agreed.told, timeout_s=0.2))
    asker = Asker(hasty)
    peer.holds = True
    for _ in range(FAILURES_MAX):
        with pytest.raises(ModelFailed, match=r"cannot be asked: it did not answer within 0.2 s"):
            answers(asker.run, made.signature, a=[1.0], b=[1], c=["x"])
    with pytest.raises(ModelFailed, match=r"failed several times; it is asked again in 0.5 s"):
        answers(asker.run, made.signature, a=[1.0], b=[1], c=["x"])
    assert len(peer.asked) <= FAILURES_MAX


def test_a_breaker_lets_one_call_try_and_waits_ever_longer() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for _ in range(FAILURES_MAX):
        assert breaker.rests_s() == 0
        breaker.failed()
    pauses = []
    for _ in range(10):
        pauses.append(breaker.rests_s())
        now[0] += pauses[-1]
        assert breaker.rests_s() == 0  # one tries
        assert breaker.rests_s() > 0  # the others wait for what it finds
        breaker.failed()
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    assert pauses[-1] == LONGEST_S
    now[0] += LONGEST_S
    assert breaker.rests_s() == 0
    breaker.answered()
    assert breaker.rests_s() == 0 == breaker.rests_s()


# -- the client alone, against a server that says whatever bytes it is given


USUAL = Limits(call_s_max=60.0)


def said(replies: list[bytes], limits: Limits = USUAL, calls: int = 1) -> list[Any]:
    """What the client makes of raw replies; one connection for each, which is closed after it."""

    async def talk() -> list[Any]:
        waiting = list(replies)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while waiting:
                try:
                    await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    break
                reply = waiting.pop(0)
                writer.write(reply)
                await writer.drain()
                if not reply.endswith(b"stay"):
                    break
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = Client(Address("127.0.0.1", server.sockets[0].getsockname()[1]), {}, limits)
        found: list[Any] = []
        for _ in range(calls):
            try:
                found.append(await client.ask("GET", "/"))
            except Broken as error:
                found.append(str(error))
        client.close()
        server.close()
        return found

    return asyncio.run(talk())


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        pytest.param(OK + b"body", b"body", id="with a length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
            b"body",
            id="in chunks",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nbody", b"body", id="until the end"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"body", b"body", id="after 100 Continue"),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nbody", b"body", id="HTTP/1.0"),
    ],
)
def test_every_way_to_end_a_body_is_read(reply: bytes, body: bytes) -> None:
    assert said([reply])[0].body == body


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "what it says is no HTTP", id="another protocol"),
        pytest.param(OK + b"bo", "closed the connection before its answer was whole", id="cut short"),
        pytest.param(b"", "closed the connection before its answer was whole", id="nothing"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n" + b"x" * 99_999, "larger than 10,000 bytes", id="large"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000 + b"\r\n\r\n", "the head of its answer", id="large head"
        ),
    ],
)
def test_what_is_no_answer_is_said_in_words(reply: bytes, says: str) -> None:
    assert says in said([reply], replace(USUAL, reply_bytes_max=10_000))[0]


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    found = said([OK + b"stay", OK + b"next", OK + b"last"], calls=3)
    assert [reply.body for reply in found] == [b"stay", b"next", b"last"]


def test_a_second_answer_to_one_question_is_nobodys(tmp_path: Path) -> None:
    found = said([OK + b"one!" + OK + b"stay", OK + b"two!"], calls=2)
    assert [reply.body for reply in found] == [b"one!", b"two!"]


def test_a_client_may_be_closed_from_another_thread(tmp_path: Path, peer: Peer) -> None:
    loaded = load(made := deploy(tmp_path, peer.url))

    async def talk() -> None:
        assert loaded.ask is not None
        await loaded.ask(columns(made.signature, a=[1.0], b=[1], c=["x"]))
        thread = threading.Thread(target=loaded.close)
        thread.start()
        await asyncio.sleep(0)
        thread.join()

    asyncio.run(talk())


def test_a_column_of_16_bit_floats_goes_out_as_such(tmp_path: Path, peer: Peer) -> None:
    peer.metadata = False
    made = deploy(tmp_path, peer.url, more="inputs: {x: float32}\noutputs: [total]\n", sample={"x": [0.5, 1.5]})
    found = load(made).run({"x": Column(np.array([0.25], np.float32))})
    assert found["total"].values.tolist() == [0.25]
