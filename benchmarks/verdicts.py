"""How often is a version that breaks even stopped, how soon one that loses, and how often does an interval miss?

By simulation, with every row a look; beside it, on the same streams, what others do: a fixed threshold, a daily report.

python -m benchmarks.verdicts [--streams 2000] [--rows 3000] [--seed 1] [--tables coverage turning verdicts]

writes three tables: coverage of intervals, versions that turn bad (and false stops), and verdicts.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from math import inf, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe, write
from payoff.stats import (
    Bets,
    Detector,
    Open,
    Range,
    Seen,
    Sums,
    blocks,
    caps,
    detect,
    fold,
    interval,
    looks,
    losses,
    ranges,
)
from payoff.stats.ranges import BLOCK
from payoff.stats.streams import BREAK_EVEN, CAPPED, RUNS, Stream, rare

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Rule = Callable[[Floats], tuple[float, bool | None]]  # rows to the stop, or inf; was 5 % reached, where that is asked

GOOD = 1_500  # rows before a version turns bad
EVERY = 1_000  # rows to a false stop that the detector is set to
WINDOW = 500  # rows that the fixed threshold averages
DAY = 1_000  # rows of a daily report
SHOWN = (300, 1_000, 3_000)

VERDICTS = (
    "Independent streams of rows; after each row the verdict may fall, and a stream counts as stopped if it ever does. "
    "'cap learned' is a guard without gain_cap; other caps are stated, in the units of the stream; where it 'breaks "
    "even up to the cap', the gain credited is exactly 0 in expectation given the past. 'stopped' is the share of "
    "streams at an error of 1 %, and beside it at 5 %; 'median rows' and '95 % by' are rows to the stop at 1 %. "
    f"Beside it, on the same streams: an alarm when the mean of the last {WINDOW} rows falls below -0.15 standard "
    f"deviations, and a report after every {DAY:,} rows that stops what lost money that day."
)
TURNING = (
    f"A version earns 0.3 standard deviations per row for {GOOD:,} rows and then loses as much: the share stopped too "
    "early, and rows from the turn to the stop. Below, versions that break even up to the cap: rows to the false "
    f"stop, on average, of a detector set to one in {EVERY:,} rows, of at most 20 times as many; in "
    "a quarter as many streams."
)
COVERAGE = (
    "Streams with a mean of 0; an interval is looked at after every row (the asymptotic one after every 25th), and "
    "counts as missing if 0 was outside at any look. Without stated bounds: a learned range, in blocks of "
    f"{BLOCK} rows. 'half width' is the median one, in standard deviations of the stream; empty: no interval yet."
)
HARD: dict[str, Stream] = {
    "one gain in 300": rare(300),
    "small gains, a rare large one": lambda rng, n: np.choose(
        rng.choice(3, p=[0.9, 0.09, 0.01], size=n), [-1.0, 1.0, 81.0]
    ),
    "one in ten with ten times the spread": lambda rng, n: (
        rng.standard_normal(n) * np.where(rng.random(n) < 0.1, 10.0, 1.0)
    ),
    "pareto 1.5": lambda rng, n: rng.pareto(1.5, n) - 2.0,
}
LOSING: dict[str, Stream] = {
    "normal, mean -0.3 sd": lambda rng, n: rng.normal(-0.3, 1, n),
    "normal, mean -0.1 sd": lambda rng, n: rng.normal(-0.1, 1, n),
    "always -1": lambda _, n: np.full(n, -1.0),
    "lognormal 1, mean -0.3 sd": lambda rng, n: np.exp(rng.standard_normal(n)) - np.exp(0.5) - 0.3 * 2.161,
}


def betting(cap: float | None, money: Floats, block: int = 1) -> tuple[float, bool | None]:
    """The test since launch, row by row or in blocks."""
    means = money if block == 1 else blocks(Open(), money, block)[1]
    found = fold(Bets(), losses(means, caps(Seen(), means)[1] if cap is None else cap), 0.01)
    return inf if found.first is None else block * (found.first + 1.0), found.log_e_max >= log(20)


def detector(cap: float, money: Floats) -> tuple[float, bool | None]:
    found = detect(Detector(), losses(money, cap), EVERY)
    return inf if found.first is None else found.first + 1.0, None


def threshold(spread: float, money: Floats) -> tuple[float, bool | None]:
    walk = np.append(0.0, np.cumsum(money))
    below = np.flatnonzero((walk[WINDOW:] - walk[:-WINDOW]) / WINDOW < -0.15 * spread)
    return (float(below[0] + WINDOW) if len(below) else inf), None


def daily(money: Floats) -> tuple[float, bool | None]:
    lost = np.flatnonzero(money[: len(money) // DAY * DAY].reshape(-1, DAY).sum(axis=1) < 0)
    return (float((lost[0] + 1) * DAY) if len(lost) else inf), None


def others(stream: Stream, seed: int) -> dict[str, Rule]:
    """What is held against the tests, for a stream of this spread."""
    spread = float(stream(np.random.default_rng(seed), 200_000).std())
    return {"fixed threshold": partial(threshold, spread), "daily report": daily}


def cut(stream: Stream, cap: float) -> Stream:
    """The gain that is credited."""
    return lambda rng, n: np.minimum(stream(rng, n), cap)


def cases(seed: int) -> Iterator[tuple[str, str, Stream, dict[str, Rule]]]:
    """Truth, name, stream and the rules that watch it."""
    for name, (stream, cap) in CAPPED.items():
        credited = cut(stream, cap)
        rules: dict[str, Rule] = {f"cap {cap:.3g}": partial(betting, cap)}
        yield "breaks even up to the cap", name, credited, rules | others(credited, seed)
    for name, stream in (BREAK_EVEN | HARD).items():
        yield "breaks even", name, stream, {"cap learned": partial(betting, None)}
    for name, stream in RUNS.items():
        rules = {"cap 6": partial(betting, 6.0), "cap 6, blocks of 10": partial(betting, 6.0, block=10)}
        yield "breaks even in the long run", name, stream, rules
    for name, stream in LOSING.items():
        stated: dict[str, Rule] = {f"cap {cap:g}": partial(betting, cap) for cap in (1.0, 2.0)}
        rules = {"cap learned": partial(betting, None)} | stated
        yield "loses", name, stream, rules | others(stream, seed)


def verdict(
    truth: str, name: str, stream: Stream, rule: str, stop: Rule, options: argparse.Namespace
) -> dict[str, Any]:
    """One row of the first table."""
    rng = np.random.default_rng(options.seed)
    stops = [stop(stream(rng, options.rows)) for _ in range(options.streams)]
    rows, at_5 = np.array([one for one, _ in stops]), [five for _, five in stops if five is not None]
    row: dict[str, Any] = {"truth": truth, "stream": name, "rule": rule, "stopped": float(np.isfinite(rows).mean())}
    row["at 5 %"] = float(np.mean(at_5)) if at_5 else None
    return row | (_rows(rows) if truth == "loses" else {})


def _rows(rows: Floats) -> dict[str, int | None]:
    middle, late = np.quantile(rows, [0.5, 0.95], method="lower") if len(rows) else (inf, inf)
    return {"median rows": _number(middle), "95 % by": _number(late)}


def _number(rows: float) -> int | None:
    return int(rows) if np.isfinite(rows) else None


def turned(rng: np.random.Generator, rows: int) -> Floats:
    return np.concatenate([rng.normal(0.3, 1, GOOD), rng.normal(-0.3, 1, rows)])


def turning(rule: str, stop: Rule, options: argparse.Namespace) -> dict[str, Any]:
    """How soon a rule sees that a version turned bad."""
    rng = np.random.default_rng(options.seed)
    rows = np.array([stop(turned(rng, options.rows))[0] for _ in range(options.streams)])
    late = rows[rows > GOOD] - GOOD
    early = {"stopped too early": float((rows <= GOOD).mean())}
    return {"truth": "turns bad", "stream": "normal", "rule": rule} | early | _rows(late)


def run_length(name: str, stream: Stream, cap: float, options: argparse.Namespace) -> dict[str, Any]:
    """Rows to a false stop, on average; a run is watched for 20 times what it is set to."""
    rng, longest = np.random.default_rng(options.seed), 20 * EVERY
    runs = [min(detector(cap, stream(rng, longest))[0], longest) for _ in range(options.streams // 4)]
    row = {"truth": "breaks even up to the cap", "stream": name, "rule": f"detector, cap {cap:.3g}"}
    mean, error = np.mean(runs), np.std(runs) / np.sqrt(len(runs))
    return row | {"mean rows": round(float(mean)), "standard error": round(float(error))}


def learned(error: float, money: Floats) -> tuple[Ints, Floats, Floats]:
    """Row numbers, and both ends after each of them."""
    low, high = looks(*ranges(Range(), money)[1:], error)
    return BLOCK * np.arange(len(money) // BLOCK - len(low) + 1, len(money) // BLOCK + 1), low, high


def asymptotic(error: float, money: Floats) -> tuple[Ints, Floats, Floats]:
    at = np.arange(25, len(money) + 1, 25)
    sums = [
        Sums(int(n), a, b) for n, a, b in zip(at, np.cumsum(money)[at - 1], np.cumsum(money**2)[at - 1], strict=True)
    ]
    found = [one for one in (interval(each, error) for each in sums) if one is not None]
    return at, np.array([one.low for one in found]), np.array([one.high for one in found])


def coverage(name: str, stream: Stream, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """How often two intervals miss a mean of 0 at some look, and how wide they are."""
    spread = float(stream(np.random.default_rng(options.seed), 200_000).std())
    for kind, method in (("learned range", learned), ("asymptotic", asymptotic)):
        missed, widths = {0.01: 0, 0.05: 0}, []
        for error in missed:
            rng = np.random.default_rng(options.seed)
            for _ in range(options.streams):
                at, low, high = method(error, stream(rng, options.rows))
                missed[error] += bool(((low > 0) | (high < 0)).any())
                widths.append([_half(at, high - low, n) / spread for n in SHOWN])
        row = {"stream": name, "interval": kind}
        row |= {f"missed at {error:.0%}".replace("%", " %"): n / options.streams for error, n in missed.items()}
        half = np.median(widths[-options.streams :], axis=0)
        yield row | {
            f"half width at {n:,}": float(w) if np.isfinite(w) else None for n, w in zip(SHOWN, half, strict=True)
        }


def _half(at: Ints, width: Floats, n: int) -> float:
    return float(width[at == n][0] / 2) if (at == n).any() else inf


def measure_coverage(options: argparse.Namespace) -> tuple[str, list[dict[str, Any]]]:
    streams = (BREAK_EVEN | HARD | RUNS).items()
    return COVERAGE, [row for name, stream in streams for row in coverage(name, stream, options)]


def measure_turning(options: argparse.Namespace) -> tuple[str, list[dict[str, Any]]]:
    rules: dict[str, Rule] = {f"detector, cap {cap:g}": partial(detector, cap) for cap in (1.0, 2.0)}
    rules |= {f"since launch, cap {cap:g}": partial(betting, cap) for cap in (1.0, 2.0)}
    rules |= others(LOSING["normal, mean -0.3 sd"], options.seed)
    rows = [turning(*rule, options) for rule in rules.items()]
    return TURNING, rows + [run_length(name, stream, cap, options) for name, (stream, cap) in CAPPED.items()]


def measure_verdicts(options: argparse.Namespace) -> tuple[str, list[dict[str, Any]]]:
    return VERDICTS, [
        verdict(truth, name, stream, *rule, options)
        for truth, name, stream, rules in cases(options.seed)
        for rule in rules.items()
    ]


TABLES = {"coverage": measure_coverage, "turning": measure_turning, "verdicts": measure_verdicts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("streams", 2_000), ("rows", 3_000), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    options = parser.parse_args()
    for name in options.tables:
        machine = describe(("payoff", "numpy"))
        method, rows = TABLES[name](options)
        run = f"{options.streams:,} streams of {options.rows:,} rows, seed {options.seed}."
        write(name, f"{method} {run}", rows, machine)


if __name__ == "__main__":
    main()
