"""Facts about metrics: the official parsers read them, the sums are right, and each endpoint is bounded."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from prometheus_client.samples import Sample

from payoff.doors import metrics
from payoff.doors.exposition import OPEN_METRICS, PROMETHEUS, Family, negotiate, text
from payoff.doors.totals import total
from payoff.errors import Busy, DeadlineExceeded, ModelFailed
from payoff.records.counts import REQUEST_NS
from payoff.serving.form import Form
from payoff.serving.line import Call
from payoff.serving.meter import Meter
from payoff.serving.part import Part
from payoff.serving.stopwatch import Lap
from payoff.store.sheets import Sheet

FORMS = ("grpc", "oip-json", "rows-json")
PARSERS: dict[str, Any] = {PROMETHEUS: prometheus, OPEN_METRICS: open_metrics}


class Loose(SimpleNamespace):
    """As much of a live revision as a meter looks at: its name and its arms."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __init__(self, **known: Any) -> None:
        super().__init__(forms={}, **known)


def answered(meter: Meter, endpoint: Any, calls: int, rows: int, each_ns: int = 1_000) -> None:
    meter.rows(endpoint, rows, [Part(0, None, {}, {}, None, "", None, cpu_ns=500)])
    meter.calls(endpoint, "oip-json", calls, rows, (each_ns,) * 5)


@pytest.fixture
def one() -> Any:
    arm = SimpleNamespace(name="champion-3", version=3)
    return Loose(name="fraud", revision=SimpleNamespace(arms=(arm,)), arm_of=lambda _: arm)


def samples(home: Path, content_type: str = PROMETHEUS) -> dict[str, float]:
    """Every sample, as `name{label=value,...}`."""
    found = text(metrics.families(home), content_type)
    return {_key(sample): sample.value for family in _parsed(found, content_type) for sample in family.samples}


def _parsed(found: str, content_type: str) -> Iterator[Metric]:
    return iter(PARSERS[content_type](found))


def _key(sample: Sample) -> str:
    return sample.name + "{" + ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items())) + "}"


@pytest.mark.parametrize("content_type", [PROMETHEUS, OPEN_METRICS])
def test_the_official_parser_reads_what_two_workers_counted_as_one_sum(
    tmp_path: Path, one: Any, content_type: str
) -> None:
    for name in ("0", "1"):
        meter = Meter(Sheet(tmp_path, name))
        answered(meter, one, calls=4, rows=9)
        meter.failed("fraud", "oip-json", Busy("full"))
        meter.failed("fraud", "oip-json", Busy("full"))
    found = samples(tmp_path, content_type)
    assert found["payoff_requests_total{endpoint=fraud,form=oip-json,status=ok}"] == 8
    assert found["payoff_requests_total{endpoint=fraud,form=oip-json,status=busy}"] == 4
    assert found["payoff_rows_total{arm=champion-3,endpoint=fraud,version=3}"] == 18
    assert found["payoff_model_cpu_seconds_total{arm=champion-3,endpoint=fraud,version=3}"] == 1e-6
    assert found["payoff_request_seconds_count{endpoint=fraud,form=oip-json}"] == 8
    assert found["payoff_request_seconds_sum{endpoint=fraud,form=oip-json}"] == pytest.approx(8 * 5e-6)
    assert found["payoff_stage_seconds_sum{endpoint=fraud,stage=run}"] == pytest.approx(8e-6)
    assert found["payoff_batch_rows_bucket{endpoint=fraud,le=8}"] == 0
    assert found["payoff_batch_rows_bucket{endpoint=fraud,le=16}"] == 2
    assert found["payoff_batch_rows_sum{endpoint=fraud}"] == 18


def test_dashboards_for_triton_and_kserve_find_their_names(tmp_path: Path, one: Any) -> None:
    meter = Meter(Sheet(tmp_path, "0"))
    answered(meter, one, calls=4, rows=9)
    meter.failed("fraud", "grpc", Busy("full"))
    meter.failed("fraud", "grpc", DeadlineExceeded("late"))
    meter.failed("fraud", "grpc", ModelFailed("no"))
    meter.failed("fraud", "grpc", RuntimeError("a fault of ours"))
    found = samples(tmp_path)
    model = "_total{model=fraud,version=live}"  # this parser adds the ending to every counter
    assert found["nv_inference_request_success" + model] == 4
    assert found["nv_inference_count" + model] == 9
    assert found["nv_inference_exec_count" + model] == 1
    assert found["nv_inference_request_duration_us" + model] == 20
    assert found["nv_inference_queue_duration_us" + model] == 4
    assert found["nv_inference_compute_output_duration_us" + model] == 8
    assert found["nv_inference_request_failure_total{model=fraud,reason=REJECTED,version=live}"] == 2
    assert found["nv_inference_request_failure_total{model=fraud,reason=BACKEND,version=live}"] == 1
    assert found["nv_inference_request_failure_total{model=fraud,reason=OTHER,version=live}"] == 1
    assert found["request_predict_seconds_count{model_name=fraud}"] == 4
    assert found["request_predict_seconds_bucket{le=1.024e-06,model_name=fraud}"] == 4


