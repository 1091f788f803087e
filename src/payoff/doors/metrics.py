"""What all processes of a home counted, as metrics; whichever of them is asked, the answer is the same."""

from collections.abc import Sequence
from pathlib import Path

from payoff.doors import dialects
from payoff.doors.exposition import Family
from payoff.doors.totals import Total, answered, lines, request_sizes, totals
from payoff.records.counts import ANSWERED, CALLS, CPU_NS, FAILED, FAILURES, OWN, REQUEST_NS, ROWS, STAGES, WATCHED
from payoff.store import live, sheets
from payoff.store.sheets import Counts

NS = 1_000_000_000
_BATCH_TO = 12  # bounds of 1 to 4,096 rows
_GROWING = {  # metric: the numbers of a process that it shows, by label; in what unit; what it is
    "payoff_process_cpu_seconds_total": ("cpu_ns", NS, "Processor time of a worker."),
    "payoff_connections_total": ("connections", 1, "Connections taken."),
    "payoff_connections_refused_total": ("connections_refused", 1, "Connections refused: a worker had enough."),
    "payoff_journal_bytes_total": ("journal_bytes", 1, "Bytes written to the journal."),
    "payoff_journal_rows_total": ("journal_rows", 1, "Rows written to the journal."),
    "payoff_journal_refused_rows_total": ("journal_refused_rows", 1, "Rows the journal could not take."),
    "payoff_models_loaded_total": ("models_loaded", 1, "Models loaded, at a start or when a call found them cold."),
    "payoff_models_closed_total": ("models_closed", 1, "Models let go of."),
    "payoff_shadow_dropped_rows_total": ("shadow_dropped_rows", 1, "Rows left out for arms that only watch."),
    "payoff_shadow_failed_rows_total": ("shadow_failed_rows", 1, "Rows that an arm which only watches failed on."),
    "payoff_slow_requests_total": ("slow_calls", 1, "Calls over the limit of --slow-ms."),
    "payoff_slow_requests_unlogged_total": ("slow_left_out", 1, "Slow calls left out of the log, too many at a time."),
    "payoff_spans_total": ("spans", 1, "Spans exported."),
    "payoff_untraced_requests_total": ("untraced_calls", 1, "Calls that were to be traced and are not: too many."),
    "payoff_cache_hits_total": ("cache_hits", 1, "Rows answered from the cache."),
    "payoff_cache_misses_total": ("cache_misses", 1, "Rows that the cache did not have."),
}
_MOMENTARY = {
    "payoff_process_resident_bytes": ("rss_bytes", 1, "Memory of a worker."),
    "payoff_connections_open": ("connections_open", 1, "Connections open now."),
    "payoff_queue_rows": ("waiting_rows", 1, "Rows that wait for an answer."),
    "payoff_models_hot": ("models_hot", 1, "Models loaded now."),
    "payoff_event_loop_lag_seconds": (
        "loop_lag_ns",
        NS,
        "The longest that the loop of a worker was late, lately.",
    ),
    "payoff_worker_seen_seconds": ("at_us", 1_000_000, "When a worker last wrote its numbers, since 1970."),
}


def families(home: Path) -> list[Family]:
    """Everything that the workers of a home counted."""
    counts = sheets.read(home)
    found = totals(counts)
    return [
        *_requests(counts), *_rows_by_arm(counts), *_batches(found),
        *_processes(counts, "counter", _GROWING), *_processes(counts, "gauge", _MOMENTARY), _revisions(home),
        *dialects.triton(found), *_pending(counts), *_machine(counts), *dialects.kserve(found),
    ]  # fmt: skip


def _requests(counts: Counts) -> list[Family]:
    total = Family("payoff_requests_total", "counter", "Calls by how they ended: ok, or what went wrong.")
    took = Family("payoff_request_seconds", "histogram", "What answered calls took, from arrival to answer.")
    bounds = [bound / NS for bound in REQUEST_NS]
    for (endpoint, form), cells in lines(counts, CALLS):
        labels = {"endpoint": endpoint, "form": form}
        if answered(cells):
            total.put(answered(cells), **labels, status="ok")
            took.put_histogram(bounds, request_sizes(cells), sum(cells[: len(STAGES)]) / NS, **labels)
        for kind, count in zip(FAILURES, cells[FAILED:], strict=False):
            if count:
                total.put(count, **labels, status=kind)
    return [total, took]


def _rows_by_arm(counts: Counts) -> list[Family]:
    rows = Family("payoff_rows_total", "counter", "Rows answered, by the arm and model version that answered.")
    watched = Family("payoff_shadow_rows_total", "counter", "Rows that an arm saw after another had answered them.")
    cpu = Family("payoff_model_cpu_seconds_total", "counter", "Processor time for the rows of an arm.")
    for (endpoint, arm, version), cells in lines(counts, ROWS):
        for family, value in ((rows, cells[ANSWERED]), (watched, cells[WATCHED]), (cpu, cells[CPU_NS] / NS)):
            if value:
                family.put(value, endpoint=endpoint, arm=arm, version=version)
    return [rows, watched, cpu]


def _batches(found: Sequence[Total]) -> list[Family]:
    stages = Family("payoff_stage_seconds", "histogram", "What each stage took of a call.")
    rows = Family("payoff_batch_rows", "histogram", "Rows that were answered together.")
    bounds = [1 << bits for bits in range(_BATCH_TO + 1)]
    for one in found:
        for stage in STAGES:
            dialects.put_stage(stages, one, stage, {"endpoint": one.endpoint, "stage": stage})
        sizes = one.batch_sizes
        shown = [*sizes[: _BATCH_TO + 1], sum(sizes[_BATCH_TO + 1 :])]
        rows.put_histogram(bounds, shown, one.rows, endpoint=one.endpoint)
    return [stages, rows]


def _processes(counts: Counts, kind: str, shown: dict[str, tuple[str, int, str]]) -> list[Family]:
    found = []
    for name, (cell, unit, about) in shown.items():
        family = Family(name, kind, about)
        for process, numbers in sorted(counts.own.items()):
            family.put(numbers[OWN[cell]] / unit, worker=process)
        found.append(family)
    return found


def _pending(counts: Counts) -> list[Family]:
    family = Family("nv_inference_pending_request_count", "gauge", "Calls that wait for an answer.")
    family.put(sum(numbers[OWN["waiting_calls"]] for numbers in counts.own.values()))
    return [family]


def _machine(counts: Counts) -> list[Family]:
    """Triton's names for the machine itself; whichever worker looked last."""
    latest = max(counts.own.values(), key=lambda numbers: numbers[OWN["at_us"]], default=None)
    found = []
    for name, cell, unit, about in (
        ("nv_cpu_utilization", "machine_busy_ppm", 1_000_000, "Share of the machine's processors in use, 0 to 1."),
        ("nv_cpu_memory_total_bytes", "machine_memory_bytes", 1, "Memory of the machine."),
        ("nv_cpu_memory_used_bytes", "machine_used_bytes", 1, "Memory of the machine that is in use."),
    ):
        family = Family(name, "gauge", about)
        if latest is not None and latest[OWN["machine_memory_bytes"]]:
            family.put(latest[OWN[cell]] / unit)
        found.append(family)
    return found


def _revisions(home: Path) -> Family:
    family = Family("payoff_revision", "gauge", "The revision of an endpoint that a worker serves.")
    for status in live.statuses(home):
        for endpoint, number in sorted(status.serving.items()):
            family.put(number, endpoint=endpoint, worker=str(status.worker))
    return family
