"""Header blocks of one connection: what requests ask, and what answers begin and end with.

HPACK keeps a table on each side, so a block means something only at its place in the stream. A block that leaves the
table as it is means the same until the table changes: it is remembered and not read (or written) again. Clients send
the same few blocks over and over, and reading one takes longer than all else that a small call needs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpack import Decoder, Encoder, HPACKError, NeverIndexedHeaderTuple, OversizedHeaderListError
from hpack.table import HeaderTable

from payoff.codecs.checks import shorten
from payoff.errors import DeadlineExceeded
from payoff.gateway.grpc_status import Status, Unimplemented, explain, percent
from payoff.gateway.h2_frames import Broken, Code, Framing, framing

REMEMBERED_MAX = 256
REMEMBERED_BYTES_MAX = 1_024
CODINGS = (b"identity", b"gzip", b"deflate")
_OWN = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_HTTP_1 = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_US = {b"H": 3_600_000_000, b"M": 60_000_000, b"S": 1_000_000, b"m": 1_000, b"u": 1, b"n": 0.001}
_ANSWER = ((":status", "200"), ("content-type", "application/grpc"))
_OK = (("grpc-status", "0"),)
Headers = tuple[tuple[str, str], ...]


class Table(HeaderTable):
    """A table that counts its changes."""

    changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)

    @property
    def maxsize(self) -> int:
        return self._maxsize

    @maxsize.setter
    def maxsize(self, size: int) -> None:
        self.changes += 1
        HeaderTable.maxsize.fset(self, size)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What a request's header block asks; shared by all requests with the same block, so nobody changes it."""

    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    method: Any = None  # what `judge` found
    refusal: Status | None = None  # the answer, if no message needs to be looked at
    http_status: str = "200"  # of a refusal to somebody who does not speak gRPC
    coding: str = "identity"  # of messages that say they are packed; answers to such calls are packed too
    timeout_us: int | None = None
    odd: bool = False  # its call has more to do than to wait for its message
    simple: bool = False  # its method takes one message


class Heads:
    """Header blocks to heads. `judge` gives the method that is called, or raises what the request is refused with."""

    def __init__(self, bytes_max: int, judge: Callable[[Mapping[bytes, bytes]], Any]) -> None:
        self.known: dict[bytes, Head] = {}
        self._decoder = Decoder(bytes_max)
        self._table = self._decoder.header_table = Table()
        self._judge = judge

    def read(self, block: bytes) -> Head:
        """The head of a block that is not known; Broken if it cannot be read, for then neither can the next one.

        MALFORMED if it can be read and is no request: trailers are such blocks too.
        """
        before = self._table.changes
        try:
            pairs = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            raise Broken(Code.ENHANCE_YOUR_CALM, f"too many headers: {error}") from error
        except (HPACKError, IndexError, ValueError) as error:
            raise Broken(Code.COMPRESSION_ERROR, f"a header block cannot be read: {error}") from error
        head = MALFORMED if wrong(pairs) else self._head(dict(pairs))
        if self._table.changes != before:
            self.known.clear()
        elif len(block) <= REMEMBERED_BYTES_MAX:
            if len(self.known) >= REMEMBERED_MAX:
                self.known.clear()
            self.known[block] = head
        return head

    def _head(self, headers: dict[bytes, bytes]) -> Head:
        kind = headers.get(b"content-type", b"")
        if headers[b":method"] != b"POST" or not kind.startswith(b"application/grpc") or kind[16:17] not in b"+;":
            return NOT_GRPC
        try:
            method, coding, timeout_us = self._judge(headers), _coding(headers), _timeout_us(headers)
            odd, simple = timeout_us is not None, not method.streams
            return Head(headers, method, coding=coding, timeout_us=timeout_us, odd=odd, simple=simple)
        except Exception as error:
            return Head(headers, refusal=explain(error, headers[b":path"].decode("latin-1")), odd=True)


def wrong(pairs: list[tuple[bytes, bytes]]) -> bool:
    """Whether the headers of a request are none (RFC 9113, 8.2 and 8.3)."""
    names = [name for name, _ in pairs]
    own = [name for name in names if name[:1] == b":"]
    if own != names[: len(own)] or len({*own}) != len(own) or not {*own} <= _OWN:
        return True
    if not {b":method", b":scheme", b":path"} <= {*own}:
        return True
    if any(name != name.lower() or name in _OF_HTTP_1 or not name for name in names):
        return True
    return any(name == b"te" and value != b"trailers" for name, value in pairs)


def _coding(headers: Mapping[bytes, bytes]) -> str:
    coding = headers.get(b"grpc-encoding", b"identity")
    if coding not in CODINGS:
        known = ", ".join(known.decode() for known in CODINGS)
        raise Unimplemented(f"grpc-encoding {shorten(coding.decode('latin-1'))} is not read here; there are: {known}")
    return coding.decode()


def _timeout_us(headers: Mapping[bytes, bytes]) -> int | None:
    said = headers.get(b"grpc-timeout")
    if said is None:
        return None
    found = _TIMEOUT.fullmatch(said)
    if found is None:
        return None  # as if it had not come: a client that garbles its patience still wants its answer
    left_us = int(int(found[1]) * _UNIT_US[found[2]])
    if not left_us:
        raise DeadlineExceeded("the deadline had passed before the call came")
    return left_us


class Blocks:
    """Headers of answers to blocks."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._table = self._encoder.header_table = Table()
        self._known: dict[Headers, bytes] = {}
        self.framed: Framing | None = None  # what most answers begin and end with, once it is known

    def resize(self, size: int) -> None:
        """The client keeps a table of this size at most. Its entries go, so that both sides agree on the rest."""
        size = min(size, HeaderTable.DEFAULT_SIZE)
        if size != self._table.maxsize:
            self._encoder.header_table_size = 0
            if size:
                self._encoder.header_table_size = size
            self._forget()

    def beginning(self, coding: str) -> bytes:
        """The block before a first message."""
        return self.write(_ANSWER if coding == "identity" else (*_ANSWER, ("grpc-encoding", coding)))

    def ending(self, status: Status, begun: bool, http_status: str = "200") -> bytes:
        """The block at the end of a call: all there is of it, if it has not begun."""
        if not status.code:
            return self.write(_OK if begun else (*_ANSWER, *_OK))
        first: tuple[Any, ...] = () if begun else ((":status", http_status), _ANSWER[1])
        once = [("grpc-message", percent(status.words)), *status.hints]
        unique = [NeverIndexedHeaderTuple(name, value) for name, value in once]
        return self._write((*first, ("grpc-status", str(int(status.code))), *unique))

    def write(self, headers: Headers) -> bytes:
        """A block of headers that come again and again."""
        block = self._known.get(headers)
        if block is None:
            before = self._table.changes
            block = self._write(headers)
            if self._table.changes == before:
                self._known[headers] = block
                self._learn()
        return block

    def _learn(self) -> None:
        begin, end = self._known.get(_ANSWER), self._known.get(_OK)
        self.framed = framing(begin, end) if begin is not None and end is not None else None

    def _write(self, headers: Headers | tuple[Any, ...]) -> bytes:
        before = self._table.changes
        block = self._encoder.encode(headers)
        if self._table.changes != before:
            self._forget()
        return block

    def _forget(self) -> None:
        self._known.clear()
        self.framed = None


_HOW = "this door takes gRPC calls: POST with the content type application/grpc, to /SERVICE/METHOD"
MALFORMED = Head()
NOT_GRPC = Head(refusal=explain(Unimplemented(_HOW), ""), http_status="415", odd=True)
