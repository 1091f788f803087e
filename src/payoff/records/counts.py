"""What payoff counts of its own work: the names of the counts, and where each stands in a line of a sheet.

Two kinds of line. ("calls", ENDPOINT, FORM): calls that came in one wire format, what each stage of them took, and
what was refused. ("rows", ENDPOINT, ARM, VERSION): rows by who answered them. Times are whole nanoseconds. What a stage
took of a batch is counted once for each of its calls: it is what each caller waited for.
"""

from itertools import accumulate

from payoff.errors import (
    Abandoned,
    BadInput,
    Busy,
    Conflict,
    DeadlineExceeded,
    ModelFailed,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
)  # fmt: skip

CALLS, ROWS = "calls", "rows"
STAGES = ("read", "queue", "run", "journal", "write")
WHY: dict[type[Exception], str] = {
    BadInput: "bad_input", Unauthorized: "unauthorized", NotFound: "not_found", Conflict: "conflict",
    TooLarge: "too_large", ModelFailed: "model_failed", Busy: "busy", Unavailable: "unavailable",
    Abandoned: "abandoned", DeadlineExceeded: "deadline_exceeded", Exception: "internal",
}  # fmt: skip
FAILURES = tuple(WHY.values())

_MICROS = (25, 50, 75, 100, 150, 200, 300, 400, 500, 750)
_MILLIS = (1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750)
_SECONDS = (1, 2.5, 5, 10, 30, 60)
REQUEST_NS = tuple(
    int(bound * unit_ns)
    for unit_ns, bounds in ((10**3, _MICROS), (10**6, _MILLIS), (10**9, _SECONDS))
    for bound in bounds
)
STAGE_BITS = 48  # a stage of up to 2^48 ns, three days
BATCH_BITS = 32

_SIZES = (len(STAGES), 16, len(REQUEST_NS) + 1, *(STAGE_BITS + 1,) * len(STAGES), BATCH_BITS + 1)
SPENT, FAILED, TOOK, READ, QUEUE, RUN, JOURNAL, WRITE, BATCH, CELLS_OF_CALLS = accumulate((0, *_SIZES))
"""Where the cells of a line of calls begin: ns spent by stage; failures by kind; and counts by size: of calls by what
they took (up to the bounds of REQUEST_NS), and by what each stage took (by its bits), of batches by their rows (by the
bits of one row less)."""

ANSWERED, WATCHED, CPU_NS, CELLS_OF_ROWS = range(4)  # cells of a line of rows

GROWING = (
    "cpu_ns", "connections", "connections_refused", "journal_bytes", "journal_rows", "journal_refused_rows",
    "models_loaded", "models_closed", "shadow_rows", "shadow_dropped_rows", "shadow_failed_rows", "slow_calls",
    "slow_left_out", "spans", "untraced_calls", "cache_hits", "cache_misses",
)  # fmt: skip
MOMENTARY = (
    "at_us", "rss_bytes", "connections_open", "waiting_rows", "waiting_calls", "models_hot", "loop_lag_ns",
    "machine_busy_ppm", "machine_memory_bytes", "machine_used_bytes",
)  # fmt: skip
OWN = {name: place for place, name in enumerate(GROWING + MOMENTARY)}
"""The numbers of a process itself: those that only grow, and those of the moment."""
