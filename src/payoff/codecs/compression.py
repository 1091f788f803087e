"""Compressed bodies over HTTP: gzip, deflate and zstd, both ways, never more bytes than a limit.

A body is unpacked as it arrives, so a small body that holds gigabytes costs no more than the limit. `deflate` is the
zlib format, as RFC 9110 (8.4.1.2) has it; the bare stream that some clients send under that name is read too. A zstd
frame may ask for a window of 8 MiB and no more (RFC 9659).
"""

import sys
import zlib
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Protocol

from payoff.codecs.checks import shorten
from payoff.errors import BadInput, NotRead, TooLarge

# Of those that a caller likes best, the first is sent. zstd is the quickest; but there are clients (as Triton's
# for asyncio) that say they take it, for their HTTP library does, and cannot read it.
CODINGS = ("gzip", "zstd", "deflate")
PAYS_FROM_BYTES = 16 << 10  # of an answer: below it, packing takes longer than the bytes that it saves
_PIECE_BYTES = 64 << 10  # fed at a time: what a decoder leaves over is copied
_MEMBERS_MAX = 4_096  # gzip members or zstd frames in one body
_ZSTD_WINDOW_LOG = 23
_LEVEL = 1
_SAMPLE_BYTES = 4_096
_GZIP, _ZLIB, _BARE = 31, 15, -15  # zlib's wbits


class _Decoder(Protocol):
    """One gzip member, zlib stream or zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def coding(content_encoding: str) -> str | None:
    """The coding that a Content-Encoding names; None for a plain body, NotRead for what is not read here."""
    said = content_encoding.strip().lower().removeprefix("x-")
    if said in ("", "identity"):
        return None
    if said not in CODINGS:
        known = ", ".join(CODINGS)
        raise NotRead(f"Content-Encoding {shorten(content_encoding)} is not read here; send {known}, or a plain body")
    return said


class Unpacker:
    """Unpacks one body piece by piece, up to `bytes_max` bytes."""

    def __init__(self, coding: str, bytes_max: int) -> None:
        self._coding = coding
        self._bytes_max = self._room = bytes_max
        self._parts: list[bytes] = []
        self._decoder: _Decoder | None = None
        self._members = 0

    def feed(self, data: bytes) -> None:
        """The next bytes of the body; BadInput if they are none of this coding, TooLarge above the limit."""
        for start in range(0, len(data), _PIECE_BYTES):
            self._feed(data[start : start + _PIECE_BYTES])

    def finish(self) -> bytes:
        """The whole body; BadInput if it ends too early."""
        if self._decoder is None or not self._decoder.eof:
            raise BadInput(f"the {self._coding} body ends before its end: it was cut off, or is no {self._coding}")
        return b"".join(self._parts)

    def _feed(self, piece: bytes) -> None:
        while piece:
            if self._decoder is None or self._decoder.eof:
                self._decoder = self._next(piece)
            try:
                part = self._decoder.decompress(piece, self._room + 1)
            except Exception as error:  # zlib.error, ZstdError: neither has a class that need not be imported
                raise BadInput(f"the body is not {self._coding}, as Content-Encoding says: {error}") from error
            self._room -= len(part)
            if self._room < 0:
                raise TooLarge(
                    f"the body is larger than {self._bytes_max:,} bytes when it is unpacked, which is the limit: "
                    "send fewer rows at a time, or start payoff with a larger --body-max"
                )
            self._parts.append(part)
            piece = self._decoder.unused_data

    def _next(self, piece: bytes) -> _Decoder:
        self._members += 1
        if self._members > (_MEMBERS_MAX if self._coding != "deflate" else 1):
            raise BadInput(f"the {self._coding} body has something behind its end")
        return _decoder(self._coding, piece)


def unpack(body: bytes, coding: str, bytes_max: int) -> bytes:
    """A whole body at once; raises as Unpacker does."""
    unpacker = Unpacker(coding, bytes_max)
    unpacker.feed(body)
    return unpacker.finish()


def at_once(body: bytes, coding: str, bytes_max: int) -> bytes | None:
    """A whole body, if neither it nor what is in it is larger than `bytes_max`; None otherwise."""
    if len(body) > bytes_max:
        return None
    try:
        return unpack(body, coding, bytes_max)
    except TooLarge:
        return None


def pack(body: bytes, coding: str) -> bytes:
    """The body in one of CODINGS, at the level that costs least time."""
    if coding == "zstd":
        packed: bytes = _zstd().compress(body, _LEVEL)
        return packed
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP if coding == "gzip" else _ZLIB)
    return packer.compress(body) + packer.flush()


def shrinks(body: bytes, coding: str) -> bool:
    """Whether packing makes it a fifth smaller, or more, as a sample from its middle tells: numbers as bytes often do
    not shrink, and what is packed already never does."""
    start = len(body) // 2
    sample = body[start : start + _SAMPLE_BYTES]
    return len(pack(sample, coding)) < 0.8 * len(sample)


@lru_cache(maxsize=256)
def negotiate(accept_encoding: str) -> tuple[str, int] | None:
    """The coding to answer in by an Accept-Encoding header, and from how many bytes on; None for plain answers.

    Who refuses `identity` gets every answer packed; everybody else those that are worth it.
    """
    likes = _likes(accept_encoding)
    others = likes.get("*", 0.0)
    wanted = {name: likes.get(name, likes.get(f"x-{name}", others)) for name in CODINGS}
    best = max(wanted, key=wanted.__getitem__)
    if not wanted[best]:
        return None
    plain = likes.get("identity", likes.get("*", 1.0))
    return best, PAYS_FROM_BYTES if plain else 0


def _likes(accept_encoding: str) -> dict[str, float]:
    """How much each coding is liked, 0 to 1; RFC 9110, 12.5.3. What cannot be read is not liked."""
    found = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.partition(";")
        key, _, quality = parameter.partition("=")
        try:
            liked = float(quality) if key.strip() == "q" else 1.0
        except ValueError:
            liked = 0.0
        found[name.strip()] = liked if 0 <= liked <= 1 else 0.0
    return found


def _decoder(coding: str, beginning: bytes) -> _Decoder:
    if coding == "zstd":
        zstd = _zstd()
        made: _Decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        return made
    wbits = _GZIP if coding == "gzip" else _ZLIB if _is_zlib(beginning) else _BARE
    return zlib.decompressobj(wbits)


def _is_zlib(beginning: bytes) -> bool:
    """Whether a zlib header stands there: RFC 1950, 2.2."""
    return beginning[0] & 0x0F == 8 and (len(beginning) < 2 or int.from_bytes(beginning[:2], "big") % 31 == 0)


@cache
def _zstd() -> Any:
    """The standard library's module, or its backport: the same code. Imported by the first who needs it."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
