"""A multipart/form-data body that is read from disk while it is sent: a model may be larger than memory."""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

CHUNK_BYTES = 1 << 20
Part = bytes | Path


class Form:
    """Texts and files; `files` maps a field to (the file's name, its bytes or its path)."""

    def __init__(self, texts: Mapping[str, str], files: Mapping[str, tuple[str, Part]]) -> None:
        self._boundary = secrets.token_hex(16)
        self._parts: list[Part] = []
        for name, text in texts.items():
            self._parts += [self._head(f'name="{_quoted(name)}"'), text.encode(), b"\r\n"]
        for name, (filename, content) in files.items():
            self._parts += [self._head(f'name="{_quoted(name)}"; filename="{_quoted(filename)}"'), content, b"\r\n"]
        self._parts.append(f"--{self._boundary}--\r\n".encode())

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        """How many bytes there are to send."""
        return sum(len(part) if isinstance(part, bytes) else part.stat().st_size for part in self._parts)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

    def _head(self, disposition: str) -> bytes:
        return f"--{self._boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()


def _quoted(name: str) -> str:
    """As browsers do it (WHATWG, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
