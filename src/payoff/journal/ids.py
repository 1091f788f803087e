"""Names for predictions and outcomes: 128 bits that sort by time, unique without asking anybody.

The text form is a UUID of version 7 (RFC 9562): 48 bits of milliseconds, 12 bits of a fraction of one (its method 3),
then, in the 62 free bits, 20 of the row's place in its batch, 10 of the worker and 32 at random.
"""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from payoff.clock import Clock, now_us
from payoff.errors import BadInput
from payoff.records.texts import Texts

_FRACTION = 4096  # ticks per millisecond: one is about 244 ns
_BATCH_BITS = 20
_BATCH_MAX = 1 << _BATCH_BITS
_READY = 2_048  # places in a batch whose part of an id is worked out beforehand
_FEW = 16  # ids whose texts are sooner made one by one than all at once
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint8).reshape(256, 2)
_DASHES = (8, 13, 18, 23)
_DIGITS = np.array([place for place in range(36) if place not in _DASHES])
_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TEXT, _TEXTS = re.compile(_PATTERN).fullmatch, re.compile(f"(?:{_PATTERN},)*").fullmatch


class Drawn(NamedTuple):
    """Ids as halves, shape (n,) each, and as texts."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    texts: Sequence[str]


class Ids:
    """Strictly increasing ids of one process, whatever its clock does.

    `worker` (0 to 1023) keeps processes apart; `after_us` is the newest id time the journal holds, so that a clock set
    back between two runs does not put new ids before old ones. Not for use by several threads at once.
    """

    def __init__(self, worker: int = 0, clock: Clock = now_us, after_us: int = 0) -> None:
        self._clock = clock
        self._base = 1 << 63 | (worker & 1023) << 32
        self._last = _tick(after_us + 1) if after_us else 0
        self._chances = b""
        self._used = 0
        places = np.arange(_READY, dtype=np.uint64) << np.uint64(42) | np.uint64(self._base)
        self._places = places
        self._place_texts = [f"{place >> 48:04x}-{place >> 32 & 0xFFFF:04x}" for place in places.tolist()]
        self._place_block = np.frombuffer("".join(self._place_texts).encode(), np.uint8).reshape(_READY, -1)

    def draw(self, n: int) -> Drawn:
        """The next `n` ids; for a batch as small as most are, in a fraction of the time that `take` and `text` need."""
        if n > _READY:
            high, low = self.take(n)
            return Drawn(high, low, Texts(matrix(high, low)))
        tick = self._last = max(_tick(self._clock()), self._last + 1)
        upper, chance = _high(tick), self._chance(4 * n)
        first = f"{upper:016x}"
        begin = f"{first[:8]}-{first[8:12]}-{first[12:]}-"
        if n == 1:
            both = np.array((upper, self._base | int.from_bytes(chance)), np.uint64)
            return Drawn(both[:1], both[1:], [begin + self._place_texts[0] + chance.hex()])
        high, low = np.full(n, upper, np.uint64), self._places[:n] | np.frombuffer(chance, ">u4")
        if n < _FEW:
            ends = zip(self._place_texts, chance.hex("-", 4).split("-")[:n], strict=False)
            return Drawn(high, low, [begin + place + chances for place, chances in ends])
        block = np.empty((n, 36), np.uint8)
        block[:, :19] = np.frombuffer(begin.encode(), np.uint8)
        block[:, 19:28] = self._place_block[:n]
        block[:, 28:] = np.frombuffer(chance.hex().encode(), np.uint8).reshape(n, 8)
        return Drawn(high, low, Texts(block))

    def take(self, n: int = 1) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The upper and the lower halves of the next `n` ids, shape (n,) each."""
        tick = max(_tick(self._clock()), self._last + 1)
        place = np.arange(n, dtype=np.uint64)
        ticks = np.uint64(tick) + (place >> np.uint64(_BATCH_BITS))
        self._last = tick + max(n - 1, 0) // _BATCH_MAX
        high = ((ticks >> np.uint64(12)) << np.uint64(16)) | np.uint64(0x7000) | (ticks & np.uint64(0xFFF))
        chance = np.frombuffer(os.urandom(4 * n), "<u4").astype(np.uint64)
        return high, np.uint64(self._base) | (place & np.uint64(_BATCH_MAX - 1)) << np.uint64(42) | chance

    def _chance(self, size: int) -> bytes:
        """Random bytes, asked of the system by the thousand: batch by batch it costs more than all the rest."""
        if self._used + size > len(self._chances):
            self._chances, self._used = os.urandom(max(16_384, size)), 0
        self._used += size
        return self._chances[self._used - size : self._used]


def text(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> list[str]:
    """The ids as UUID texts, which sort as the ids do."""
    if len(high) < 8:
        return [_one(h, lo) for h, lo in zip(high.tolist(), low.tolist(), strict=True)]
    flat = matrix(high, low).tobytes().decode("ascii")
    return [flat[start : start + 36] for start in range(0, len(flat), 36)]


def matrix(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The ids as ASCII, shape (n, 36): one row of bytes per id."""
    raw = np.stack([high, low], axis=1).astype(">u8").view(np.uint8).reshape(-1, 16)
    out = np.full((len(high), 36), ord("-"), np.uint8)
    out[:, _DIGITS] = _HEX[raw].reshape(-1, 32)
    return out


def parse(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The two halves of ids given as text; raises BadInput for a text that is none of ours."""
    try:
        joined = ",".join([*texts, ""])
    except TypeError:
        joined = ""
    if not _TEXTS(joined) or len(joined) != 37 * len(texts):
        row, each = next((row, each) for row, each in enumerate(texts) if not (isinstance(each, str) and _TEXT(each)))
        raise BadInput(
            f"row {row}: {str(each)[:60]!r} is not a prediction id; "
            "expected the prediction_id of an answer, like 0198c0de-0000-7000-8000-000000000000"
        )
    raw = np.frombuffer(bytes.fromhex(joined.replace("-", "").replace(",", "")), ">u8").reshape(-1, 2)
    return raw[:, 0].astype(np.uint64), raw[:, 1].astype(np.uint64)


def time_us(each: str) -> int:
    """When an id was made: microseconds since 1970."""
    high = int(each[:18].replace("-", ""), 16)
    return high_time_us(high)


def high_time_us(high: int) -> int:
    """The same from the upper half of an id."""
    return ((high >> 16) * _FRACTION + (high & 0xFFF)) * 1000 // _FRACTION


def times_us(high: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The same from many of them, shape (n,)."""
    fraction = (high & np.uint64(0xFFF)) * np.uint64(1000) // np.uint64(_FRACTION)
    return ((high >> np.uint64(16)) * np.uint64(1000) + fraction).astype(np.int64)


def floor(at_us: int) -> str:
    """The smallest id there can be at a time: everything made earlier sorts before it."""
    return _one(_high(_tick(max(at_us, 0))), 1 << 63)


def _tick(at_us: int) -> int:
    return (at_us * _FRACTION + 999) // 1000


def _high(tick: int) -> int:
    return (tick >> 12) << 16 | 0x7000 | (tick & 0xFFF)


def _one(high: int, low: int) -> str:
    first, last = f"{high:016x}", f"{low:016x}"
    return f"{first[:8]}-{first[8:12]}-{first[12:]}-{last[:4]}-{last[4:]}"
