"""How often is a version that breaks even stopped, and how soon one that loses? By simulation, with every row a look.

    python benchmarks/verdicts.py [--streams 2000] [--rows 3000] [--seed 1]

Method: independent streams of rows; after each row the verdict may fall. A stream counts as stopped if it ever does.
"learned" is the cap of a guard without gain_cap; 1 and 2 are stated caps, in the units of the stream.
"""

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from payoff.stats import Bets, Seen, caps, fold, losses
from payoff.stats.streams import BREAK_EVEN, rare

Floats = NDArray[np.float64]
Stream = Callable[[np.random.Generator, int], Floats]

HARD: dict[str, Stream] = {
    "one gain in 300": rare(300),
    "small gains, rare large one": lambda rng, n: np.choose(
        rng.choice(3, p=[0.9, 0.09, 0.01], size=n), [-1.0, 1.0, 81.0]
    ),
    "pareto 1.5": lambda rng, n: rng.pareto(1.5, n) - 2.0,
}
LOSING: dict[str, Stream] = {
    "normal, mean -0.3 sd": lambda rng, n: rng.normal(-0.3, 1, n),
    "normal, mean -0.1 sd": lambda rng, n: rng.normal(-0.1, 1, n),
    "always -1": lambda rng, n: np.full(n, -1.0),
    "lognormal 1, mean -0.3 sd": lambda rng, n: np.exp(rng.standard_normal(n)) - np.exp(0.5) - 0.3 * 2.161,
}


def learned(money: Floats) -> Floats:
    return caps(Seen(), money)[1]


def stops(
    stream: Stream, cap: Callable[[Floats], Floats | float], options: argparse.Namespace
) -> tuple[Floats, Floats]:
    """For each stream, the highest log evidence, and the row that reached 1 % (infinite: none)."""
    rng = np.random.default_rng(options.seed)
    peaks, rows = [], []
    for _ in range(options.streams):
        money = stream(rng, options.rows)
        found = fold(Bets(), losses(money, cap(money)), 0.01)
        peaks.append(found.log_e_max)
        rows.append(np.inf if found.first is None else found.first + 1)
    return np.array(peaks), np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 2_000), ("rows", 3_000), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    began = time.perf_counter()
    print(f"python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}; {vars(options)}\n")
    print("| breaks even, learned cap | stopped at 1 % | at 5 % |\n|---|---|---|")
    for name, stream in {**BREAK_EVEN, **HARD}.items():
        peaks, _ = stops(stream, learned, options)
        print(f"| {name} | {np.mean(peaks >= np.log(100)):.2%} | {np.mean(peaks >= np.log(20)):.2%} |", flush=True)
    print("\n| loses, at 1 % | cap | median rows | 95 % of streams by | never |\n|---|---|---|---|---|")
    for name, stream in LOSING.items():
        for words, cap in (("learned", learned), ("1", lambda _: 1.0), ("2", lambda _: 2.0)):
            _, rows = stops(stream, cap, options)
            middle, late = np.quantile(rows, [0.5, 0.95], method="lower")
            print(f"| {name} | {words} | {middle:.0f} | {late:.0f} | {np.mean(np.isinf(rows)):.1%} |", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
