"""A bench on a real payoff: what it says, what it leaves behind, and how it refuses."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import payoff
from payoff.bench.asks import PROTOCOLS
from payoff.bench.bench import Wanted, bench, copy_of
from payoff.bench.load import WARM_S
from payoff.bench.report import Report, figures
from payoff.bench.step import Step
from payoff.client.client import Client
from payoff.demo.server import Server, running
from payoff.errors import BadInput, ModelFailed, NotFound
from tests.shared import PATIENCE_S

SHORT = Wanted(connections=(1, 4), seconds=0.3)
ROW = {"score": 0.3, "kind": "new", "since": "2026-01-02"}
Say = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("bench") / "home", workers=1) as found:
        yield found


@pytest.fixture(scope="module")
def house(server: Server) -> Client:
    """A payoff with an endpoint that decides."""
    client = payoff.connect(server.api)
    inputs = {"score": "float64", "kind": "text", "since": "date"}
    client.deploy(payoff.rule("inputs.score", inputs=inputs, output="probability"), name="loans")
    client.apply("endpoint: loans\narms: {champion: {model: loans, version: 1}}\ndecision: outputs.probability > 0.5\n"
                 "guards: [{when: errors, above: 5%, do: kill}]\nfallback: {decision: false}\n")  # fmt: skip
    return client


@pytest.fixture
def say(server: Server) -> Say:
    """Runs the command as a person does."""

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "payoff.cli.main", "bench", *words, "--url", server.api]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)

    return run


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_carries_rows_of_every_type(house: Client, protocol: str) -> None:
    found = bench(house, "loans", replace(SHORT, protocol=protocol, rows=3), [ROW])
    assert [one.failed for one in found.steps] == [0, 0], found.steps[0].why
    assert all(one.answered > 0 and one.p99_us for one in found.steps)
    assert found.knee is not None


def test_a_bench_leaves_the_endpoint_and_its_books_as_they_were(house: Client) -> None:
    before = house.endpoint("loans").describe()
    bench(house, "loans", SHORT, [ROW])
    assert house.endpoint("loans").describe() == before
    assert house.endpoint("loans").predictions(10) == []
    assert [one["endpoint"] for one in house.endpoints()] == ["loans"]


def test_the_copy_is_gone_when_it_went_wrong(house: Client) -> None:
    with pytest.raises(ModelFailed, match="score"):
        bench(house, "loans", SHORT, [{**ROW, "score": "high"}])
    answering = house.sql_rows("select 1")
    assert answering["rows"] == [[1]]
    assert [one["endpoint"] for one in house.endpoints()] == ["loans"]


def test_cpu_memory_and_cost_of_workers_on_this_machine_are_known(house: Client) -> None:
    found = bench(house, "loans", replace(SHORT, seconds=1.0, connections=(8,)), [ROW])
    knee = found.knee
    assert knee is not None
    assert knee.cpu_s_per_1000
    assert found.per_million
    assert found.memory_bytes
    assert "A million predictions take" in "\n".join(found.lines())


def test_live_is_recorded_as_the_endpoints_own(house: Client) -> None:
    house.deploy(payoff.rule("inputs.score", inputs={"score": "float64"}, output="p"), name="lively")
    found = bench(house, "lively", replace(SHORT, live=True))
    assert found.source == "the endpoint's example"
    assert house.endpoint("lively").predictions(5)
    assert bench(house, "lively", SHORT).source == "that were recorded"


def test_a_rate_is_kept_whatever_the_connections_do(house: Client) -> None:
    found = bench(house, "loans", replace(SHORT, rate=100.0, connections=(4,), seconds=1.0), [ROW])
    assert (
        0 < found.steps[0].answered <= 100 * (WARM_S + found.steps[0].seconds) + 1
    )  # what was due before may come late
    assert "counted from when each request was due" in "\n".join(found.lines())


def test_when_the_time_is_over_it_ends_with_what_was_measured(house: Client) -> None:
    found = bench(house, "loans", replace(SHORT, max_seconds=0.4), [ROW])
    assert len(found.steps) == 1
    assert "--max-seconds gives more" in found.stopped


def test_the_load_is_shared_by_processes(house: Client) -> None:
    found = bench(house, "loans", replace(SHORT, clients=2, connections=(5,)), [ROW])
    assert found.steps[0].answered > 0


def test_a_protocol_or_an_endpoint_that_is_not_there_is_named_before_anything_is_copied(house: Client) -> None:
    with pytest.raises(BadInput, match="'morse' is no protocol to load with; there are: json"):
        bench(house, "loans", replace(SHORT, protocol="morse"))
    with pytest.raises(NotFound, match="loans"):
        bench(house, "nobody", SHORT)


def test_as_a_person_sees_it(house: Client, say: Say) -> None:
    done = say("loans", "--seconds", "0.3", "--connections", "1,2")
    assert done.returncode == 0, done.stderr
    assert "connections  rows/s" in done.stdout
    assert "worker carries about" in done.stdout


def test_with_json_it_is_one_document(house: Client, say: Say, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("score,kind,since\n0.1,new,2026-01-02\n0.9,old,2025-01-02\n")
    done = say("loans", "--file", str(tmp_path / "rows.csv"), "--seconds", "0.3", "--connections", "2", "--json")
    found = json.loads(done.stdout)
    assert found["source"] == "of the file"
    assert found["knee_connections"] == 2
    assert found["steps"][0]["failed"] == 0


def heed() -> None:
    """What a shell starts in the background is deaf to Ctrl-C, and so would be what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_with_what_was_measured_so_far(house: Client, server: Server) -> None:
    before = house.endpoints()
    command = [sys.executable, "-m", "payoff.cli.main", "bench", "loans", "--seconds", "1", "--url", server.api]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stderr is not None
    assert "1 connections" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert "Stopped by hand." in said
    assert "worker carries about" in said
    assert [one["endpoint"] for one in house.endpoints()] == [one["endpoint"] for one in before]


