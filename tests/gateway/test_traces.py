"""Facts about traces: who is traced, and what spans a call becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs.otlp import INTERNAL, SERVER
from payoff.errors import BadInput
from payoff.gateway.exporter import pairs, traces_url
from payoff.gateway.traces import Traced, parent, spans

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ID = "0198c0de-0000-7000-8000-000000000000"
STAGES = {"queue": 10_000, "read": 20_000, "run": 300_000, "journal": 40_000, "write": 5_000}


def traced(header: str | None = None, ids: tuple[str, ...] = (ID,), failed: str | None = None) -> Traced:
    return Traced(
        parent=parent(header),
        state="",
        name="infer fraud",
        arrived_us=1_000_000,
        ended_us=1_000_375,
        stages_ns=STAGES if failed is None else {},
        attributes={"payoff.endpoint": "fraud"},
        ids=ids,
        failed=failed,
    )


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", True, id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", False, id="not sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", True, id="other flags are not ours"),
        pytest.param(f"  00-{TRACE}-{SPAN}-01 ", True, id="space around it"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True, id="a later version"),
    ],
)
def test_a_callers_trace_is_read(header: str, sampled: bool) -> None:
    found = parent(header)
    assert found is not None
    assert (found.trace.hex(), found.span.hex(), found.sampled) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        pytest.param(f"ff-{TRACE}-{SPAN}-01", id="the forbidden version"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="no trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no span"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", id="capitals"),
        pytest.param(f"00-{TRACE}-{SPAN}-01-more", id="more than version 0 has"),
        pytest.param(f"00-{TRACE[:-1]}-{SPAN}-01", id="too short"),
    ],
)
def test_what_is_no_trace_is_ignored(header: str | None) -> None:
    assert parent(header) is None


@given(st.text())
def test_no_header_ends_a_worker(header: str) -> None:
    assert parent(header) is None


def test_a_call_becomes_a_servers_span_and_one_below_it_for_each_stage_in_turn() -> None:
    server, *stages = spans(traced(f"00-{TRACE}-{SPAN}-01"))
    assert (server.trace.hex(), server.parent.hex(), server.kind) == (TRACE, SPAN, SERVER)
    assert server.attributes["payoff.prediction_id"] == [ID]
    assert [span.name for span in stages] == list(STAGES)
    assert all((span.trace, span.parent, span.kind) == (server.trace, server.id, INTERNAL) for span in stages)
    assert [span.start_ns for span in stages[1:]] == [span.end_ns for span in stages[:-1]]
    assert (stages[0].start_ns, stages[-1].end_ns) == (server.start_ns, server.end_ns)


def test_a_trace_that_begins_here_has_the_id_of_its_first_prediction() -> None:
    server, *_ = spans(traced(ids=(ID, "0198c0de-0000-7000-8004-000000000000")))
    assert server.trace.hex() == ID.replace("-", "")
    assert server.parent == b""


def test_a_call_without_an_answer_is_one_span_with_the_reason() -> None:
    (server,) = spans(traced(ids=(), failed="Busy: 9 rows are waiting"))
    assert server.failed == "Busy: 9 rows are waiting"
    assert len(server.trace) == 16


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://otlp.example/otlp", "https://otlp.example/otlp/v1/traces"),
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
    ],
)
def test_traces_go_where_opentelemetry_expects_them(said: str, meant: str) -> None:
    assert traces_url(said) == meant


@pytest.mark.parametrize("said", ["collector:4318", "file:///etc/passwd", "grpc://collector:4317", ""])
def test_what_is_no_address_of_a_collector_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match="--otel http"):
        traces_url(said)


def test_headers_of_the_environment_are_percent_decoded() -> None:
    environment = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc=, x-team = risk,nonsense"}
    assert pairs(environment, "OTEL_EXPORTER_OTLP_HEADERS") == {"authorization": "Basic abc=", "x-team": "risk"}
