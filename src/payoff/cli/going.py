"""A deploy as it goes: each step with its seconds when it is done, and on a terminal the one that goes on now."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import typer

from payoff.cli import show

UPLOAD = "upload"


class Going:
    """Prints steps once each, in order. `with` it around what may be interrupted."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stdout.isatty() and not quiet
        self._told: set[str] = set()
        self._is_sent = False
        self._line = ""

    def __enter__(self) -> "Going":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._clear()
        if kind is KeyboardInterrupt:
            show.warn(self._left())

    def hear(self, view: dict[str, Any]) -> None:
        """What the server says of it now."""
        self._is_sent |= any(step["what"] == UPLOAD for step in view["steps"])
        self._tell(view["steps"])
        if self._live and view["doing"]:
            self._clear()
            self._line = _line(view["doing"]) + " ..."
            typer.echo(self._line, nl=False)

    def rest(self, steps: Sequence[dict[str, Any]]) -> None:
        """The steps that nobody has told of yet."""
        self._tell(steps)

    def _tell(self, steps: Sequence[dict[str, Any]]) -> None:
        for step in steps:
            if not self._quiet and step["what"] not in self._told:
                self._told.add(step["what"])
                self._clear()
                typer.echo(_line(step))
                sys.stdout.flush()

    def _clear(self) -> None:
        if self._line:
            typer.echo(f"\r{' ' * len(self._line)}\r", nl=False)
            self._line = ""

    def _left(self) -> str:
        if self._is_sent:
            return "payoff: the server goes on with this deploy: see `payoff versions` and `payoff orders` for its end"
        return "payoff: the upload was cut off; nothing was deployed"


def _line(step: dict[str, Any]) -> str:
    return show.safe(f"  {step['seconds']:7.3f} s  {step['what']}")