@pytest.mark.parametrize(("words", "wrong"), [
    pytest.param(("loans", "--connections", "1,many"), "write numbers up to", id="connections that are no numbers"),
    pytest.param(("loans", "--connections", "0"), "write numbers up to", id="no connections"),
    pytest.param(("loans", "--file", "no.csv"), "cannot read no.csv", id="no file"),
    pytest.param(("loans", "--file", "pyproject.toml"), "no format for '.toml'", id="no rows"),
])  # fmt: skip
def test_wrong_usage_is_one_line(house: Client, say: Say, words: tuple[str, ...], wrong: str) -> None:
    done = say(*words)
    assert done.returncode == 1
    assert wrong in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_copy_has_the_arms_that_live_and_nothing_that_changes_by_itself() -> None:
    file: dict[str, Any] = {
        "endpoint": "e", "decision": "outputs.p > 0.5", "guards": [{}], "ramp": {}, "explore": "2%",
        "arms": {"champion": {"model": "m", "version": 1, "killed": True}, "next": {"model": "m", "role": "shadow"},
                 "challenger": {"model": "m", "version": 2, "killed": True}},
    }  # fmt: skip
    assert copy_of(file, "e.drill-1") == {
        "endpoint": "e.drill-1", "decision": "outputs.p > 0.5",
        "arms": {"champion": {"model": "m", "version": 1}, "next": {"model": "m", "role": "shadow"}},
    }  # fmt: skip


def report(*steps: Step, **more: Any) -> Report:
    said: dict[str, Any] = {"endpoint": "e", "protocol": "json", "rows": 1, "source": "", "live": False, "rate": None,
                            "clients": 1, "workers": 1, "cores": 4, "memory_bytes": None}  # fmt: skip
    return Report(**said | more, steps=steps)


def step(connections: int, answered: int, **more: Any) -> Step:
    said: dict[str, Any] = {"failed": 0, "rows": 1, "p50_us": 100, "p90_us": 200, "p99_us": 900, "max_us": 1_000}
    return Step(connections, 1.0, answered, **said | more)


@pytest.mark.parametrize(("found", "advice"), [
    pytest.param(report(step(1, 100), step(2, 200)), "try more than 2 --connections", id="it grows"),
    pytest.param(report(step(1, 100, cpu_s=0.95), step(2, 100)), "--workers 4", id="cores are left"),
    pytest.param(report(step(1, 100, cpu_s=3.9), step(2, 100), workers=4), "takes more cores", id="none is left"),
    pytest.param(report(step(1, 100, cpu_s=6.0), step(2, 100), workers=4), "--threads 1", id="threads"),
    pytest.param(report(step(1, 100, cpu_s=0.2), step(2, 100)), "the workers are not busy", id="they wait"),
    pytest.param(report(step(1, 100, client_cores=0.99)), "--clients", id="the load was at its limit"),
    pytest.param(report(step(1, 100, failed=1, why="full")), "the first was told: full", id="failures"),
    pytest.param(report(step(1, 100, unsent=7), rate=200.0), "more than is carried", id="a rate that is too much"),
])  # fmt: skip
def test_advice_follows_from_the_figures(found: Report, advice: str) -> None:
    assert advice in "\n".join(found.lines())


def test_what_cannot_be_seen_is_said() -> None:
    assert "CPU and memory are unknown" in "\n".join(report(step(1, 100), cores=None).lines())
    assert "Nothing was carried" in "\n".join(report(step(1, 0, failed=5)).lines())


@pytest.mark.parametrize(("value", "said"), [(0.0000186, "0.0000186"), (38.94, "38.9"), (81_234.5, "81,234"), (0, "0")])
def test_figures_are_written_out(value: float, said: str) -> None:
    assert figures(value) == said
