"""A multipart upload goes straight to disk, piece by piece, under names of our own; nothing of it stays behind."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from litestar.concurrency import sync_to_thread
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from payoff.errors import BadInput, NotRead, TooLarge, Unavailable

UPLOAD_BYTES_MAX = 2 * 1024**3
TEXT_BYTES_MAX = 1024 * 1024
PARTS_MAX = 32


@dataclass
class Form:
    """What was sent: texts by name, and files by name as (path on our disk, the caller's name for it)."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[Path, str]] = field(default_factory=dict)


@contextmanager
def room_for_one(home: Path) -> Iterator[Path]:
    """A folder for one upload, removed whatever happens."""
    parent = home / "run" / "uploads"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise Unavailable(f"cannot take an upload under {parent}: {error.strerror}; make room on the disk") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(home: Path) -> None:
    """Removes what uploads left when the process was killed in the middle of one."""
    shutil.rmtree(home / "run" / "uploads", ignore_errors=True)


async def receive(stream: AsyncIterator[bytes], content_type: str, folder: Path) -> Form:
    """Reads a multipart/form-data body to its end.

    Raises NotRead for what is not multipart, BadInput for what is not whole, TooLarge beyond UPLOAD_BYTES_MAX,
    Unavailable when the disk is full.
    """
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise NotRead(f"the body is {content_type[:80]!r}; send multipart/form-data with a file called 'artifact'")
    desk = _Desk(folder)
    try:
        with PushMultipartParser(options["boundary"], max_segment_count=PARTS_MAX) as parser:
            async for chunk in stream:
                if chunk:
                    await sync_to_thread(desk.take, list(parser.parse(chunk)))
    except ParserLimitReached as error:
        raise BadInput(f"the form has more than {PARTS_MAX} parts or overlong headers") from error
    except MultipartError as error:
        raise BadInput(f"the upload is not whole: {error}; send it again") from error
    except OSError as error:
        raise Unavailable(f"cannot write the upload: {error.strerror}; make room on the disk") from error
    finally:
        desk.close()
    return desk.form


class _Desk:
    """Sorts the parser's events into texts and files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.form = Form()
        self.bytes_taken = 0
        self._segment: MultipartSegment | None = None
        self._text = bytearray()
        self._file: IO[bytes] | None = None

    def take(self, events: list[MultipartSegment | bytearray | None]) -> None:
        for event in events:
            if isinstance(event, MultipartSegment):
                self._start(event)
            elif event:
                self._add(event)
            else:
                self._end()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _start(self, segment: MultipartSegment) -> None:
        self._segment = segment
        self._text = bytearray()
        name = str(segment.name)
        if name in self.form.files or name in self.form.texts:
            raise BadInput(f"the form has {name[:40]!r} twice; send it once")
        if segment.filename is not None:
            path = self.folder / f"part-{len(self.form.files)}"
            self._file = path.open("wb")
            self.form.files[name] = (path, segment.filename)

    def _add(self, data: bytearray) -> None:
        self.bytes_taken += len(data)
        if self.bytes_taken > UPLOAD_BYTES_MAX:
            raise TooLarge(f"the upload is larger than {UPLOAD_BYTES_MAX // 1024**3} GiB, the most one may be")
        if self._file is not None:
            self._file.write(data)
            return
        self._text += data
        if len(self._text) > TEXT_BYTES_MAX:
            raise TooLarge(f"a form field is larger than {TEXT_BYTES_MAX // 1024} KiB; only files may be")

    def _end(self) -> None:
        if self._file is None and self._segment is not None:
            self.form.texts[str(self._segment.name)] = self._text.decode("utf-8", "replace")
        self.close()
