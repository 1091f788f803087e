"""The one way into the journal: note rows, flush them with one write, and only then let the answers leave."""

import os
import time
from pathlib import Path

from payoff.clock import Clock, now_us
from payoff.errors import TooLarge, Unavailable
from payoff.journal import segment
from payoff.journal.frame import (
    ROWS_MAX,
    Buffer,
    Layout,
    Learned,
    Noted,
    Stream,
    block,
    encode,
    encode_stream,
    layout,
    slices,
)

_STREAMS_MAX = 65_535  # a stream's number is 16 bits; a segment that has so many makes way for a new one
_FLUSH_BYTES_MAX = 1 << 30
_LOOK_S = 1.0  # how often the size of a journal that is full is looked at again


class Writer:
    """Appends to one segment file at a time. It has one owner: one thread, or one event loop.

    `name` tells the writers of one journal apart ("worker-0"). With `sync` a flush returns when the rows are on the
    disk, not only in the system's cache. A segment is closed, and so given to compaction, when it holds
    `segment_bytes_max` or is `segment_age_s_max` old. `refused` counts rows that could not be written.
    """

    def __init__(
        self, root: Path, name: str, *, sync: bool = False, segment_bytes_max: int = 64 << 20,
        segment_age_s_max: float = 30.0, journal_bytes_max: int = 50 << 30, clock: Clock = now_us,
    ) -> None:  # fmt: skip
        self.root, self.name, self.sync = root, segment.require_plain(name), sync
        self.segment_bytes_max, self.segment_age_s_max = segment_bytes_max, segment_age_s_max
        self.journal_bytes_max = journal_bytes_max
        self.flushed = self.refused = 0  # rows
        self.written_bytes = 0
        self._clock = clock
        self._known: dict[Stream, tuple[int, Layout]] = {}  # streams of this segment: their numbers, how their rows lie
        self._frames: list[Buffer] = []
        self._rows = self._newest = 0
        self._fd = -1
        self._path = root
        self._size = 0
        self._opened_s = 0.0
        self._full_until_s = 0.0
        self._fresh: list[Stream] = []  # introduced since the last flush

    @property
    def waiting(self) -> int:
        """Rows noted and not yet flushed."""
        return self._rows

    def note(self, stream: Stream, batch: Noted | Learned) -> None:
        """Put rows into the buffer; ValueError, and nothing is noted, if a column does not fit the stream."""
        known = self._known.get(stream)
        number, plan = known or (len(self._known), layout(stream))
        if batch.n <= ROWS_MAX:
            frames = encode(number, plan, batch)
        else:
            frames = [buffer for part in slices(batch) for buffer in encode(number, plan, part)]
        if known is None:
            self._frames.append(encode_stream(number, stream))
            self._known[stream] = number, plan
            self._fresh.append(stream)
        self._frames += frames
        self._rows += batch.n
        if batch.n:
            self._newest = max(self._newest, int(batch.id_hi[-1]))

    def flush(self) -> None:
        """Write what was noted; when this returns, it is in the journal, all of it.

        Raises Unavailable if it could not be written: then none of it is, and none of its answers may leave.
        """
        if not self._frames:
            return
        raw = block(self._frames, self._newest)
        if len(raw) > _FLUSH_BYTES_MAX:
            self._refuse()
            raise TooLarge(f"{len(raw):,} bytes of rows in one go; the journal takes {_FLUSH_BYTES_MAX:,}; send fewer")
        try:
            self._open()
            self._append(raw)
        except OSError as error:
            self._give_up(error)
        self.flushed += self._rows
        self._forget_buffer()
        self.rotate_if_due()

    def rotate_if_due(self) -> None:
        """Close a segment that is full or old, so that it can be compacted; call it now and then when idle."""
        full = self._size >= self.segment_bytes_max or len(self._known) >= _STREAMS_MAX
        old = time.monotonic() - self._opened_s >= self.segment_age_s_max
        if self._fd >= 0 and not self._frames and (full or old):
            self._close_segment()

    def close(self) -> None:
        """Flush and let go of the segment."""
        self.flush()
        self._close_segment()

    def _open(self) -> None:
        if self._fd >= 0:
            return
        self._require_room()
        self._fd, self._path = segment.create(self.root, self.name, self._clock())
        self._size, self._opened_s = 0, time.monotonic()
        if self.sync:
            _sync_folder(self.root)

    def _require_room(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._full_until_s:
            held = sum(each.size for each in segment.segments(self.root))
            if held < self.journal_bytes_max:
                return
            self._full_until_s = now_s + _LOOK_S
        self._refuse()
        raise Unavailable(
            f"the journal {self.root} holds its limit of {self.journal_bytes_max:,} bytes that are not yet compacted; "
            "nothing was recorded and nothing may be answered; is the control process running? See `payoff doctor`"
        )

    def _append(self, raw: bytes) -> None:
        written = os.write(self._fd, raw)
        while written < len(raw):
            written += os.write(self._fd, memoryview(raw)[written:])
        if self.sync:
            os.fdatasync(self._fd)
        self._size += len(raw)
        self.written_bytes += len(raw)

    def _give_up(self, error: OSError) -> None:
        """Back to the last whole block; if even that fails the segment is left as it is, and a new one follows."""
        self._refuse()
        try:
            if self._fd >= 0:
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
        except OSError:
            self._close_segment()
        raise Unavailable(
            f"the journal {self.root} could not be written: {error.strerror or error}; nothing was recorded and "
            f"nothing may be answered; free space on the disk of {self.root}, or start with --home on another one"
        ) from error

    def _refuse(self) -> None:
        self.refused += self._rows
        for stream in self._fresh:  # their descriptors are not in the file
            del self._known[stream]
        self._forget_buffer()

    def _forget_buffer(self) -> None:
        self._frames, self._fresh, self._rows = [], [], 0

    def _close_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size = -1, 0
        self._known.clear()  # replaced revisions' streams go with it


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
