"""Facts about a worker as a process: what it loads, how many connections it holds, how it leaves."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from payoff.records import Role
from payoff.store import live
from tests.gateway.test_worker import ask, reported, revision, worker
from tests.shared import PATIENCE_S

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEAVY = ("duckdb", "pyarrow", "sqlalchemy", "deltalake", "litestar", "uvicorn", "pandas", "sklearn", "onnx", "grpc",
         "google.protobuf", "opentelemetry", "httpx", "rich", "typer", "alembic")  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    return tmp_path


def line(url: str, say: bytes = LIVE) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=PATIENCE_S)
    found.sendall(say)
    return found


def answered(one: socket.socket) -> bool:
    return one.recv(1 << 16).startswith(b"HTTP/1.1 200")


def pid_of(home: Path) -> int:
    return reported(home, lambda status: status.pid).pid


def imported(module: str) -> set[str]:
    """What a process has of the heavy ones when it has this one."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in HEAVY if name in done.stdout.split()}


def test_a_worker_imports_nothing_that_is_the_control_planes_and_the_supervisor_no_engine() -> None:
    assert imported("payoff.gateway.worker") == set()
    assert imported("payoff.cli.up") & {"numpy", "onnxruntime", "asyncio", *HEAVY} == set()


def test_a_worker_that_has_answered_over_json_has_loaded_no_library_that_json_needs_not(home: Path) -> None:
    with worker(home) as url:
        assert ask(url, {"x": 3}).status_code == 200
        loaded = Path(f"/proc/{pid_of(home)}/maps").read_text()
    assert "onnxruntime" in loaded
    assert [name for name in ("pyarrow", "duckdb", "sqlalchemy", "pandas", "scipy") if f"/{name}/" in loaded] == []


def test_a_worker_allows_itself_as_many_files_as_the_system_lets_it(home: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    try:
        with worker(home) as url:
            assert ask(url, {"x": 3}).status_code == 200
            now, _ = resource.prlimit(pid_of(home), resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert now == min(hard, 65_536)


def cpu_s(pid: int) -> float:
    """What a process has had of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_connections_wait_while_no_file_is_left_for_them_and_nothing_spins(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with worker(home) as url, ExitStack() as stack:
        assert ask(url, {"x": 3}).status_code == 200
        pid = pid_of(home)
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(list(Path(f"/proc/{pid}/fd").iterdir())) + 8, hard))
        held = [stack.enter_context(closing(line(url))) for _ in range(6)]
        assert all(map(answered, held))
        waiting = [stack.enter_context(closing(line(url))) for _ in range(6)]
        before_s = cpu_s(pid)
        threading.Event().wait(1)
        assert cpu_s(pid) - before_s < 0.5
        for one in held:
            one.close()
        assert all(map(answered, waiting))
    assert "raise the limit of open files" in capfd.readouterr().err


@pytest.mark.slow
def test_ten_thousand_idle_connections_cost_little_and_keep_nobody_waiting(home: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(9_900, hard - 1_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with worker(home) as url, ExitStack() as stack:
            assert ask(url, {"x": 3}).status_code == 200
            pid = pid_of(home)
            before = rss_kib(pid)
            idle = [stack.enter_context(closing(line(url))) for _ in range(count)]
            assert all(map(answered, idle))
            assert (rss_kib(pid) - before) / count < 16
            assert ask(url, {"x": 3}).status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def request(rows: bytes) -> bytes:
    return b"POST /predict/times HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(rows), rows)


def heard(one: socket.socket) -> bytes:
    """All that comes until the other end closes; a reset raises."""
    parts = []
    while part := one.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def test_requests_sent_one_after_the_other_are_all_answered_by_a_worker_that_leaves(home: Path) -> None:
    with worker(home) as url:
        assert ask(url, {"x": 3}).status_code == 200
        with closing(line(url, b"".join(request(json.dumps({"x": x}).encode()) for x in range(8, 20)))) as one:
            os.kill(pid_of(home), signal.SIGTERM)
            answers = heard(one)
    assert [int(part.partition(b",")[0].partition(b".")[0]) for part in answers.split(b'"y":')[1:]] == [
        2 * x for x in range(8, 20)
    ]


def test_a_large_body_on_its_way_is_waited_for_and_answered_by_a_worker_that_leaves(home: Path) -> None:
    rows = json.dumps([{"x": x} for x in range(20_000)]).encode()
    whole = request(rows)
    with worker(home) as url:
        assert ask(url, {"x": 3}).status_code == 200
        with closing(line(url, whole[: len(whole) // 2])) as one, closing(line(url)) as idle:
            assert ask(url, {"x": 3}).status_code == 200  # half of it has arrived
            os.kill(pid_of(home), signal.SIGTERM)
            assert heard(idle).startswith(b"HTTP/1.1 200")  # and then it is let go of
            one.sendall(whole[len(whole) // 2 :])
            assert heard(one).count(b"prediction_id") == 20_000


def test_every_call_of_many_callers_is_answered_or_not_taken_when_a_worker_leaves(home: Path) -> None:
    """Callers ask without pause until they are told that it was the last answer; none ever meets a reset."""
    errors: list[Exception] = []
    under_way = threading.Barrier(17)

    def call(url: str) -> None:
        body = request(b'{"x":8}')
        try:
            with closing(line(url, body)) as one:
                assert one.recv(1 << 16).startswith(b"HTTP/1.1 200")
                under_way.wait(PATIENCE_S)
                one.sendall(body)
                while b"connection: close" not in (answer := one.recv(1 << 16)):
                    assert answer.startswith(b"HTTP/1.1 200")
                    one.sendall(body)
                assert answer.startswith(b"HTTP/1.1 200")
                assert one.recv(1) == b""
        except Exception as error:
            errors.append(error)

    with worker(home) as url:
        assert ask(url, {"x": 3}).status_code == 200
        callers = [threading.Thread(target=call, args=(url,)) for _ in range(16)]
        for caller in callers:
            caller.start()
        under_way.wait(PATIENCE_S)
        os.kill(pid_of(home), signal.SIGTERM)
        for caller in callers:
            caller.join()
    assert errors == []


def test_a_caller_who_never_ends_keeps_no_worker_from_leaving(home: Path) -> None:
    with worker(home) as url:
        assert ask(url, {"x": 3}).status_code == 200
        half = line(url, request(b'{"x":8}')[:-3])
        assert ask(url, {"x": 3}).status_code == 200
    with closing(half):  # the worker has gone, with status 0
        assert not half.recv(1 << 16).startswith(b"HTTP/1.1 200")
