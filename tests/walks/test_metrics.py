"""What operators see: counts that are right to the call, whoever dies; slow calls; traces; the dashboard."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

import payoff
from payoff.cli.dashboard import made
from payoff.demo.server import Server, running, wait
from payoff.store import live
from tests.shared import until
from tests.walks import models

OPEN_METRICS: Any = open_metrics
PROMETHEUS: Any = prometheus
pytestmark = pytest.mark.slow
STAGES = ("queue", "read", "run", "journal", "write")
ACCEPT = {"accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"}


def scraped(url: str) -> dict[str, float]:
    """Every sample of a scrape, as `name{label=value,...}`, in OpenMetrics."""
    reply = httpx.get(f"{url}/metrics", headers=ACCEPT, timeout=120)
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    return {
        sample.name + "{" + ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items())) + "}": sample.value
        for family in OPEN_METRICS(reply.text)
        for sample in family.samples
    }


def total(found: dict[str, float], name: str, *labels: str) -> float:
    """The sum of the samples of a metric that have these labels."""
    return sum(
        value for key, value in found.items() if key.startswith(name + "{") and all(one in key for one in labels)
    )


def answered(url: str, name: str = "times") -> float:
    return total(scraped(url), "payoff_requests_total", f"endpoint={name}", "status=ok")


def counted(server: Server, calls: int) -> None:
    """Wait until both doors say so many; a call is counted right after its answer has left."""

    def told() -> list[float]:
        return [answered(server.inference), answered(server.api)]

    until(lambda: told() == [calls, calls], f"{calls} calls are counted")


def post(url: str, **how: Any) -> httpx.Response:
    return httpx.post(url, timeout=120, **how)


def ask(client: httpx.Client, url: str, rows: int, name: str = "times") -> None:
    reply = client.post(f"{url}/predict/{name}", json=[{"x": number} for number in range(rows)])
    assert reply.status_code == 200, reply.text


def load(url: str, calls: int, rows: int, threads: int = 8, name: str = "times") -> None:
    """So many calls of each of the threads, all of them answered; each call comes on a connection of its thread's."""

    def run(_: int) -> None:
        with httpx.Client(timeout=120) as client:
            for _ in range(calls):
                ask(client, url, rows, name)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))


def pids(home: Path) -> dict[int, int]:
    return {status.worker: status.pid for status in live.statuses(home)}


def pid_of(home: Path, index: int) -> int:
    """The process of a worker, as soon as it says which."""
    until(lambda: index in pids(home), f"worker {index} reports")
    return pids(home)[index]


