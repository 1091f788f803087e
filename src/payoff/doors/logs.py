"""How every process of payoff logs: one line for each thing that happened, on stderr, as text or as JSON.

Fields beyond the message travel in `extra={"fields": {...}}`: the same names in both formats.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

FORMATS = ("text", "json")


class Lines(logging.Formatter):
    """A record as one line. `process` says who speaks: supervisor, control, worker 0."""

    def __init__(self, form: str, process: str) -> None:
        super().__init__()
        self._form = form
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Text or JSON; never more than one line, whatever the message holds."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = record.getMessage()
        if self._form == "json":
            whole = {"at": at, "level": record.levelname.lower(), "process": self._process, "logger": record.name}
            whole |= {"message": said, **fields, **({"trace": trace} if trace else {})}
            return json.dumps(whole, default=str)
        pairs = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
        line = f"{at} {record.levelname} {self._process} {record.name}: {_one_line(said)}{pairs}"
        return f"{line}\n{trace}" if trace else line


def set_up(form: str, process: str, stream: TextIO | None = None) -> None:
    """From now on this process logs so; what only libraries care for is left out."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines(form, process))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("alembic", "httpx", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _plain(value: Any) -> str:
    """A value as text has it; in quotes where it would fall apart."""
    text = str(value)
    return json.dumps(text) if not text or any(sign in text for sign in ' "=\n\r\t') else text


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")
