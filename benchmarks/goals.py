"""What payoff's door is to reach, as ratios within one run, and whether it did; pure arithmetic over measured rows.

Triton cannot be installed from a package index. Its figures were measured once, on two cores like ours, beside the same
yardsticks; `TRITON` holds its ratios to them, and what stands in the table against it is carried over by these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FASTAPI, MOSEC, GRPC_AIO = "FastAPI", "mosec, batching", "grpc.aio"
SKETCH, SKETCH_GRPC = "sketch, HTTP", "sketch, gRPC"
PAYOFF, OFF = "payoff", "payoff, journal off"
NATIVE, ONE, TWO = "payoff, native", "payoff, 1 worker", "payoff, 2 workers"
JSON_1, JSON_32 = "tabular, 1 row, JSON, 1 connection", "tabular, 1 row, JSON, 32 connections"
BINARY_1, BINARY_32 = "tabular, 1 row, binary, 1 connection", "tabular, 1 row, binary, 32 connections"
GRPC_32, GRPC_STREAMS = "tabular, 1 row, gRPC, 32 connections", "tabular, 1 row, gRPC, 32 streams of 1 connection"
NETWORK_JSON, NETWORK_BINARY = "network, JSON, 32 connections", "network, binary, 32 connections"
SKLEARN = "scikit-learn, 1 row, 32 connections"
ROWS_64, ROWS_1000 = "tabular, 64 rows, JSON, 8 connections", "tabular, 1,000 rows, JSON, 8 connections"
BINARY_1000 = "tabular, 1,000 rows, binary, 8 connections"
CORES = "tabular, 1 row, JSON, 64 connections, two cores not pinned"
CORES_64 = "tabular, 64 rows, JSON, 16 connections, two cores not pinned"
HOUSE = "start and memory"
PER_S, P50, P99, CPU = "requests per s", "p50 us", "p99 us", "CPU s per 1,000"
START, MEMORY = "start to first answer, s", "RSS when idle, MB"
# Of its best mode: to FastAPI's JSON of the same model and rows, for gRPC to grpc.aio.
TRITON = {JSON_32: 4.0, BINARY_32: 4.1, GRPC_32: 5.9, NETWORK_JSON: 1.8, NETWORK_BINARY: 5.5, SKLEARN: 4.9,
          ROWS_64: 1.3, ROWS_1000: 0.83, BINARY_1000: 2.0}  # fmt: skip
TRITON_P50, TRITON_P99, TRITON_CPU = 0.35, 0.40, 0.25

Row = dict[str, Any]
Key = tuple[str, str]  # case, server


@dataclass(frozen=True, slots=True)
class Goal:
    """`one` over `other` (or `one` itself) is to be at least, or at most, `bound`."""

    words: str
    one: Key
    other: Key | None
    bound: float
    figure: str = PER_S
    at_most: bool = False
    triton: float | None = None  # Triton's ratio to the same yardstick


GOALS = (
    Goal("JSON, to FastAPI", (JSON_32, PAYOFF), (JSON_32, FASTAPI), 10, triton=TRITON[JSON_32]),
    Goal("binary, to FastAPI's JSON", (BINARY_32, PAYOFF), (JSON_32, FASTAPI), 10, triton=TRITON[BINARY_32]),
    Goal("JSON, to mosec with batching", (JSON_32, PAYOFF), (JSON_32, MOSEC), 1.5),
    Goal("JSON, to the sketch", (JSON_32, PAYOFF), (JSON_32, SKETCH), 0.7),
    Goal("binary, to the sketch", (BINARY_32, PAYOFF), (BINARY_32, SKETCH), 0.7),
    Goal("p50 at 1 connection, to FastAPI", (JSON_1, PAYOFF), (JSON_1, FASTAPI), 0.39, P50, True, TRITON_P50),
    Goal("p99 at 32 connections, to FastAPI", (JSON_32, PAYOFF), (JSON_32, FASTAPI), 0.2, P99, True, TRITON_P99),
    Goal("gRPC, to grpc.aio", (GRPC_32, PAYOFF), (GRPC_32, GRPC_AIO), 12, triton=TRITON[GRPC_32]),
    Goal("network JSON, to FastAPI", (NETWORK_JSON, PAYOFF), (NETWORK_JSON, FASTAPI), 7, triton=TRITON[NETWORK_JSON]),
    Goal("network binary, to FastAPI's JSON", (NETWORK_BINARY, PAYOFF), (NETWORK_JSON, FASTAPI), 11,
         triton=TRITON[NETWORK_BINARY]),
    Goal("network JSON, to mosec with batching", (NETWORK_JSON, PAYOFF), (NETWORK_JSON, MOSEC), 1.2),
    Goal("scikit-learn, converted, to mosec with batching", (SKLEARN, PAYOFF), (SKLEARN, MOSEC), 1.3),
    Goal("scikit-learn, converted, to FastAPI", (SKLEARN, PAYOFF), (SKLEARN, FASTAPI), 15, triton=TRITON[SKLEARN]),
    Goal("scikit-learn, native, to mosec with batching", (SKLEARN, NATIVE), (SKLEARN, MOSEC), 1.3),
    Goal("scikit-learn, native, to FastAPI", (SKLEARN, NATIVE), (SKLEARN, FASTAPI), 15, triton=TRITON[SKLEARN]),
    Goal("64 rows JSON, to FastAPI", (ROWS_64, PAYOFF), (ROWS_64, FASTAPI), 1.8, triton=TRITON[ROWS_64]),
    Goal("1,000 rows JSON, to FastAPI", (ROWS_1000, PAYOFF), (ROWS_1000, FASTAPI), 1.2, triton=TRITON[ROWS_1000]),
    Goal("1,000 rows binary, to FastAPI's JSON", (BINARY_1000, PAYOFF), (ROWS_1000, FASTAPI), 2.0,
         triton=TRITON[BINARY_1000]),
    Goal("two workers, to one, 1 row", (CORES, TWO), (CORES, ONE), 1.7),
    Goal("two workers, to one, 64 rows", (CORES_64, TWO), (CORES_64, ONE), 1.7),
    Goal("CPU per prediction, to FastAPI", (JSON_32, PAYOFF), (JSON_32, FASTAPI), 0.1, CPU, True, TRITON_CPU),
    Goal("CPU per prediction, to mosec with batching", (JSON_32, PAYOFF), (JSON_32, MOSEC), 1, CPU, True),
    Goal("start to first answer, s", (HOUSE, PAYOFF), None, 1.5, START, True),
    Goal("memory of an idle worker, MB", (HOUSE, PAYOFF), None, 120, MEMORY, True),
    Goal("journal on, to off, JSON", (JSON_32, PAYOFF), (JSON_32, OFF), 0.85),
    Goal("journal on, to off, binary", (BINARY_32, PAYOFF), (BINARY_32, OFF), 0.85),
    Goal("journal on, to off, gRPC", (GRPC_32, PAYOFF), (GRPC_32, OFF), 0.85),
)  # fmt: skip


def judged(rows: Sequence[Row]) -> list[Row]:
    """The table of goals: what was wanted, what was measured, and whether it is met."""
    found = {(row["case"], row["server"]): row for row in rows}
    return [_judge(goal, found) for goal in GOALS]


def _judge(goal: Goal, found: dict[Key, Row]) -> Row:
    bound = f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}"
    said: Row = {"goal": goal.words, "wanted": bound, "measured": None, "": "not measured"}
    one = found.get(goal.one, {}).get(goal.figure)
    other = 1 if goal.other is None else found.get(goal.other, {}).get(goal.figure)
    if not one or not other:
        return said
    ratio = float(one / other)
    met = ratio <= goal.bound if goal.at_most else ratio >= goal.bound
    carried = None if goal.triton is None else ratio / goal.triton
    return {**said, "measured": ratio, "": "met" if met else "NOT MET", "against Triton, carried over": carried}
