"""payoff's door beside its rivals, in one run: one core for the server, one for the client, the same models and rows.

    python -m benchmarks.door [--seconds 2] [--repeats 3] [--minutes 11] [--only WORDS] [--keep]

Servers run side by side, each pinned to core 0 and idle unless it is asked; wrk (h2load for gRPC) loads one after the
other from core 1, case by case, and all of it again for every repeat, so that a machine that changes its pace changes
it for all. Medians of the repeats. A run in which others computed more than 0.1 cores is done again, up to four times
while there is time, and the quietest counts; `others` is what the median run saw. Every server is asked every request
once before, and must answer what the model's own framework answers. `CPU s per 1,000` is that of all processes of the
server. payoff is a worker without its control plane, journaling every row unless it says "journal off"; with
scikit-learn its rows are records of 30 named columns on /predict, the rivals' one tensor. Start and memory of payoff
are those of `payoff up` with one small model. No rival records anything. What there is after --minutes, or Ctrl-C, is
kept.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

import payoff
from benchmarks import answers, artefacts, goals, loading, machine, servers
from benchmarks.goals import (
    FASTAPI,
    GRPC_AIO,
    MOSEC,
    NATIVE,
    OFF,
    ONE,
    PAYOFF,
    SKETCH,
    SKETCH_GRPC,
    TWO,
    Row,
)  # fmt: skip
from payoff.demo.server import running

CLIENT_CORE = 1
STARTS = 3
WARM_S = 0.5
PATIENCE_S = 60.0
RIVAL_PACKAGES = {
    "fastapi": ("fastapi", "pydantic", "uvicorn", "onnxruntime"),
    "mosec": ("mosec", "onnxruntime"),
    "floors": ("grpcio", "hpack", "onnxruntime"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One shape of request, and who is asked it."""

    name: str
    model: str
    rows: int
    form: str  # json | binary | grpc
    connections: int
    servers: tuple[str, ...]
    streams: int = 1


HTTP = (PAYOFF, FASTAPI, MOSEC, SKETCH)
RPC = (PAYOFF, OFF, GRPC_AIO, SKETCH_GRPC)
CASES = (
    Case(goals.JSON_1, "tabular", 1, "json", 1, HTTP),
    Case(goals.JSON_32, "tabular", 1, "json", 32, (PAYOFF, OFF, FASTAPI, MOSEC, SKETCH)),
    Case(goals.BINARY_1, "tabular", 1, "binary", 1, (PAYOFF, SKETCH)),
    Case(goals.BINARY_32, "tabular", 1, "binary", 32, (PAYOFF, OFF, SKETCH)),
    Case(goals.GRPC_32, "tabular", 1, "grpc", 32, RPC),
    Case(goals.GRPC_STREAMS, "tabular", 1, "grpc", 1, (PAYOFF, GRPC_AIO, SKETCH_GRPC), 32),
    Case(goals.NETWORK_JSON, "network", 1, "json", 32, HTTP),
    Case(goals.NETWORK_BINARY, "network", 1, "binary", 32, (PAYOFF, SKETCH)),
    Case(goals.SKLEARN, "pipeline", 1, "json", 32, (PAYOFF, NATIVE, FASTAPI, MOSEC, SKETCH)),
    Case(goals.ROWS_64, "tabular", 64, "json", 8, HTTP),
    Case(goals.ROWS_1000, "tabular", 1_000, "json", 8, HTTP),
    Case(goals.BINARY_1000, "tabular", 1_000, "binary", 8, (PAYOFF, SKETCH)),
)
CORES = (  # the client takes one of them with requests of one row, and a small part with larger ones
    Case(goals.CORES, "tabular", 1, "json", 64, (ONE, TWO)),
    Case(goals.CORES_64, "tabular", 64, "json", 16, (ONE, TWO)),
)


