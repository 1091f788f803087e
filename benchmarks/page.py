"""Writes docs/benchmarks.md from what the cases measured: `python -m benchmarks.page`."""

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, table

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
TITLES = {
    "door": "The door, beside its rivals",
    "hotpath": "What a request costs inside a worker",
    "journal": "The journal",
    "postings": "A million outcomes",
    "workers": "Workers side by side",
    "house": "Start, deploy, kill, memory",
    "verdicts": "Verdicts",
    "refresh": "A hundred endpoints, a million matured predictions each",
    "turning": "A version that turns bad, and false stops",
    "coverage": "Intervals, looked at after every row",
    "framework": "A model in its own framework",
    "runner": "What isolation costs",
    "fastpath": "Converted against native",
    "thousand": "A thousand models",
    "kinds": "Deploying, by kind",
}
HEAD = """\
# Benchmarks

Measured by `make bench CASE=...`, which writes `benchmarks/results/CASE.json`; this page is made from those by
`python -m benchmarks.page`. The machines are shared, so absolute figures move by a factor of two; ratios within one run
are what counts.
"""


GOALS = """\
What was wanted of the door, as ratios of medians in this run, and what came of it. Triton has no packages that `make
bench` could install: it was measured once, on two cores like these and beside the same yardsticks, at 4.0 times FastAPI
(JSON, 32 connections) and 5.9 times `grpc.aio`. The last column is our ratio over its own: *carried over*, not
measured in this run; below 1 payoff is behind it (of times and CPU: above 1). What we lose stays in the tables."""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(case) for case in TITLES if (RESULTS / f"{case}.json").exists())])


def section(case: str) -> str:
    """One case: its table, how it was measured, and on what."""
    found = json.loads((RESULTS / f"{case}.json").read_text())
    goals = f"{GOALS}\n\n{table(found['goals'])}\n\n" if "goals" in found else ""
    tables = f"{goals}{table(found['rows'])}"
    return f"## {TITLES[case]}\n\n{found['method']}\n\n{tables}\n\n{machine(found['machine'])}\n"


def machine(about: dict[str, Any]) -> str:
    """The machine in one sentence."""
    packages = _listed(about["packages"])
    also = "".join(f"; {where}: {_listed(which)}" for where, which in about.get("rivals", {}).items())
    also += f"; stopped early: {about['stopped']}" if "stopped" in about else ""
    return (
        f"{about['date']}, {about['cpu']}, {about['cores']} cores (load {about['load_before']:.1f} before the run), "
        f"{about['system']}, Python {about['python']}; {packages}{also}."
    )


def _listed(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())


if __name__ == "__main__":
    PAGE.write_text(page())
