"""The bench itself: a copy of the endpoint, rows for it, and one step of load after the other.

Predictions are money, and those of a bench would count as the endpoint's: so it loads a copy that is in nobody's books,
with the same arms, decision and rules, and takes it down at the end. `live` loads the endpoint itself.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from payoff.bench import asks, worked
from payoff.bench.report import Report
from payoff.bench.step import Step
from payoff.bench.tally import merged, percentile_us
from payoff.client.client import Client
from payoff.errors import ModelFailed, PayoffError, Unavailable
from payoff.records.names import drill_of

RECORDED_MAX = 200  # rows that were recorded, taken where none are given
PATIENCE_S = 60.0  # over the time of a step
_LEFT_OUT = (
    "guards",
    "ramp",
    "allocate",
    "explore",
    "matures",
    "no_outcome",
)  # nothing may change while it is measured
Say = Callable[[str], None]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to load with. `rows` of one request; `rate` in requests per second, None asks as fast as answers come."""

    protocol: str = "json"
    rows: int = 1
    connections: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    seconds: float = 3.0
    max_seconds: float = 60.0
    rate: float | None = None
    live: bool = False
    clients: int = 1  # processes that load


@dataclass(frozen=True, slots=True)
class Target:
    """Where the requests go, ready made, and which processes answer them, if they can be seen."""

    host: str
    port: int
    tls: bool
    grpc: bool
    key: str | None
    requests: list[str]  # base64
    pids: list[int]


def bench(
    client: Client, endpoint: str, wanted: Wanted, records: Sequence[Record] = (), key: str | None = None,
    say: Say = lambda _: None,
) -> Report:  # fmt: skip
    """Load an endpoint and say what it carries. Ctrl-C, or `max_seconds`, ends with what was measured so far.

    Without `records` it takes the latest recorded rows, else the endpoint's example. BadInput where they do not fit,
    ModelFailed where the first step is answered by nothing but errors.
    """
    asks.check(wanted.protocol)
    told = client.endpoint(endpoint).describe()
    rows, source = (list(records), "of the file") if records else known(client, endpoint, told)
    steps: list[Step] = []
    stopped = ""
    with copied(client, told, wanted.live) as name:
        target = aim(client, name, wanted, rows, key)
        until = time.monotonic() + wanted.max_seconds
        try:
            for connections in wanted.connections:
                if time.monotonic() + wanted.seconds > until and steps:
                    stopped = f"the {wanted.max_seconds:g} s were over; --max-seconds gives more"
                    break
                steps.append(step(target, connections, wanted))
                say(f"{connections} connections: {steps[-1].rows_per_s:,.0f} rows/s")
                _expect_answers(endpoint, steps)
        except KeyboardInterrupt:
            stopped = "stopped by hand"
        memory = worked.memory_bytes(target.pids) or None
    return Report(endpoint=endpoint, protocol=wanted.protocol, rows=wanted.rows, source=source, live=wanted.live,
                  rate=wanted.rate, clients=wanted.clients, workers=len(_workers(client)), cores=_cores(target),
                  memory_bytes=memory, steps=tuple(steps), stopped=stopped, **_price(client))  # fmt: skip


def _expect_answers(endpoint: str, steps: Sequence[Step]) -> None:
    if len(steps) == 1 and not steps[0].answered:
        raise ModelFailed(f"{endpoint} answered none of {steps[0].failed:,} requests: {steps[0].why or 'silence'}")


def known(client: Client, endpoint: str, told: dict[str, Any]) -> tuple[list[Record], str]:
    """Rows that the endpoint was asked before; one made from its sample where there are none."""
    names = [one["name"] for one in told["signature"]["inputs"]]
    found = [one["inputs"] for one in client.endpoint(endpoint).predictions(RECORDED_MAX) if one["inputs"]]
    full = [{name: one.get(name) for name in names} for one in found if set(names) <= one.keys()]
    return (full, "that were recorded") if full else ([told["example"]], "the endpoint's example")


@contextmanager
def copied(client: Client, told: dict[str, Any], live: bool) -> Iterator[str]:
    """The name of a copy for as long as the block lasts; of the endpoint itself if it is to be live."""
    if live:
        yield told["endpoint"]
        return
    name = drill_of(told["endpoint"], f"{time.time_ns() // 1_000_000:x}")
    file = copy_of(yaml.safe_load(told["yaml"]), name)
    client.apply(yaml.safe_dump(file, sort_keys=False), reason=f"bench of {told['endpoint']}")
    try:
        yield name
    finally:
        with suppress(Unavailable):  # the server went away, and the copy with it
            client.end_drill(name)