@dataclass
class Bench:
    """The models, the servers that run, and what was measured so far."""

    folder: Path
    made: artefacts.Made
    running: dict[str, servers.Server]
    runs: dict[tuple[str, str], list[loading.Run]]
    facts: list[Row]
    seconds: float
    until: float  # of time.monotonic: nothing new is begun then, and nothing done again long before
    right: dict[tuple[str, int], NDArray[Any]] = field(default_factory=dict)  # answers, by model and rows

    @cached_property
    def patience_until(self) -> float:
        """Until when noisy runs are done again: half of the time is for that at most."""
        return (time.monotonic() + self.until) / 2

    def ask(self, case: Case, server: str) -> loading.Ask:
        """The request of a case as this server takes it."""
        own = server == NATIVE or (server == PAYOFF and case.model == "pipeline")
        rows, one = self.made.take(case.model, case.rows), self.running[server]
        body, path, headers = self._said(case, rows, own, server)
        file = self.folder / f"{case.model}-{case.rows}-{case.form}{'-records' if own else ''}.body"
        file.write_bytes(body)
        grpc = case.form == "grpc"
        url = one.grpc_url if grpc else one.url + path
        core = None if case in CORES else CLIENT_CORE
        return loading.Ask(url, file, case.connections, headers, grpc, case.streams, core)

    def _said(self, case: Case, rows: artefacts.Floats, own: bool, server: str) -> tuple[bytes, str, str]:
        """Body, path and headers."""
        plain = "content-type=application/json"
        if own:
            name = "pipeline-native" if server == NATIVE else "pipeline"
            return artefacts.records_body(rows), f"/predict/{name}", plain
        path = f"/v2/models/{case.model}/infer"
        if case.form == "grpc":
            return artefacts.grpc_body(rows, case.model), "", ""
        if case.form == "json":
            return artefacts.json_body(rows), path, plain
        body, head_bytes = artefacts.binary_body(rows)
        return body, path, f"content-type=application/octet-stream;inference-header-content-length={head_bytes}"

    def check(self, case: Case, server: str) -> str:
        """What is wrong with the server's answer to a case, if anything is."""
        if server not in self.running:
            return "is not running"
        if case.form == "grpc" and not self.running[server].grpc_url:
            return "has no gRPC door"
        ask = self.ask(case, server)
        headers = dict(pair.split("=") for pair in ask.headers.split(";") if pair)
        asked = (case.model, case.rows)
        if asked not in self.right:
            self.right[asked] = artefacts.expected(self.made, *asked)
        try:
            answers.check(ask.url, ask.body.read_bytes(), headers, case.model, self.right[asked], ask.grpc)
        except (OSError, ValueError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def load(self, case: Case, server: str) -> None:
        """One more run of a case."""
        known, ask = self.runs.setdefault((case.name, server), []), self.ask(case, server)
        one = self.running[server]
        if not known:
            loading.watched(ask, WARM_S, one.cpu_s)
        known.append(loading.quietly(ask, self.seconds, one.cpu_s, self.patience_until))
        run = known[-1]
        print(f"{case.name:55} {server:20} {run.per_s:10,.0f}/s  p50 {run.p50_us:8,.0f}  p99 {run.p99_us:8,.0f}  "
              f"CPU {run.cpu_s_per_1000:.4f}  others {run.others:.2f}", flush=True)  # fmt: skip

    def rows(self) -> list[Row]:
        """Medians, case by case."""
        return [*self.facts, *(row(case, server, runs) for (case, server), runs in self.runs.items() if runs)]


def row(case: str, server: str, runs: Sequence[loading.Run]) -> Row:
    """One line of the table."""

    def middle(figure: Callable[[loading.Run], float]) -> float:
        return statistics.median(map(figure, runs))

    return {
        "case": case, "server": server, goals.PER_S: round(middle(lambda run: run.per_s)),
        goals.P50: round(middle(lambda run: run.p50_us)), goals.P99: round(middle(lambda run: run.p99_us)),
        goals.CPU: round(middle(lambda run: run.cpu_s_per_1000), 5), "failed": sum(run.bad for run in runs),
        "others": round(middle(lambda run: run.others), 3), "runs": len(runs),
    }  # fmt: skip


def deploy(made: artefacts.Made, home: Path) -> None:
    """A home with all three models, the pipeline both converted and as it is."""
    with running(home, workers=1) as server, payoff.connect(server.api) as client:
        for model in ("tabular", "network"):
            client.deploy(str(made.path(model)), name=model)
        sample = pd.DataFrame(made.take("pipeline", 100))
        for name, native in (("pipeline", False), ("pipeline-native", True)):
            client.deploy(str(made.path("pipeline")), name=name, sample=sample, native=native)


@contextmanager
def everybody(bench: Bench, wanted: set[str]) -> Iterator[None]:
    """All servers, each on its ports."""
    with ExitStack() as stack:
        for name, module in ((PAYOFF, "payoff.gateway.worker"), (OFF, "benchmarks.unrecorded_worker")):
            if name in wanted:
                home = bench.folder / f"home-{module}"
                shutil.copytree(bench.folder / "home", home)
                worker = servers.payoff_worker(name, home, module, bench.folder / "log")
                bench.running[name] = stack.enter_context(worker)
        if PAYOFF in wanted:
            bench.running[NATIVE] = bench.running[PAYOFF]
        for name in servers.RIVALS_KNOWN.keys() & wanted:
            join(bench, name, stack)
        yield


def join(bench: Bench, name: str, stack: ExitStack) -> None:
    """Start a rival, and note how long it took and what it holds; one that does not come is left out."""
    began = time.monotonic()
    try:
        bench.running[name] = stack.enter_context(servers.rival(name, bench.made.folder, bench.folder / "log"))
        wait(bench, name)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{name} is left out: {error}", flush=True)
        bench.running.pop(name, None)
        return
    took = None if servers.RIVALS_KNOWN[name].grpc else time.monotonic() - began  # asking gRPC takes longer than that
    memory = bench.running[name].rss_mb()
    bench.facts.append({"case": goals.HOUSE, "server": name, goals.START: took, goals.MEMORY: memory})


def wait(bench: Bench, name: str) -> None:
    """Until a server answers rightly; TimeoutError if that does not come."""
    case, until = next(one for one in (*CASES, *CORES) if name in one.servers), time.monotonic() + PATIENCE_S
    while wrong := bench.check(case, name):
        if time.monotonic() > until:
            raise TimeoutError(f"{name} does not answer: {wrong}")
        time.sleep(0.01)


def start_and_memory(bench: Bench) -> None:
    """`payoff up` with one small model: to the first right answer, and the worker's memory when nothing asks it."""
    home, starts, memory = bench.folder / "small", [], []
    with running(home, workers=1) as server, payoff.connect(server.api) as client:
        client.deploy(str(bench.made.path("tabular")), name="tabular")
    for _ in range(STARTS):
        began = time.monotonic()
        with servers.payoff_up(PAYOFF, home, bench.folder / "log") as one:
            bench.running[PAYOFF] = one
            wait(bench, PAYOFF)
            starts.append(time.monotonic() - began)
            time.sleep(1)
            memory.append(servers.worker_rss_mb(one.pid))
    del bench.running[PAYOFF]
    bench.facts.append({"case": goals.HOUSE, "server": PAYOFF, goals.START: statistics.median(starts),
                        goals.MEMORY: statistics.median(memory)})  # fmt: skip


@contextmanager
def one_and_two(bench: Bench) -> Iterator[None]:
    """`payoff up` with one worker and with two, free on all cores."""
    with ExitStack() as stack:
        for name, workers in ((ONE, 1), (TWO, 2)):
            home = bench.folder / f"home-{workers}"
            shutil.copytree(bench.folder / "small", home)
            bench.running[name] = stack.enter_context(servers.payoff_up(name, home, bench.folder / "log", workers))
            wait(bench, name)
        yield


def all_of(bench: Bench, cases: Sequence[Case], repeats: int) -> None:
    """Every case with every server that answers it rightly, again and again."""
    able = []
    for case in cases:
        for server in case.servers:
            if wrong := bench.check(case, server):
                print(f"{case.name}: {server} is left out: {wrong}", flush=True)
            else:
                able.append((case, server))
    for repeat in range(repeats):
        for case, server in able:
            if repeat and time.monotonic() > bench.until:
                return
            try:
                bench.load(case, server)
            except (RuntimeError, subprocess.TimeoutExpired) as error:  # the others are measured all the same
                print(f"{case.name}: {server}: {error}", flush=True)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2, help="of one run; whole ones")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=11, help="after which nothing new is begun")
    parser.add_argument("--only", default="", help="cases whose name has one of these words, comma between; for trying")
    parser.add_argument("--keep", action="store_true", help="write the results of such a part too")
    options = parser.parse_args()
    loading.require("wrk", "h2load", "taskset")
    os.environ.setdefault("PAYOFF_ENVIRONMENTS", str(servers.ROOT / ".environments"))  # made once, for all runs
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    began, about = time.monotonic(), machine.describe()
    words = [word.strip() for word in options.only.split(",")]
    cases = [case for case in (*CASES, *CORES) if any(word in case.name for word in words)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bench = Bench(folder, artefacts.make(folder), {}, {}, [], options.seconds, began + options.minutes * 60)
        try:
            measure(bench, cases, options.repeats, about)
        except (KeyboardInterrupt, SystemExit, OSError) as error:
            about["stopped"] = str(error) or "by hand"
            print(f"stopped: {about['stopped']}\n{log_end(folder / 'log')}", flush=True)
        finally:
            finish(bench, about, began, not options.only or options.keep)


def log_end(log: Path) -> str:
    """The last words of the servers."""
    return log.read_text(errors="replace")[-1_500:] if log.exists() else ""


def measure(bench: Bench, cases: Sequence[Case], repeats: int, about: dict[str, Any]) -> None:
    """The whole tree first, while nobody else is there; then one worker beside all others."""
    wanted = {server for case in cases for server in case.servers}
    for name in {servers.RIVALS_KNOWN[one].environment for one in servers.RIVALS_KNOWN.keys() & wanted}:
        with suppress(OSError, subprocess.CalledProcessError):
            about.setdefault("rivals", {})[name] = servers.versions(name, RIVAL_PACKAGES[name])
    start_and_memory(bench)
    if free := [case for case in cases if case in CORES]:
        try:
            with one_and_two(bench):
                all_of(bench, free, repeats)
        except OSError as error:
            print(f"one worker and two: {error}", flush=True)
    pinned = [case for case in cases if case not in CORES]
    if pinned:
        deploy(bench.made, bench.folder / "home")
        with everybody(bench, wanted):
            all_of(bench, pinned, repeats)


def finish(bench: Bench, about: dict[str, Any], began: float, keep: bool) -> None:
    """Print both tables, and keep them."""
    rows = bench.rows()
    judged = goals.judged(rows)
    print(f"\n{machine.table(judged)}\n")
    about["minutes"] = round((time.monotonic() - began) / 60, 1)
    if keep:
        machine.write("door", (__doc__ or "").strip(), rows, about, goals=judged)
    else:
        print(machine.table(rows))


if __name__ == "__main__":
    main()
