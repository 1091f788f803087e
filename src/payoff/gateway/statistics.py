"""What endpoints did, in the words of Triton's statistics extension, over all workers of a home.

A stage of a batch counts once for each of its calls, as Triton's do: it is what each caller waited for. Recording and
writing the answer are `compute_output`. What went wrong is counted and not timed.
"""

from collections.abc import Iterable
from typing import Any

from payoff.doors.totals import Total


def statistics(found: Iterable[tuple[Total, str]]) -> dict[str, Any]:
    """The answer to a question about some endpoints, each with the number of its revision."""
    return {"model_stats": [_endpoint(total, version) for total, version in found]}


def _endpoint(total: Total, version: str) -> dict[str, Any]:
    return {
        "name": total.endpoint,
        "version": version,
        "last_inference": 0,  # when it was is not counted
        "inference_count": total.rows,
        "execution_count": total.batches,
        "inference_stats": _durations(total),
        "response_stats": {},
        "batch_stats": [],
        "memory_usage": [],
    }


def _durations(total: Total) -> dict[str, dict[str, int]]:
    calls, took = total.answered, total.stage_ns
    none = {"count": 0, "ns": 0}
    return {
        "success": {"count": calls, "ns": sum(took.values())},
        "fail": {"count": sum(total.failed.values()), "ns": 0},
        "queue": {"count": calls, "ns": took["queue"]},
        "compute_input": {"count": calls, "ns": took["read"]},
        "compute_infer": {"count": calls, "ns": took["run"]},
        "compute_output": {"count": calls, "ns": took["journal"] + took["write"]},
        "cache_hit": none,
        "cache_miss": none,
    }
