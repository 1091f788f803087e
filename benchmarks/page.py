"""Writes docs/benchmarks.md from what the cases measured: `python -m benchmarks.page`."""

import json
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, table

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
TITLES = {
    "door": "The door: single rows over HTTP",
    "journal": "The journal",
    "postings": "A million outcomes",
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


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(case) for case in TITLES if (RESULTS / f"{case}.json").exists())])


def section(case: str) -> str:
    """One case: its table, how it was measured, and on what."""
    found = json.loads((RESULTS / f"{case}.json").read_text())
    return f"## {TITLES[case]}\n\n{found['method']}\n\n{table(found['rows'])}\n\n{machine(found['machine'])}\n"


def machine(about: dict[str, Any]) -> str:
    """The machine in one sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"{about['date']}, {about['cpu']}, {about['cores']} cores (load {about['load_before']:.1f} before the run), "
        f"{about['system']}, Python {about['python']}; {packages}."
    )


if __name__ == "__main__":
    PAGE.write_text(page())
