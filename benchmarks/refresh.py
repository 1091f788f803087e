"""How long until every verdict of a hundred endpoints is up to date, from what is kept and from the rows again?

python -m benchmarks.refresh [--endpoints 100] [--rows 1000000] [--fresh 100]
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.machine import describe, write
from payoff.experiment import explain, facts, in_short, outlook
from payoff.monitor.docket import Docket
from payoff.monitor.guards import held, moves, promotion_blocks
from payoff.monitor.matured import Matured
from payoff.records import Arm, Guard, Policy, Revision, Role, Served, Signature

METHOD = (
    "Each endpoint has a champion and a challenger, watched against the fallback and compared with each other, with "
    "guardrails and the sample ratio: three questions, none decided. One docket is given all rows; the others start as "
    "copies of what it kept, which is what they would have kept themselves. 'all verdicts' is every figure, every "
    "sentence and every order that is due, of all endpoints; 'with fresh rows' judges so many more predictions of "
    "every endpoint first, each asked of both versions; 'from the rows' is one endpoint read anew, the journal's part "
    "left out. The smallest of three runs each; the cores were shared, so what one core spent stands beside the clock."
)
SERVED = Served("onnx", "0" * 64, Signature((), ()))
ARMS = (
    Arm("champion", Role.CHAMPION, "m", 1, SERVED),
    Arm("challenger", Role.CHALLENGER, "m", 2, SERVED, traffic=0.5),
)
POLICY = Policy(
    value="1",
    fallback={"decision": False},
    guards=(
        Guard("loses money", "kill", 0.01, gain_cap=20.0),
        Guard("challenger beats champion", "promote", 0.05, gain_cap=20.0, guardrails={"latency": 0.2, "errors": 0.01}),
    ),
)
BATCH = 100_000


def predictions(rng: np.random.Generator, n: int, start: int) -> Matured:
    """So many predictions, each answered by one version and watched by the other."""
    ids = np.repeat(np.array([f"{number:012}" for number in range(start, start + n)], object), 2)
    arm = np.tile(np.array(["m v1", "m v2"], object), n)
    shadow = np.tile([False, True], n) ^ np.repeat(rng.random(n) < 0.5, 2)
    worth, no = rng.standard_normal(2 * n) * 5, np.zeros(2 * n, bool)
    latency = rng.integers(900, 1_100, 2 * n)
    return Matured(
        ids, np.ones(2 * n, np.int64), arm, worth, np.zeros(2 * n), np.full(2 * n, 1e-6), arm, shadow, no, no, no,
        latency, latency,
    )  # fmt: skip


def empty() -> Docket:
    made = Docket()
    made.ask([Revision("e", 1, 1, "me", "", ARMS, POLICY)])
    return made


def judged(rows: int) -> Docket:
    """A docket that was given this many predictions."""
    made, rng = empty(), np.random.default_rng(1)
    for start in range(0, rows, BATCH):
        made.hear(predictions(rng, min(BATCH, rows - start), start))
    return made


def verdicts(docket: Docket) -> list[object]:
    """All that is said of an endpoint, and all that would be done."""
    told: list[object] = [*moves(docket), *held(docket)]
    for brief in docket.briefs:
        case = docket.case(brief)
        told += [facts(case), explain(case, brief.bar.shared), in_short(case), outlook(case)]
        told += promotion_blocks(docket, brief) if brief.rival else []
    return told


def fastest(work: Callable[[], object], runs: int = 3) -> dict[str, float]:
    """Seconds of the fastest run, by the clock on the wall and by the processor's."""
    found = []
    for _ in range(runs):
        began = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return {"seconds": min(wall for wall, _ in found), "of one core": min(cpu for _, cpu in found)}


def refreshed(dockets: list[Docket], fresh: Matured) -> None:
    """Fresh rows judged everywhere, and all that follows said."""
    for docket in dockets:
        docket.hear(fresh)
        verdicts(docket)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The table."""
    one = judged(options.rows)
    many = [copy.deepcopy(one) for _ in range(options.endpoints)]
    fresh = predictions(np.random.default_rng(2), options.fresh, options.rows)
    kept = max(len(json.dumps(asdict(case))) for case in one.cases.values())
    each = {"endpoints": options.endpoints, "predictions each": options.rows}
    return [
        {"what": "all verdicts", **each, **fastest(lambda: [verdicts(docket) for docket in many])},
        {
            "what": f"with {options.fresh} fresh rows each", **each,
            **fastest(lambda: refreshed(many, fresh)),
        },
        {"what": "from the rows", "endpoints": 1, "predictions each": options.rows,
         **fastest(lambda: judged(options.rows), 1)},
        {"what": "bytes kept per question, as JSON", "endpoints": 1, "predictions each": options.rows, "bytes": kept},
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("endpoints", 100), ("rows", 1_000_000), ("fresh", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    machine = describe(("payoff", "numpy"))
    write("refresh", METHOD, measure(options), machine)


if __name__ == "__main__":
    main()
