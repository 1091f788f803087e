"""The servers that are compared, each as one tree of processes on a core of its own, from an environment of its own.

The environments stand in .environments/rivals, or where PAYOFF_RIVALS says, and are made from the package index when
they are missing. What a tree computes and holds is read from /proc.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RIVALS = Path(__file__).parent / "rivals"
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "fastapi": ("fastapi", "uvicorn[standard]", "onnxruntime", "numpy", "scikit-learn", "joblib", "orjson"),
    "mosec": ("mosec", "onnxruntime", "numpy", "scikit-learn", "joblib", "orjson"),
    "floors": ("httptools", "uvloop", "onnxruntime", "numpy", "scikit-learn", "joblib", "orjson", "grpcio",
               "tritonclient[grpc]", "hpack"),
}  # fmt: skip
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Rival:
    """How to start one: `command` has {python}, {port} and is run in benchmarks/rivals."""

    environment: str
    command: str
    grpc: bool = False


RIVALS_KNOWN = {
    "FastAPI": Rival("fastapi", "{python} -m uvicorn fastapi_app:app --host 127.0.0.1 --port {port} --no-access-log "
                     "--log-level warning --loop uvloop --http httptools"),
    "mosec, batching": Rival("mosec", "{python} mosec_app.py --address 127.0.0.1 --port {port} --log-level warning"),
    "sketch, HTTP": Rival("floors", "{python} bare_http.py {port}"),
    "grpc.aio": Rival("floors", "{python} grpc_aio_app.py {port}", grpc=True),
    "sketch, gRPC": Rival("floors", "{python} bare_h2.py {port}", grpc=True),
}  # fmt: skip


@dataclass(slots=True)
class Server:
    """One that runs."""

    name: str
    pid: int
    url: str = ""
    grpc_url: str = ""

    def cpu_s(self) -> float:
        """CPU seconds of all its processes so far."""
        return sum(_cpu_s(pid) for pid in family(self.pid))

    def rss_mb(self) -> float:
        """Resident memory of all its processes, shared pages counted in each."""
        return sum(rss_mb(pid) for pid in family(self.pid))


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made if it is not there."""
    root = Path(os.environ.get("PAYOFF_RIVALS") or ROOT / ".environments" / "rivals")
    python = root / name / "bin" / "python"
    if not python.exists():
        print(f"making the environment {name} ...", flush=True)
        uv = str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(root / name)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *ENVIRONMENTS[name]], check=True)
    return python


def versions(name: str, packages: Sequence[str]) -> dict[str, str]:
    """What an environment has of these packages."""
    code = "import sys; from importlib.metadata import version as v; [print(n, v(n)) for n in sys.argv[1:]]"
    done = subprocess.run([python_of(name), "-c", code, *packages], capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


@contextmanager
def rival(name: str, models: Path, log: Path, core: int | None = 0) -> Iterator[Server]:
    """One of RIVALS_KNOWN on a free port."""
    known, port = RIVALS_KNOWN[name], free_port()
    command = known.command.format(python=python_of(known.environment), port=port).split()
    with started(name, command, log, core, env={**os.environ, **ONE_THREAD, "MODELS": str(models)}, cwd=RIVALS) as one:
        one.url = one.grpc_url = f"http://127.0.0.1:{port}"
        yield one


@contextmanager
def payoff_worker(name: str, home: Path, module: str, log: Path, core: int | None = 0) -> Iterator[Server]:
    """One inference worker on free ports, with no control plane beside it."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as http, socket.create_server(("127.0.0.1", 0)) as grpc:
        doors = (http.fileno(), grpc.fileno())
        command = [sys.executable, "-m", module, "--home", str(home), "--fd", str(doors[0]), "--grpc-fd", str(doors[1])]
        with started(name, command, log, core, pass_fds=doors, cwd=ROOT) as one:
            one.url, one.grpc_url = (f"http://127.0.0.1:{door.getsockname()[1]}" for door in (http, grpc))
            yield one


@contextmanager
def payoff_up(name: str, home: Path, log: Path, workers: int = 1) -> Iterator[Server]:
    """The whole tree, on any core."""
    port = free_port()
    command = [sys.executable, "-m", "payoff.cli.main", "up", "--home", str(home), "--workers", str(workers)]
    command += ["--http", f"127.0.0.1:{port}", "--grpc", "127.0.0.1:0", "--console", "127.0.0.1:0"]
    with started(name, command, log, None, cwd=ROOT) as one:
        one.url = f"http://127.0.0.1:{port}"
        yield one


@contextmanager
def started(name: str, command: list[str], log: Path, core: int | None, **how: Any) -> Iterator[Server]:
    """A tree of processes for as long as the block lasts, on one core if one is said."""
    pin = [] if core is None else ["taskset", "-c", str(core)]
    with log.open("ab") as words:
        process = subprocess.Popen([*pin, *command], stdin=subprocess.DEVNULL, stdout=words, stderr=words, **how)
    try:
        yield Server(name, process.pid)
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """A tree gracefully, and after some seconds not."""
    pids = family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(8)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
        return port


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for one in Path("/proc").iterdir():
        if one.name.isdigit() and (fields := _stat(int(one.name))):
            children.setdefault(int(fields[1]), []).append(int(one.name))
    found, rest = [], [pid]
    while rest:
        found.append(rest.pop())
        rest += children.get(found[-1], [])
    return found


def worker_rss_mb(pid: int) -> float:
    """Resident memory of the first worker below a `payoff up`."""
    commands = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in family(pid)}
    return rss_mb(next(one for one, command in commands.items() if b"payoff.gateway.worker" in command))


def rss_mb(pid: int) -> float:
    """Resident memory of one process."""
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if fields else 0.0


def _cpu_s(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; [] if the process is gone. The first of them is its state."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
