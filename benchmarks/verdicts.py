"""How often is a version that breaks even stopped, and how soon one that loses? By simulation, with every row a look.

python -m benchmarks.verdicts [--streams 2000] [--rows 3000] [--seed 1]
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe, write
from payoff.stats import Bets, Seen, caps, fold, losses
from payoff.stats.streams import BREAK_EVEN, Stream, rare

Floats = NDArray[np.float64]

METHOD = (
    "Independent streams of rows; after each row the verdict may fall, and a stream counts as stopped if it ever does. "
    "Cap 'learned' is a guard without gain_cap; 1 and 2 are stated caps, in the units of the stream. 'stopped' is the "
    "share of streams at an error of 1 % and of 5 %; 'median rows' and '95 % by' are rows to the verdict at 1 %."
)
HARD: dict[str, Stream] = {
    "one gain in 300": rare(300),
    "small gains, a rare large one": lambda rng, n: np.choose(
        rng.choice(3, p=[0.9, 0.09, 0.01], size=n), [-1.0, 1.0, 81.0]
    ),
    "pareto 1.5": lambda rng, n: rng.pareto(1.5, n) - 2.0,
}
LOSING: dict[str, Stream] = {
    "normal, mean -0.3 sd": lambda rng, n: rng.normal(-0.3, 1, n),
    "normal, mean -0.1 sd": lambda rng, n: rng.normal(-0.1, 1, n),
    "always -1": lambda _, n: np.full(n, -1.0),
    "lognormal 1, mean -0.3 sd": lambda rng, n: np.exp(rng.standard_normal(n)) - np.exp(0.5) - 0.3 * 2.161,
}
CAPS: dict[str, Callable[[Floats], Floats | float]] = {
    "learned": lambda money: caps(Seen(), money)[1],
    "1": lambda _: 1.0,
    "2": lambda _: 2.0,
}


def measure(truth: str, name: str, stream: Stream, cap: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    rng = np.random.default_rng(options.seed)
    peaks, rows = [], []
    for _ in range(options.streams):
        money = stream(rng, options.rows)
        found = fold(Bets(), losses(money, CAPS[cap](money)), 0.01)
        peaks.append(found.log_e_max)
        rows.append(np.inf if found.first is None else found.first + 1.0)
    at_1, at_5 = (float(np.mean(np.array(peaks) >= np.log(bar))) for bar in (100, 20))
    row = {"truth": truth, "stream": name, "cap": cap, "stopped at 1 %": at_1, "stopped at 5 %": at_5}
    if truth == "loses":
        middle, late = np.quantile(rows, [0.5, 0.95], method="lower")
        row |= {"median rows": _number(middle), "95 % by": _number(late)}
    return row


def _number(rows: float) -> int | None:
    return int(rows) if np.isfinite(rows) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 2_000), ("rows", 3_000), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    machine = describe(("payoff", "numpy"))
    rows = [measure("breaks even", name, stream, "learned", options) for name, stream in (BREAK_EVEN | HARD).items()]
    rows += [measure("loses", name, stream, cap, options) for name, stream in LOSING.items() for cap in CAPS]
    write("verdicts", f"{METHOD} {options.streams} streams of {options.rows} rows, seed {options.seed}.", rows, machine)


if __name__ == "__main__":
    main()
