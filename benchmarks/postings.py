"""A million outcomes through the HTTP door, clean and in disorder, and whether the books agree.

    python -m benchmarks.postings [--rows 1000000]

`payoff up` with one worker; a rule answers all rows on two endpoints, over HTTP. Then what happened is posted with the
client, from a table in memory, in requests of 50,000 rows (Arrow): to one endpoint each outcome once, in order. To the
other 2 % wrong ones first, and all that was posted so far compacted; then, in random order, 80 % of the right ones and
5 % once more; then, compacted again, the 20 % that are late. `micros apart` is the difference of the two books; `cpu_s`
is what client and server computed together, which a machine that others use too does not change.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import payoff
from benchmarks import machine
from payoff.client.endpoint import Endpoint
from payoff.demo.server import running
from payoff.journal.query import Journal
from payoff.journal.statement import Line
from payoff.records import Field, Type
from tests.walks import models

RULE = "rule: inputs.x * 2\noutput: score\ninputs: {x: float64}\n"
FILE = """
endpoint: {name}
arms:
  champion: {{model: double, version: 1}}
decision: outputs.score > 1
value: case when decision then outcome.gain else 0 end
fallback: {{decision: false}}
"""
VALUE = "case when decision then outcome.gain else 0 end"
DECLARED = {"outcome": (Field("gain", Type.FLOAT64),)}
LATE, REPEATED, CORRECTED = 0.20, 0.05, 0.02


@dataclass
class Clock:
    """Adds up what was posted and how long it took."""

    server: int  # its process
    rows: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0

    def post(self, endpoint: Endpoint, table: pa.Table) -> None:
        """Tell an endpoint all of a table."""
        began, computed = time.perf_counter(), computed_s(self.server)
        done = endpoint.outcomes(table)
        self.seconds += time.perf_counter() - began
        self.cpu_s += computed_s(self.server) - computed
        self.rows += table.num_rows
        if done["accepted"] != table.num_rows:
            raise SystemExit(f"only {done['accepted']:,} of {table.num_rows:,} were accepted: {done['refusals']}")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    about = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder), options.rows)
    machine.write("postings", (__doc__ or "").strip(), rows, about)


def measured(folder: Path, n: int) -> list[dict[str, Any]]:
    """Both endpoints, asked, told and compared."""
    chance = np.random.default_rng(4)
    asked = pa.table({"x": chance.random(n)})
    gains = np.round(chance.normal(0.1, 30.0, n), 6)
    home = folder / "home"
    (folder / "double.yaml").write_text(RULE)
    with running(home, workers=1) as server:
        client = payoff.connect(server.api)
        client.deploy(str(folder / "double.yaml"), name="double", endpoint="clean")
        client.deploy(str(folder / "double.yaml"), name="double", endpoint="messy")
        told, answering = {}, 0.0
        for name in ("clean", "messy"):
            client.apply(FILE.format(name=name))
            began = time.perf_counter()
            told[name] = pa.table(
                {"prediction_id": client.endpoint(name).predict(asked)["prediction_id"], "gain": gains}
            )
            answering += time.perf_counter() - began
        clean, messy = Clock(server.pid), Clock(server.pid)
        clean.post(client.endpoint("clean"), told["clean"])
        post_in_disorder(client.endpoint("messy"), told["messy"], chance, messy, home)
    one, other = (book(home, name) for name in ("clean", "messy"))
    return [
        {
            "figure": "answer, Arrow over HTTP",
            "rows": 2 * n,
            "seconds": answering,
            "rows_per_s": round(2 * n / answering),
        },
        line("post outcomes, each once, in order", clean),
        line("post outcomes, late, repeated, corrected, in random order", messy),
        {"figure": "micros apart", "rows": other.valued, "micros": one.value_micros - other.value_micros},
    ]


def post_in_disorder(
    endpoint: Endpoint, right: pa.Table, chance: np.random.Generator, clock: Clock, home: Path
) -> None:
    """Wrong ones first, then most of the right ones with some twice, then the late ones."""
    n = right.num_rows
    wrong = right.take(chance.choice(n, int(n * CORRECTED), replace=False))
    clock.post(endpoint, wrong.set_column(1, "gain", pa.array(np.full(wrong.num_rows, -1e6))))
    compact(home)
    order = chance.permutation(n)
    late, soon = order[: int(n * LATE)], order[int(n * LATE) :]
    again = chance.choice(soon, int(n * REPEATED), replace=False)
    clock.post(endpoint, right.take(chance.permutation(np.concatenate([soon, again]))))
    compact(home)
    clock.post(endpoint, right.take(late))


def computed_s(server: int) -> float:
    """CPU seconds so far, of this process and of a server's processes that live."""
    own, ticks = time.process_time(), os.sysconf("SC_CLK_TCK")
    for pid in (server, *models.children(server)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own += (int(fields[11]) + int(fields[12])) / ticks
    return own


def compact(home: Path) -> None:
    """What is in closed segments goes into the tables."""
    subprocess.run([sys.executable, "-m", "payoff.journal.compact", str(home)], check=True, capture_output=True)


def book(home: Path, name: str) -> Line:
    """The sums of the one version of an endpoint."""
    journal = Journal(home)
    try:
        (found,) = journal.statement(name, VALUE, declared=DECLARED)
    finally:
        journal.close()
    return found


def line(figure: str, clock: Clock) -> dict[str, Any]:
    """One row of the table."""
    return {
        "figure": figure,
        "rows": clock.rows,
        "seconds": clock.seconds,
        "cpu_s": clock.cpu_s,
        "rows_per_s": round(clock.rows / clock.seconds),
    }


if __name__ == "__main__":
    main()