def deploy(server: Server, folder: Path, factor: float = 2, as_: str | None = None, name: str = "times") -> None:
    payoff.connect(server.api).deploy(str(models.saved(folder, factor)), name=name, as_=as_)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A payoff with two workers, for tests that have endpoints of their own there."""
    with running(tmp_path_factory.mktemp("metrics") / "home", workers=2) as found:
        yield found


def test_every_call_is_counted_once_on_every_door_though_workers_are_killed(
    home: Path, tmp_path: Path, server: Server
) -> None:
    deploy(server, tmp_path)
    asked = 0
    for victim in (0, 1, 0):
        load(server.inference, calls=40, rows=3)
        asked += 320
        counted(server, asked)
        before = pid_of(home, victim)
        os.kill(before, signal.SIGKILL)
        until(
            lambda before=before, victim=victim: pids(home).get(victim, before) != before,  # type: ignore[misc]
            "the worker comes back",
        )
        assert answered(server.inference) == answered(server.api) == asked
    found = scraped(server.api)
    assert total(found, "payoff_rows_total", "endpoint=times") == 3 * asked
    assert total(found, "payoff_request_seconds_count", "endpoint=times") == asked
    assert total(found, "payoff_stage_seconds_count", "endpoint=times", "stage=run") == asked
    assert total(found, "nv_inference_count", "model=times") == 3 * asked
    assert total(found, "request_predict_seconds_count", "model_name=times") == asked
    assert total(found, "payoff_batch_rows_sum", "endpoint=times") == 3 * asked
    assert 0 < total(found, "payoff_batch_rows_count", "endpoint=times") <= asked


def test_stages_add_up_to_the_latency(both: Server, tmp_path: Path) -> None:
    deploy(both, tmp_path, name="staged")
    load(both.inference, calls=20, rows=2, name="staged")
    found: dict[str, float] = {}

    def counted_whole() -> bool:  # one number after the other, right after the answers have left
        found.update(scraped(both.inference))
        stages = [total(found, "payoff_stage_seconds_count", "endpoint=staged", f"stage={one}") for one in STAGES]
        return [total(found, "payoff_request_seconds_count", "endpoint=staged"), *stages] == [160] * 6

    until(counted_whole, "every call is counted, and each of its stages")
    latency = total(found, "payoff_request_seconds_sum", "endpoint=staged")
    assert latency == pytest.approx(total(found, "payoff_stage_seconds_sum", "endpoint=staged"))
    assert latency > total(found, "payoff_stage_seconds_sum", "endpoint=staged", "stage=run") > 0


def test_calls_without_an_answer_are_counted_by_what_went_wrong(both: Server, tmp_path: Path) -> None:
    deploy(both, tmp_path, name="amiss")
    url = both.inference
    for _ in range(3):
        assert post(f"{url}/predict/amiss", json=[{"x": "no number"}]).status_code == 400
    assert post(f"{url}/predict/amiss", content=b"{", headers={"content-type": "text/plain"}).status_code == 415
    assert post(f"{url}/predict/amiss", json=[], headers={"accept": "image/png"}).status_code == 406
    for name in ("nobody", "somebody", "x" * 60):
        assert post(f"{url}/predict/{name}", json=[{"x": 1}]).status_code == 404

    def told(*labels: str) -> float:
        return total(scraped(url), "payoff_requests_total", *labels)

    until(lambda: told("endpoint=amiss", "status=bad_input") == 5, "every refused call is counted")
    until(lambda: told("endpoint=,", "status=not_found") == 3, "every call to nobody is counted")
    assert not any("nobody" in key for key in scraped(url))
    assert told("endpoint=amiss") == 5


def test_prometheus_own_format_is_what_others_get(both: Server) -> None:
    reply = httpx.get(f"{both.inference}/metrics", timeout=120)
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {family.name for family in PROMETHEUS(reply.text)} >= {"payoff_connections_open", "payoff_models_hot"}


def test_every_metric_of_the_dashboard_is_in_a_scrape(both: Server, tmp_path: Path) -> None:
    deploy(both, tmp_path, name="shown")
    deploy(both, tmp_path, factor=3, as_="shadow", name="shown")
    load(both.inference, calls=5, rows=1, name="shown")
    queries = [target["expr"] for panel in made()["panels"] for target in panel.get("targets", [])]
    named = {name for query in queries for name in re.findall(r"\b(payoff_\w+)", query)}
    assert len(named) > 20
    until(lambda: total(scraped(both.api), "payoff_shadow_rows_total") == 40, "the shadow has seen every row")
    there = {family.name for family in PROMETHEUS(httpx.get(f"{both.api}/metrics", timeout=120).text)}
    there |= {f"{name}{ending}" for name in there for ending in ("_total", "_bucket", "_sum", "_count")}
    assert named - there == set()


def test_a_scrape_asks_for_the_key_as_every_path_does(home: Path) -> None:
    with up(home, PAYOFF_KEY="secret") as server:
        for url in (f"{server.inference}/metrics", f"{server.api}/metrics"):
            assert httpx.get(url, timeout=120).status_code == 401
            assert httpx.get(url, headers={"authorization": "Bearer secret"}, timeout=120).status_code == 200


# -- the log


@contextmanager
def up(home: Path, *flags: str, **environment: str) -> Iterator[Server]:
    """`payoff up` with one worker and these flags; what it says is in HOME/server.log."""
    doors = ["--http", "127.0.0.1:0", "--grpc", "none", "--console", "127.0.0.1:0", "--workers", "1"]
    command = [sys.executable, "-m", "payoff.cli.main", "up", "--home", str(home), *doors, *flags]
    home.mkdir()
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
    try:
        if "PAYOFF_KEY" in environment:
            yield _knocked(home, process)
        else:
            yield wait(home, process, 120.0)
    finally:
        process.terminate()
        process.wait()


def _knocked(home: Path, process: subprocess.Popen[bytes]) -> Server:
    """The server as soon as both doors ask for the key."""
    until((home / "run" / "doors").exists, "payoff up comes up")
    found = dict(line.split() for line in (home / "run" / "doors").read_text().splitlines())
    server = Server(f"http://{found['http']}", f"http://{found['console']}", process.pid)
    for url in (server.inference, server.api):
        httpx.get(url, timeout=120)
    return server


def said(home: Path, message: str) -> list[dict[str, Any]]:
    """The lines of the JSON log with this message."""
    whole = (home / "server.log").read_text().rpartition("\n")[0]  # what follows is being written
    lines = [json.loads(line) for line in whole.splitlines()]
    return [line for line in lines if line["message"] == message]


def test_a_slow_call_is_one_line_that_says_where_its_time_went(home: Path, tmp_path: Path) -> None:
    with up(home, "--slow-ms", "0.001", "--log-format", "json") as server:
        deploy(server, tmp_path)
        with httpx.Client(timeout=120) as client:
            ask(client, server.inference, 2)
        until(lambda: said(home, "slow call"), "the slow call is in the log")
    (line,) = said(home, "slow call")
    assert (line["process"], line["logger"], line["level"]) == ("worker 0", "payoff.slow", "warning")
    assert (line["endpoint"], line["rows"], line["arm"]) == ("times", 2, "champion")
    assert line["caller"].startswith("127.0.0.1:")
    stages = sum(line[f"{stage}_ms"] for stage in ("read", "queue", "run", "journal", "write"))
    assert stages == pytest.approx(line["took_ms"], abs=0.01)


def test_a_flood_of_slow_calls_fills_no_disk_and_is_counted(home: Path, tmp_path: Path) -> None:
    with up(home, "--slow-ms", "0.001", "--log-format", "json") as server:
        deploy(server, tmp_path)
        asked = 0

        def flood() -> float:
            nonlocal asked
            load(server.inference, calls=50, rows=1, threads=4)
            asked += 200
            until(lambda: total(scraped(server.api), "payoff_slow_requests_total") == asked, "every call is counted")
            return total(scraped(server.api), "payoff_slow_requests_unlogged_total")

        until(flood, "some calls are left out of the log")
        logged = asked - total(scraped(server.api), "payoff_slow_requests_unlogged_total")
        until(lambda: len(said(home, "slow call")) >= logged, "a line for each call that was not left out")
    assert len(said(home, "slow call")) == logged


def test_every_process_logs_in_one_form(home: Path) -> None:
    with up(home, "--log-format", "json"):
        os.kill(pid_of(home, 0), signal.SIGKILL)
        until(lambda: "worker 0 ended" in (home / "server.log").read_text(), "somebody says that the worker ended")
    for line in (home / "server.log").read_text().splitlines():
        assert {"at", "level", "process", "logger", "message"} <= json.loads(line).keys()


# -- traces


class Collector(BaseHTTPRequestHandler):
    """An OpenTelemetry collector that keeps what it gets; the first request of all it turns away once."""

    spans: ClassVar[list[tuple[dict[str, Any], Any]]] = []
    busy: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.headers["content-type"] == "application/x-protobuf"
        code = self.busy.pop() if self.busy else 200
        if code == 200 and self.path == "/v1/traces":
            for one in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = attributes(one.resource.attributes)
                self.spans.extend((resource, span) for scope in one.scope_spans for span in scope.spans)
        self.send_response(code)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def attributes(found: Any) -> dict[str, Any]:
    return {one.key: _plain(one.value) for one in found}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_plain(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@pytest.fixture
def collector() -> Iterator[str]:
    Collector.spans.clear()
    Collector.busy.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_traced_call_comes_to_the_collector_with_its_stages(home: Path, tmp_path: Path, collector: str) -> None:
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    Collector.busy.append(503)
    with up(home, "--otel", collector, "--otel-share", "0", OTEL_SERVICE_NAME="scores") as server:
        deploy(server, tmp_path)
        url = f"{server.inference}/predict/times"
        headers = {"traceparent": f"00-{trace}-{span}-01", "tracestate": "rojo=00f067aa0ba902b7"}
        reply = post(url, json=[{"x": 1}, {"x": 2}], headers=headers)
        post(url, json=[{"x": 1}], headers={"traceparent": f"00-{trace}-{span}-00"})
        post(url, json=[{"x": 1}])
        post(url, json=[{"x": "no number"}], headers=headers)
        until(lambda: len(Collector.spans) >= 7, "seven spans")
        assert total(scraped(server.api), "payoff_spans_total") <= 7
    resource, server_span = Collector.spans[0]
    assert (resource["service.name"], len(Collector.spans)) == ("scores", 7)
    assert (server_span.trace_id.hex(), server_span.parent_span_id.hex()) == (trace, span)
    assert server_span.trace_state == "rojo=00f067aa0ba902b7"
    about = attributes(server_span.attributes)
    assert about["payoff.prediction_id"] == [row["prediction_id"] for row in reply.json()["predictions"]]
    assert (about["payoff.endpoint"], about["payoff.rows"], about["payoff.arm"]) == ("times", 2, ["champion"])
    stages = [one for _, one in Collector.spans[1:6]]
    assert [one.name for one in stages] == ["queue", "read", "run", "journal", "write"]
    assert all(one.parent_span_id == server_span.span_id for one in stages)
    failed = Collector.spans[6][1]
    assert failed.status.message.startswith("BadInput: ")


def test_a_trace_that_begins_here_is_found_by_the_prediction(home: Path, tmp_path: Path, collector: str) -> None:
    with up(home, "--otel", "env", OTEL_EXPORTER_OTLP_ENDPOINT=collector) as server:
        deploy(server, tmp_path)
        reply = post(f"{server.inference}/predict/times", json=[{"x": 1}])
        until(lambda: len(Collector.spans) >= 6, "six spans")
    prediction_id = reply.json()["predictions"][0]["prediction_id"]
    assert {span.trace_id.hex() for _, span in Collector.spans} == {prediction_id.replace("-", "")}


def test_a_collector_that_is_gone_costs_no_call(home: Path, tmp_path: Path) -> None:
    with up(home, "--otel", "http://127.0.0.1:9", "--log-format", "json") as server:
        deploy(server, tmp_path)
        load(server.inference, calls=20, rows=1)
        counted(server, 160)


def test_an_address_that_is_no_collectors_is_said_before_anything_starts(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "payoff.cli.main",
        "up",
        "--home",
        str(tmp_path / "home"),
        "--otel",
        "collector:4318",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "--otel http://HOST:4318" in done.stderr
    assert not (tmp_path / "home").exists()
