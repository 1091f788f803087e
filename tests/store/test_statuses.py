"""What workers say of themselves, and when their word no longer counts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from payoff.store import live, processes
from payoff.store.live import Status


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed."""
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def mine(worker: int = 0) -> Status:
    return Status(worker, os.getpid(), live.boot_id(), 5, {"a": 3}, {"a": 4}, {"b": (2, "größer")}, {"answered": 7})


def of(child: subprocess.Popen[bytes], worker: int) -> Status:
    return Status(worker, child.pid, processes.identity(child.pid) or "", 5)


def test_what_workers_report_reads_back_equal_and_in_order(tmp_path: Path) -> None:
    for worker in (10, 2, 0):
        live.report(tmp_path, worker, mine(worker))
    live.report(tmp_path, 2, mine(2))
    assert live.statuses(tmp_path) == [mine(0), mine(2), mine(10)]


def test_a_dead_worker_says_nothing_any_more(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    status = of(child, 1)
    live.report(tmp_path, 0, mine())
    live.report(tmp_path, 1, status)
    assert live.statuses(tmp_path) == [mine(), status]
    child.kill()
    child.wait()
    assert live.statuses(tmp_path) == [mine()]
    assert live.statuses(tmp_path, alive_only=False) == [mine(), status]


def test_a_killed_worker_counts_as_dead_before_its_parent_takes_note(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    live.report(tmp_path, 1, of(child, 1))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert live.statuses(tmp_path) == []


def test_another_process_with_the_same_pid_is_not_taken_for_the_worker(tmp_path: Path) -> None:
    boot, _, start = live.boot_id().partition(":")
    live.report(tmp_path, 0, replace(mine(), boot_id=f"{boot}:{int(start) - 1}"))
    live.report(tmp_path, 1, replace(mine(1), boot_id=f"{boot[::-1]}:{start}"))
    assert live.statuses(tmp_path) == []


def test_a_torn_status_counts_as_silence(tmp_path: Path) -> None:
    live.report(tmp_path, 0, mine())
    (tmp_path / "run" / "worker-1.json").write_bytes(b'{"worker": 1')
    assert live.statuses(tmp_path, alive_only=False) == [mine()]


def test_the_start_of_the_control_plane_clears_what_the_dead_left(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    run = tmp_path / "run"
    live.report(tmp_path, 0, mine())
    live.report(tmp_path, 1, of(child, 1))
    (run / f".worker-0.json.{os.getpid()}.1.tmp").write_bytes(b"half")
    (run / f".worker-1.json.{child.pid}.1.tmp").write_bytes(b"half")
    child.kill()
    child.wait()
    live.publish_all(tmp_path, [])
    assert sorted(path.name for path in run.iterdir()) == [f".worker-0.json.{os.getpid()}.1.tmp", "worker-0.json"]


def test_a_process_has_one_identity_and_no_process_has_none(child: subprocess.Popen[bytes]) -> None:
    assert processes.identity(child.pid) == processes.identity(child.pid) != processes.identity(os.getpid())
    child.kill()
    child.wait()
    assert processes.identity(child.pid) is None
