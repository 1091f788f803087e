"""A request means the same however it is cut into segments, whatever came before it, and whoever sent the like of it.

The door may remember heads it has seen. A remembered one never serves another's: every request here says in its body
who it is, and its answer must say the same.
"""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.store import live
from tests.shared import until
from tests.walks.wire import SAME, Door, Said, door, parse, publish, refused, row

pytestmark = pytest.mark.slow

KEY = "open-sesame"
VERSIONS = {"echo": 1, "other": 2}
PAUSE_S = 0.001  # between two segments, so that they are read one by one


@pytest.fixture(scope="module", params=[None, KEY], ids=["no key", "a key"])
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door(tmp_path_factory.mktemp("door"), request.param) as found:
        yield found


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and what it is answered with."""

    endpoint: str = "echo"
    way: str = "rows"  # or "tensors", "binary", "about", "head"
    number: int = 7
    padding: int = 0
    chunked: bool = False
    host: str | None = None  # None: the right one
    key: str | None = KEY
    method: str = "POST"

    @property
    def verb(self) -> str:
        return {"about": "GET", "head": "HEAD"}.get(self.way, self.method)

    def sent(self, at: Door) -> bytes:
        """The bytes on the wire."""
        path, lines, body = self._content()
        lines = [f"Host: {self.host or at.host}", *([f"Authorization: Bearer {self.key}"] if self.key else []), *lines]
        if self.chunked and body:
            lines.append("Transfer-Encoding: chunked")
            half = len(body) // 2
            pieces = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:half], body[half:]) if one)
            body = pieces + b"0\r\n\r\n"
        elif body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([f"{self.verb} {path} HTTP/1.1", *lines, "", ""]).encode() + body

    def _content(self) -> tuple[str, list[str], bytes]:
        if self.way in ("about", "head"):
            return f"/v2/models/{self.endpoint}", [], b""
        if self.way == "rows":
            return f"/predict/{self.endpoint}", [], json.dumps(self.row).encode()
        body, lines = self._tensors()
        return f"/v2/models/{self.endpoint}/infer", lines, body

    @property
    def row(self) -> dict[str, object]:
        """The row this request asks about, longer or shorter."""
        made = row(self.number)
        return made | {"word": made["word"] + "é" * self.padding}

    def _tensors(self) -> tuple[bytes, list[str]]:
        asked, word = self.row, str(self.row["word"]).encode()
        kinds = {"id": "INT64", "x": "FP64", "word": "BYTES"}
        if self.way == "tensors":
            said = [{"name": n, "shape": [1, 1], "datatype": k, "data": [asked[n]]} for n, k in kinds.items()]
            return json.dumps({"id": str(self.number), "inputs": said}).encode(), []
        raw = {
            "id": struct.pack("<q", self.number),
            "x": struct.pack("<d", self.number + 0.25),
            "word": struct.pack("<I", len(word)) + word,
        }
        inputs = [
            {"name": n, "shape": [1, 1], "datatype": k, "parameters": {"binary_data_size": len(raw[n])}}
            for n, k in kinds.items()
        ]
        text = json.dumps({"id": str(self.number), "inputs": inputs}).encode()
        return text + b"".join(raw.values()), [f"Inference-Header-Content-Length: {len(text)}"]

    def check(self, said: Said, keyed: bool, versions: dict[str, int]) -> None:
        """The answer is the one to this request and to no other."""
        statuses = self._statuses(keyed, versions)
        assert said.status in statuses, (self, said)
        if statuses != {200}:
            if self.verb != "HEAD":
                refused(said, *statuses)
        elif self.way == "about":
            assert said.json["name"] == self.endpoint
        elif self.way == "rows":
            (one,) = said.json["predictions"]
            self._same([one["same_id"], one["same_x"], one["same_word"], one["by"]], versions)
        elif self.verb != "HEAD":
            assert said.json["id"] == str(self.number)
            found = {one["name"]: one["data"][0] for one in said.json["outputs"]}
            self._same([found["same_id"], found["same_x"], found["same_word"], found["by"]], versions)

    def _statuses(self, keyed: bool, versions: dict[str, int]) -> set[int]:
        """What this request may be answered with: what is wrong with it, whichever is looked at first."""
        if self.host is not None or (keyed and self.key != KEY):
            return {401}
        wrong = {404} if self.endpoint not in versions else set()
        if self.way in ("rows", "tensors", "binary") and self.method != "POST":
            wrong.add(405)
        return wrong or {200}

    def _same(self, found: list[object], versions: dict[str, int]) -> None:
        assert found == [*self.row.values(), versions[self.endpoint]], self


ASKED = st.builds(
    Asked,
    endpoint=st.sampled_from(["echo", "echo", "other", "nobody"]),
    way=st.sampled_from(["rows", "rows", "rows", "tensors", "binary", "about", "head"]),
    number=st.sampled_from([*range(10, 20), 7, 123_456]),
    padding=st.sampled_from([0, 0, 0, 1, 100, 40_000]),
    chunked=st.sampled_from([False, False, True]),
    host=st.sampled_from([None, None, None, None, "evil.example"]),
    key=st.sampled_from([KEY, KEY, KEY, "open-sesamf", None]),
    method=st.sampled_from(["POST", "POST", "POST", "PUT"]),
)


def pieces(whole: bytes, cuts: list[int]) -> list[bytes]:
    """The same bytes, cut at these places."""
    ends = [*sorted({cut % len(whole) for cut in cuts} - {0}), len(whole)]
    return [whole[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def seams(sent: list[bytes]) -> list[int]:
    """Where a cut may hurt: around the ends of heads and of requests."""
    found, begin = [], 0
    for one in sent:
        body = begin + one.index(b"\r\n\r\n") + 4
        found += [place + by for place in (begin, body, begin + len(one)) for by in (-3, -1, 0, 1, 2)]
        begin += len(one)
    return [max(0, place) for place in found]


@settings(SAME, max_examples=300)
@given(data=st.data(), asked=st.lists(ASKED, min_size=1, max_size=8))
def test_requests_mean_the_same_however_they_are_cut_and_pipelined(
    at: Door, data: st.DataObject, asked: list[Asked]
) -> None:
    sent = [one.sent(at) for one in asked]
    whole = b"".join(sent)
    cuts = data.draw(st.lists(st.one_of(st.sampled_from(seams(sent)), st.integers(0, len(whole))), max_size=8))
    with at.line() as line:
        for piece in pieces(whole, cuts):
            line.send(piece)
            time.sleep(PAUSE_S)
        heard = line.hear(len(asked), [one.verb for one in asked])
        assert line.heard == b""
    for one, said in zip(asked, heard, strict=True):
        one.check(said, bool(at.lines), VERSIONS)


def test_a_request_cut_at_every_byte_is_answered_alike(at: Door) -> None:
    asked = Asked(way="binary", padding=3)
    whole = asked.sent(at)
    with at.line() as line:
        for cut in range(1, len(whole)):
            line.send(whole[:cut])
            time.sleep(PAUSE_S)
            (said,) = line.ask(whole[cut:])
            asked.check(said, bool(at.lines), VERSIONS)


def test_a_request_byte_by_byte_is_answered_alike(at: Door) -> None:
    for asked in (Asked(), Asked(chunked=True), Asked(way="binary"), Asked(way="head"), Asked(key="open-sesamf")):
        with at.line() as line:
            for byte in asked.sent(at):
                line.send(bytes([byte]))
            (said,) = line.hear(1, [asked.verb])
            asked.check(said, bool(at.lines), VERSIONS)


LIKE = [
    Asked(), Asked(number=8), Asked(padding=1), Asked(padding=2), Asked(endpoint="other"), Asked(endpoint="nobody"),
    Asked(host="evil.example"), Asked(key=None), Asked(key="open-sesamf"), Asked(method="PUT"), Asked(chunked=True),
    Asked(way="tensors"), Asked(way="binary"), Asked(way="binary", number=123_456), Asked(way="binary", padding=50),
    Asked(way="about"), Asked(way="head"), Asked(way="about", endpoint="other"),
]  # fmt: skip


def test_a_head_that_is_almost_one_that_was_answered_is_judged_by_itself(at: Door) -> None:
    """Each after each, on one connection and on many, so that whatever is remembered of one meets all others."""
    for first in LIKE:
        with at.line() as line:
            for second in LIKE:
                for asked in (first, second):
                    (said,) = line.ask(asked.sent(at), 1, [asked.verb])
                    asked.check(said, bool(at.lines), VERSIONS)


def test_a_remembered_head_does_not_say_how_long_another_body_is(at: Door) -> None:
    """The head is the same but for one digit of the length; the bodies follow each other without a gap."""
    bodies = [json.dumps(row(7) | {"word": "w" * size}).encode() for size in (10, 11, 12, 19)]
    for _ in range(3):
        sent = b"".join(at.call(body, *at.lines) for body in bodies)
        heard = at.say(sent)
        assert [len(said.json["predictions"][0]["same_word"]) for said in heard] == [10, 11, 12, 19]


def test_what_follows_a_length_that_is_too_short_is_a_request_of_its_own_or_refused(at: Door) -> None:
    body = json.dumps(row(7)).encode()
    for short in (1, 5, len(body) - 1):
        head = at.head("POST", "/predict/echo", f"Content-Length: {short}", *at.lines)
        for _ in range(2):
            first, second = at.say(head + body + at.call(body, *at.lines))
            refused(first, 400)
            refused(second, 400)
            assert second.ends


def test_after_a_last_request_nothing_is_remembered_of_it(at: Door) -> None:
    body = json.dumps(row(7)).encode()
    for lines in (("Connection: close",), ("Connection: keep-alive",), ("Connection: close",)):
        with at.line() as line:
            line.send(at.call(body, *at.lines, *lines) + at.call(body, *at.lines, "Connection: close"))
            heard = parse(line.rest())
        assert len(heard) == (1 if "close" in lines[0] else 2)


def serving(home: Path, name: str, number: int | None) -> None:
    """Wait until the worker serves this revision of the endpoint, or the endpoint no more."""
    until(
        lambda: all(status.serving.get(name) == number for status in live.statuses(home)),
        f"revision {number} of {name} is served",
    )


@pytest.mark.parametrize("key", [None, KEY], ids=["no key", "a key"])
def test_a_head_that_was_seen_before_a_change_is_answered_by_what_serves_now(tmp_path: Path, key: str | None) -> None:
    """The same bytes on the same connection: before and after a promotion, a rollback, a removal and a return."""
    asked = [Asked(), Asked(way="tensors"), Asked(way="binary"), Asked(endpoint="other"), Asked(way="about")]
    with door(tmp_path, key) as at, at.line() as line:
        for number, version in enumerate([1, 3, 1, None, 4], 1):
            if version is None:
                live.remove(tmp_path, "echo")
            elif number > 1:
                publish(tmp_path, "echo", number, version)
            serving(tmp_path, "echo", None if version is None else number)
            versions = {"other": 2} | ({} if version is None else {"echo": version})
            for _ in range(3):
                for one in asked:
                    (said,) = line.ask(one.sent(at))
                    one.check(said, key is not None, versions)
