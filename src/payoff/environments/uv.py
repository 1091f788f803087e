"""Calls uv, which resolves and installs: pip's settings translated, no secret of payoff's passed on, output bounded."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uv

from payoff.environments.pip import for_uv, settings
from payoff.errors import Unavailable

_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|LD_LIBRARY_PATH|TMPDIR|SYSTEMROOT|XDG_\w+|UV_\w+|SSL_\w+|NETRC"
    r"|(http|https|all|no)_proxy|(HTTP|HTTPS|ALL|NO)_PROXY|CC|CXX|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|SOURCE_DATE_EPOCH"
)
_ALWAYS = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
_YES = ("1", "true", "yes", "on")
_SAID_BYTES_MAX = 64 << 10


@dataclass(frozen=True, slots=True)
class Done:
    """How a call of uv ended: `status` is None if its time ran out."""

    status: int | None
    answered: str
    said: str


def run(
    arguments: Sequence[str], *, seconds_max: float, files: Mapping[str, str] | None = None, holds: Sequence[int] = ()
) -> Done:
    """Run uv in a folder with these files alone, so that no project around it has a say.

    It and its own are gone when this returns. `holds` are open files that it holds with us: a lock stays taken as long
    as it works, even if we are killed.
    """
    with tempfile.TemporaryDirectory(prefix="payoff-uv-") as name:
        folder = Path(name)
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
        with (folder / "answered").open("wb") as answered, (folder / "said").open("wb") as said:
            child = subprocess.Popen(  # noqa: S603 - uv itself, no shell
                [_program(), *arguments],
                cwd=folder,
                env=variables(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=answered,
                stderr=said,
                start_new_session=True,
                pass_fds=holds,
            )
            status = _wait(child, seconds_max)
        return Done(status, (folder / "answered").read_text("utf-8", "replace"), scrub(_last(folder / "said")))


def variables(ours: Mapping[str, str]) -> dict[str, str]:
    """What uv and the builds it starts are told of this process's variables, and pip's settings in uv's words."""
    return {name: value for name, value in ours.items() if _KEPT.fullmatch(name)} | for_uv(ours) | _ALWAYS


def options() -> list[str]:
    """What can be said to uv in arguments only: pip's `no-index`, and wheels only where the operator wants that."""
    no_index = settings(os.environ).get("no_index", "").lower() in _YES
    wheels_only = os.environ.get("PAYOFF_WHEELS_ONLY", "").lower() in _YES
    return ["--no-index"] * no_index + ["--only-binary", ":all:"] * wheels_only


def scrub(text: str) -> str:
    """The same words without what stands before the host of an address: names, passwords, tokens."""
    return re.sub(r"(\w://)[^/@\s]+@", r"\1", text)


def _program() -> str:
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise Unavailable(
            f"uv, which builds environments, is not there ({error}); install it: pip install uv"
        ) from error


def _wait(child: subprocess.Popen[bytes], seconds_max: float) -> int | None:
    try:
        return child.wait(seconds_max)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _last(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _SAID_BYTES_MAX))
        return file.read().decode("utf-8", "replace")