def test_the_totals_of_an_endpoint_are_those_of_its_forms(tmp_path: Path, one: Any) -> None:
    meter = Meter(Sheet(tmp_path, "0"))
    answered(meter, one, calls=4, rows=9)
    meter.calls(one, "grpc", 1, 1, (20, 10, 30, 40, 50))
    found = total(tmp_path, "fraud")
    assert (found.answered, found.rows, found.batches) == (5, 9, 2)
    assert found.stage_ns == {"read": 4_010, "queue": 4_020, "run": 4_030, "journal": 4_040, "write": 4_050}
    assert total(tmp_path, "nobody").answered == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 64), st.integers(1, 10**6), st.lists(st.integers(0, 2**45), min_size=5, max_size=5))
    )
)
def test_buckets_hold_every_call_once_and_only_what_fits_them(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[int, int, list[int]]]
) -> None:
    arm = SimpleNamespace(name="a", version=1)
    home = tmp_path_factory.mktemp("home")
    endpoint: Any = Loose(name="e", revision=SimpleNamespace(arms=(arm,)))
    meter = Meter(Sheet(home, "0"))
    for calls, rows, (read, queue, run, journal, write) in batches:
        meter.calls(endpoint, "f", calls, rows, (queue, read, run, journal, write))
    found = total(home, "e")
    assert found.answered == sum(calls for calls, _, _ in batches)
    assert sum(found.stage_sizes("write")) == found.answered
    assert found.batches == len(batches)
    assert found.stage_ns["run"] == sum(calls * stages[2] for calls, _, stages in batches)
    for bits, count in enumerate(found.stage_sizes("run")):
        assert count == sum(calls for calls, _, stages in batches if stages[2].bit_length() == bits)


def test_a_clock_that_is_set_back_takes_nothing_from_a_count(tmp_path: Path, one: Any) -> None:
    meter = Meter(Sheet(tmp_path, "0"))
    meter.calls(one, "grpc", 2, 2, (-5_000_000, 10, 10, 10, 10))
    assert total(tmp_path, "fraud").stage_ns["queue"] == 0


def test_bounds_of_a_request_grow() -> None:
    assert list(REQUEST_NS) == sorted(set(REQUEST_NS))


@given(st.text(), st.text())
def test_any_text_can_be_a_label_and_a_help(label: str, about: str) -> None:
    family = Family("payoff_things_total", "counter", about.replace("\r", ""))
    family.put(3, endpoint=label.replace("\r", ""))
    for content_type, parser in PARSERS.items():
        (found,) = parser(text([family], content_type))
        assert found.samples[0].labels == {"endpoint": label.replace("\r", "")}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", PROMETHEUS),
        ("*/*", PROMETHEUS),
        ("text/plain", PROMETHEUS),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3", OPEN_METRICS),
    ],
)
def test_a_scraper_gets_the_format_that_it_names(accept: str, expected: str) -> None:
    assert negotiate(accept) == expected


def test_in_a_home_where_nobody_counts_nobody_waits(tmp_path: Path) -> None:
    assert samples(tmp_path) == {"nv_inference_pending_request_count{}": 0}


@settings(max_examples=40)  # each writes and reads files; three forms and a few calls are soon tried
@given(st.lists(st.tuples(st.sampled_from(FORMS), st.integers(1, 9)), min_size=1), st.data())
def test_calls_that_share_a_batch_are_counted_each_in_its_own_form(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, int]], data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("home")
    forms = {name: Loose(name=name) for name in FORMS}
    endpoint: Any = Loose(name="e", revision=SimpleNamespace(arms=(SimpleNamespace(name="a", version=1),)))
    caller: Any = None
    lap = Lap()
    lap.end()
    batch = [Call(endpoint, cast(Form, forms[name]), None, rows, caller, lap.ended_us) for name, rows in asked]
    amiss = data.draw(st.integers(0, len(batch) - 1))
    rows = sum(call.count for call in batch)
    Meter(Sheet(home, "0")).batch(batch, rows, [Part(0, None, {}, {}, None, "", None)], lap, amiss)
    found = samples(home)
    per_form = {name: found.get(f"payoff_requests_total{{endpoint=e,form={name},status=ok}}", 0) for name in forms}
    assert sum(per_form.values()) == len(batch) - amiss
    assert all(count <= [name for name, _ in asked].count(form) for form, count in per_form.items())
    assert found["payoff_rows_total{arm=a,endpoint=e,version=1}"] == rows
