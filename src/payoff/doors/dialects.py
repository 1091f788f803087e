"""The same counts under the names that dashboards for Triton and for KServe look for.

An endpoint has one value of Triton's `version`, "live": its revisions come and go with every step of a ramp, and a
counter that began anew with each would be of no use. Which version answered stands in `payoff_rows_total`.
Durations are those of answered calls; Triton's compute durations, as its own, are what each call waited for a batch.
"""

from collections.abc import Sequence

from payoff.doors.exposition import Family, Labels
from payoff.doors.totals import Total
from payoff.records.counts import FAILURES, STAGES

NS = 1_000_000_000
LIVE = "live"
_REASONS = {
    "busy": "REJECTED",
    "deadline_exceeded": "REJECTED",
    "abandoned": "CANCELED",
    "model_failed": "BACKEND",
}  # fmt: skip - the others are OTHER
_DURATIONS = (
    ("nv_inference_request_duration_us", STAGES, "answered calls from arrival to answer"),
    ("nv_inference_queue_duration_us", ("queue",), "the wait for the model"),
    ("nv_inference_compute_input_duration_us", ("read",), "reading the calls"),
    ("nv_inference_compute_infer_duration_us", ("run",), "the model, its decision and its rules"),
    ("nv_inference_compute_output_duration_us", ("journal", "write"), "recording and writing the answers"),
)
_KSERVE = (
    ("request_preprocess_seconds", "read"),
    ("request_predict_seconds", "run"),
    ("request_postprocess_seconds", "write"),
)
_SHOWN = range(10, 36)  # bounds of a stage: 2^10 ns, a microsecond, to 2^35 ns, 34 s
_BOUNDS = tuple((1 << bits) / NS for bits in _SHOWN)


def triton(totals: Sequence[Total]) -> list[Family]:
    """Triton's counters of inference."""
    answered = Family("nv_inference_request_success", "counter", "Answered calls.")
    rows = Family("nv_inference_count", "counter", "Rows answered.")
    batches = Family("nv_inference_exec_count", "counter", "Batches run.")
    for one in totals:
        for family, value in ((answered, one.answered), (rows, one.rows), (batches, one.batches)):
            family.put(value, model=one.endpoint, version=LIVE)
    return [answered, _failures(totals), rows, batches, *(_duration(totals, *each) for each in _DURATIONS)]


def kserve(totals: Sequence[Total]) -> list[Family]:
    """KServe's histograms."""
    return [_by_model(totals, name, stage) for name, stage in _KSERVE]


def put_stage(family: Family, one: Total, stage: str, labels: Labels) -> None:
    """One stage of an endpoint's calls, as a histogram."""
    sizes = one.stage_sizes(stage)
    first, last = _SHOWN[0], _SHOWN[-1]
    counts = [sum(sizes[: first + 1]), *sizes[first + 1 : last + 1], sum(sizes[last + 1 :])]
    family.put_histogram(_BOUNDS, counts, one.stage_ns[stage] / NS, **labels)


def _failures(totals: Sequence[Total]) -> Family:
    family = Family("nv_inference_request_failure", "counter", "Calls without an answer.")
    for one in totals:
        sums = dict.fromkeys((*_REASONS.values(), "OTHER"), 0)
        for kind in FAILURES:
            sums[_REASONS.get(kind, "OTHER")] += one.failed.get(kind, 0)
        for reason, count in sums.items():
            family.put(count, model=one.endpoint, version=LIVE, reason=reason)
    return family


def _duration(totals: Sequence[Total], name: str, stages: Sequence[str], about: str) -> Family:
    family = Family(name, "counter", f"Microseconds of all calls together: {about}.")
    for one in totals:
        family.put(sum(one.stage_ns[stage] for stage in stages) // 1_000, model=one.endpoint, version=LIVE)
    return family


def _by_model(totals: Sequence[Total], name: str, stage: str) -> Family:
    family = Family(name, "histogram", f"What the stage {stage!r} took of a call.")
    for one in totals:
        put_stage(family, one, stage, {"model_name": one.endpoint})
    return family
