"""How long a deploy takes, by kind of artefact: with the environment still to be built, and with it there already.

    python -m benchmarks.kinds [--heavy] [--only NAME ...]

Each artefact of tests/kinds is made by its own library, then deployed twice to a payoff with an empty home: "cold" with
no environment built (packages come from uv's cache on disk where they were installed before, else from the index),
"warm" under another name with everything there. "first answer" is one row over HTTP after the warm deploy.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

import payoff
from benchmarks import machine
from payoff.demo.server import Server, running
from tests.kinds.case import Case
from tests.kinds.test_kinds import all_cases, rows_of, train


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--heavy", action="store_true")
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    chosen = [case for case in all_cases() if options.heavy or not case.heavy]
    if options.only:
        chosen = [case for case in all_cases() if case.name in options.only]
    about = machine.describe(machine.PACKAGES)
    rows = []
    for case in chosen:
        try:
            rows.append(measured(case))
        except Exception as error:
            print(f"{case.name}: {error}", file=sys.stderr)
    machine.write("kinds", (__doc__ or "").strip(), rows, about)


def measured(case: Case) -> dict[str, Any]:
    """One kind."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = train(case, folder)
        os.environ["PAYOFF_ENVIRONMENTS"] = str(folder / "environments")
        with running(folder / "home", workers=1) as server:
            cold, _ = deployed(case, made, server, "cold")
            warm, version = deployed(case, made, server, "warm")
            first = asked(made, server, "warm")
    return {
        "artefact": case.name, "runs as": version["served"]["flavor"], "cold s": round(cold, 2),
        "warm s": round(warm, 2), "first answer ms": round(first * 1000, 1),
        "packages": len(version["environment"]),
    }  # fmt: skip


def deployed(case: Case, made: Path, server: Server, name: str) -> tuple[float, dict[str, Any]]:
    """Seconds until every worker answers with it."""
    sample = None if case.sample is None else made / case.sample
    with payoff.connect(server.api) as client:
        began = time.perf_counter()
        client.deploy(made / case.artefact, name, sample=sample, **case.said)
        return time.perf_counter() - began, client.versions(name)[0]


def asked(made: Path, server: Server, name: str) -> float:
    """Seconds for one row."""
    row = rows_of(made)[:1]
    began = time.perf_counter()
    httpx.post(f"{server.inference}/predict/{name}", content=json.dumps(row)).raise_for_status()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
