"""A registry in a file of its own, and records to put into it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from payoff.registry import Registry, connect


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/payoff.db"


@pytest.fixture
def registry(url: str) -> Registry:
    return connect(url)


@pytest.fixture
def at_once() -> Callable[[list[list[str]]], list[str]]:
    """Runs commands that print "ready" and then wait for a line, all at the same moment."""
    return _at_once


def _at_once(commands: list[list[str]]) -> list[str]:
    """What each says on its error stream; all are ready before any starts."""
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for command in commands]
    for one in started:
        assert one.stdin is not None
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return [one.communicate(timeout=60)[1] for one in started]
