"""Loads a server from another core and says what came of it: wrk for HTTP, h2load for gRPC, and who else was at work.

`cores of others` is what the machine computed, or had stolen from it, besides the server and the client. Where that is
much, the run says more of the others than of the server, and is done again.
"""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LUA = """
wrk.method = "POST"
local file = io.open(os.getenv("BODY"), "rb"); wrk.body = file:read("*a"); file:close()
for name, value in string.gmatch(os.getenv("HEADERS") or "content-type=application/json", "([^=;]+)=([^;]+)") do
  wrk.headers[name] = value
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('JSON {"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "bad": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""
METHOD_PATH = "/inference.GRPCInferenceService/ModelInfer"
OTHERS_MAX = 0.10  # cores
TRIES_MAX = 4
QUIET_CORES = 0.12
TRIAL_PER_STREAM = 8
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request again and again: where to, with what, from how many connections with how many streams each."""

    url: str  # http://HOST:PORT/PATH, or http://HOST:PORT for gRPC
    body: Path
    connections: int
    headers: str = "content-type=application/json"
    grpc: bool = False
    streams: int = 1
    core: int | None = 1  # of the client


@dataclass(frozen=True, slots=True)
class Run:
    """What one load showed. `cpu_s` is the server's, over `served` requests (a trial counts there)."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    bad: int
    served: int
    cpu_s: float = 0.0
    others: float = 0.0

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_s_per_1000(self) -> float:
        return self.cpu_s / max(1, self.served) * 1_000


def require(*tools: str) -> None:
    """Say what is missing before anything starts."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise SystemExit(f"needs {' and '.join(missing)}; Debian: apt-get install wrk nghttp2-client util-linux")


def quietly(ask: Ask, seconds: float, cpu_s: Callable[[], float], again_until: float) -> Run:
    """The quietest of a few tries; only one try after the time `again_until` (of `time.monotonic`)."""
    best: Run | None = None
    for _ in range(TRIES_MAX):
        run = watched(ask, seconds, cpu_s)
        best = run if best is None or run.others < best.others else best
        if best.others <= OTHERS_MAX or time.monotonic() > again_until:
            break
        wait_quiet(again_until)
    assert best is not None
    return best


def watched(ask: Ask, seconds: float, cpu_s: Callable[[], float]) -> Run:
    """One load, with what server, client and others computed meanwhile."""
    server, busy, client, began = cpu_s(), machine_busy_s(), children_s(), time.perf_counter()
    run = _h2load(ask, seconds) if ask.grpc else _wrk(ask, seconds)
    wall = time.perf_counter() - began
    used = cpu_s() - server
    others = machine_busy_s() - busy - used - (children_s() - client)
    return Run(run.requests, run.seconds, run.p50_us, run.p99_us, run.bad, run.served, used, max(0.0, others) / wall)


def machine_busy_s() -> float:
    """CPU seconds that all cores were busy, or stolen, since the machine started."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    found = dict(zip(names, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9], strict=True))
    return sum(int(found[name]) for name in names if name not in ("idle", "iowait")) / TICKS_PER_S


def children_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def wait_quiet(until: float, patience_s: float = 30.0) -> None:
    """Until the machine is all but idle for half a second."""
    until = min(until, time.monotonic() + patience_s)
    while time.monotonic() < until:
        before = machine_busy_s()
        time.sleep(0.5)
        if (machine_busy_s() - before) / 0.5 < QUIET_CORES:
            return


def _pin(ask: Ask) -> list[str]:
    return [] if ask.core is None else ["taskset", "-c", str(ask.core)]


def _wrk(ask: Ask, seconds: float) -> Run:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA)
        script.flush()
        command = [*_pin(ask), "wrk", "-t1", f"-c{ask.connections}", f"-d{max(1, round(seconds))}s"]
        command += ["--timeout", "20s", "-s", script.name, ask.url]
        environment = {**os.environ, "BODY": str(ask.body), "HEADERS": ask.headers}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if "JSON " not in done.stdout:
        raise RuntimeError(f"wrk said: {(done.stdout + done.stderr)[-300:]}")
    found = json.loads(done.stdout.partition("JSON ")[2])
    return Run(**found, served=found["requests"])


def _h2load(ask: Ask, seconds: float) -> Run:
    """A fixed number of requests, found by a trial: a fixed time would end with calls in flight."""
    streams = ask.connections * ask.streams
    trial = _h2load_some(ask, TRIAL_PER_STREAM * streams + 32)
    wanted = max(2 * streams, int(trial.per_s * seconds))
    found = _h2load_some(ask, wanted)
    return Run(found.requests, found.seconds, found.p50_us, found.p99_us, found.bad, found.requests + trial.requests)


def _h2load_some(ask: Ask, count: int) -> Run:
    with tempfile.NamedTemporaryFile() as log:
        command = [*_pin(ask), "h2load", "-t1", f"-c{ask.connections}", f"-m{ask.streams}", f"-n{count}"]
        command += [f"-d{ask.body}", "-H", "content-type: application/grpc", "-H", "te: trailers"]
        command += [f"--log-file={log.name}", f"{ask.url}{METHOD_PATH}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        lines = [line.split() for line in Path(log.name).read_text().splitlines()]
    good = [(int(start), int(taken)) for start, status, taken in lines if status == "200"]
    if not good:
        raise RuntimeError(f"h2load said: {(done.stdout + done.stderr)[-300:]}")
    taken = sorted(one for _, one in good)
    span_s = (max(start + one for start, one in good) - min(start for start, _ in good)) / 1e6
    return Run(len(good), span_s, taken[len(taken) // 2], taken[int(len(taken) * 0.99)], count - len(good), len(good))
