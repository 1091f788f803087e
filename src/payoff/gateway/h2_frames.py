"""HTTP/2 frames as bytes: their kinds, flags and codes, and how each is written (RFC 9113, sections 4, 6 and 7)."""

import struct
from collections.abc import Callable
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
TABLE_SIZE, ENABLE_PUSH, CALLS_MAX, FIRST_WINDOW, FRAME_MAX, HEAD_LIST_MAX = range(1, 7)
PREFIX_BYTES = 5  # before each message of gRPC: whether it is packed, and its length
WINDOW_START, WINDOW_END, FRAME_START, FRAME_END = 65_535, (1 << 31) - 1, 16_384, (1 << 24) - 1

# The first word of a frame is its size in three bytes and its kind in one.
_HEAD, _WORD, _PAIR, _TWO, _SETTING = (struct.Struct(f) for f in (">IBI", ">IBII", ">IBIII", ">II", ">HI"))
unpack_head = _HEAD.unpack_from
unpack_word = struct.Struct(">I").unpack_from
unpack_two = _TWO.unpack_from

# A stream, the size of a message with its prefix, and the message, to the bytes of an answer.
Framing = Callable[[int, int, bytes], tuple[bytes, bytes, bytes]]


class Code(IntEnum):
    """Why a connection or a stream ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


class Broken(Exception):
    """The client broke the protocol, or a limit: the connection ends with this code and these words."""

    def __init__(self, code: Code, words: str) -> None:
        super().__init__(words)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of any kind."""
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """What we take and allow."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """The settings of a frame, in order; Broken if there is half of one."""
    if len(payload) % _SETTING.size:
        raise Broken(Code.FRAME_SIZE_ERROR, f"SETTINGS of {len(payload)} bytes")
    return list(_SETTING.iter_unpack(payload))


def grant(stream: int, count: int) -> bytes:
    """WINDOW_UPDATE: so many bytes more may come."""
    return _WORD.pack(4 << 8 | WINDOW_UPDATE, 0, stream, count)


def reset(stream: int, code: Code) -> bytes:
    """RST_STREAM."""
    return _WORD.pack(4 << 8 | RST_STREAM, 0, stream, code)


def framing(begin: bytes, end: bytes) -> Framing:
    """How answers of one message are written that begin and end with these header blocks."""
    before, behind = struct.Struct(f">IBI{len(begin)}sIBIBI").pack, struct.Struct(f">IBI{len(end)}s").pack
    first, last, ends = len(begin) << 8 | HEADERS, len(end) << 8 | HEADERS, END_HEADERS | END_STREAM

    def framed(stream: int, size: int, message: bytes) -> tuple[bytes, bytes, bytes]:
        head = before(first, END_HEADERS, stream, begin, size << 8 | DATA, 0, stream, 0, size - PREFIX_BYTES)
        return head, message, behind(last, ends, stream, end)

    return framed


def go_away(last: int, code: Code, words: str) -> bytes:
    """GOAWAY: what came after the stream `last` was not looked at."""
    said = words.encode()
    return _PAIR.pack((8 + len(said)) << 8 | GOAWAY, 0, 0, last, code) + said


def unpad(payload: bytes, flags: int) -> bytes:
    """What stands in a DATA or HEADERS frame without its padding and its priority."""
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - (payload[0] if payload else 1)
    if flags & PRIORITIZED:
        start += 5
    if start > end:
        raise Broken(Code.PROTOCOL_ERROR, f"a frame of {len(payload)} bytes is nothing but padding")
    return payload[start:end]