def copy_of(file: dict[str, Any], name: str) -> dict[str, Any]:
    """The endpoint's file for its copy: all arms that live, the champion as if it did, and nothing that changes."""
    kept = {key: value for key, value in file.items() if key not in _LEFT_OUT}
    arms = {key: {said: value for said, value in arm.items() if said != "killed"}
            for key, arm in file["arms"].items()
            if not arm.get("killed") or arm.get("role", key) == "champion"}  # fmt: skip
    return {**kept, "endpoint": name, "arms": arms}


def aim(client: Client, name: str, wanted: Wanted, rows: Sequence[Record], key: str | None) -> Target:
    """The requests for an endpoint's door."""
    told = client.endpoint(name).describe()
    grpc = wanted.protocol == asks.GRPC
    address = told["urls"].get("grpc" if grpc else "predict")
    if address is None:
        raise Unavailable("this payoff has no gRPC door; start it with `payoff up --grpc HOST:PORT`")
    door, fields = urlsplit(address), told["signature"]["inputs"]
    tls = door.scheme in ("https", "grpcs")
    host, port = door.hostname or "", door.port or (443 if tls else 80)
    made = (asks.messages(name, fields, rows, wanted.rows) if grpc else
            asks.requests(wanted.protocol, name, fields, rows, wanted.rows, door.netloc, key))  # fmt: skip
    encoded = [base64.b64encode(one).decode() for one in made]
    return Target(host, port, tls, grpc, key, encoded, worked.family(_workers(client)))


def _workers(client: Client) -> list[int]:
    return [part["pid"] for part in client.health()["parts"] if "pid" in part]


def step(target: Target, connections: int, wanted: Wanted) -> Step:
    """One step, by as many processes as are wanted."""
    clients = min(wanted.clients, connections)
    shares = [connections // clients + (place < connections % clients) for place in range(clients)]
    jobs = [_job(target, wanted, share, place == 0, clients) for place, share in enumerate(shares)]
    running = [_start() for _ in jobs]
    try:
        found = [_finish(one, job, wanted) for one, job in zip(_told(running, jobs), jobs, strict=True)]
    finally:
        for one in running:
            one.kill()
            one.wait()
    counts = merged({int(us): n for us, n in one["counts"].items()} for one in found)
    answered, failed = (sum(one[name] for one in found) for name in ("answered", "failed"))
    seconds = max(one["seconds"] for one in found)
    return Step(
        connections=connections, seconds=seconds, answered=answered, failed=failed, rows=wanted.rows,
        p50_us=percentile_us(counts, 0.5), p90_us=percentile_us(counts, 0.9), p99_us=percentile_us(counts, 0.99),
        max_us=max((one["slowest_us"] for one in found), default=0) or None, cpu_s=found[0]["workers_s"],
        client_cores=sum(one["client_s"] for one in found) / seconds,
        unsent=sum(one["unsent"] for one in found), why=next((one["why"] for one in found if one["why"]), ""),
    )  # fmt: skip


def _job(target: Target, wanted: Wanted, share: int, first: bool, clients: int) -> dict[str, Any]:
    return {
        "host": target.host, "port": target.port, "tls": target.tls, "grpc": target.grpc, "key": target.key,
        "requests": target.requests,
        "connections": share, "seconds": wanted.seconds, "rate": wanted.rate and wanted.rate / clients,
        "pids": target.pids if first else [],
    }  # fmt: skip


def _start() -> "subprocess.Popen[bytes]":
    """A process that loads; Ctrl-C is for us, not for it."""
    command = [sys.executable, "-m", "payoff.bench.load"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)  # noqa: S603


def _told(
    running: Sequence["subprocess.Popen[bytes]"], jobs: Sequence[dict[str, Any]]
) -> list["subprocess.Popen[bytes]"]:
    """Each has heard its job."""
    for one, job in zip(running, jobs, strict=True):
        assert one.stdin is not None  # noqa: S101
        one.stdin.write(json.dumps(job).encode() + b"\n")
        one.stdin.flush()
    return list(running)


def _finish(one: "subprocess.Popen[bytes]", job: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    try:
        said, wrong = one.communicate(timeout=wanted.seconds + PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"the load on {job['host']}:{job['port']} did not come to an end; try again") from error
    if one.returncode:
        words = wrong.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"the load on {job['host']}:{job['port']} failed: {words[-1] if words else one.returncode}")
    found: dict[str, Any] = json.loads(said)
    return found


def _cores(target: Target) -> int | None:
    """How many this machine has, if the workers are on it."""
    import os

    return len(os.sched_getaffinity(0)) if target.pids else None


def _price(client: Client) -> dict[str, Any]:
    """What a core-hour costs, and in what."""
    try:
        found = client.costs(since="1h")
    except PayoffError:
        return {}
    return {"core_hour": found["rates"]["core_hour"], "currency": found["currency"]}
