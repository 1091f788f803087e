"""For every room: no test is timed, environments are shared, processes find the modules compiled, a file's tests stay
together, and several processes start at the same moment."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.shared import ENVIRONMENTS

TOGETHER = ("tests/kinds/test_tracking.py",)  # of those that stand alone otherwise

explore = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("explore", explore)  # `pytest --hypothesis-profile explore` looks further
hypothesis.settings.register_profile("payoff", explore, derandomize=True)  # the same examples on every machine
hypothesis.settings.load_profile("payoff")
os.environ["PAYOFF_ENVIRONMENTS"] = str(ENVIRONMENTS)  # for every server that a test starts
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of them compiles the house anew, for seconds
sys.dont_write_bytecode = False


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of one file run in one process, for they share servers; those that share none run wherever one is idle."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file.startswith(("tests/docs/", "tests/kinds/")) and file not in TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """For `--dist loadgroup`, whose own marks pytest 9.2 takes no notice of."""
    return ByFile(config, log) if config.getoption("dist") == "loadgroup" else None


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
    return [one.communicate(timeout=600)[1] for one in started]
