"""Minutes at full load over every door: is any call failed, any row lost or another's, does anything grow?

    python -m benchmarks.soak [--minutes 5]

Callers of every protocol ask without pause, one row or hundreds, on a model of three versions that fails now and then;
meanwhile the journal is compacted, and for the first two thirds versions are promoted, ramped, rolled back, killed and
revived, and workers ended with SIGKILL. Every answer is checked against its own request, and every row of the journal
against what was said. Memory is what a process holds of its own (RssAnon), once a second; its growth is the slope of
the last third.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine
from tests.walks.soak import Report, soak


def rows(report: Report) -> list[dict[str, Any]]:
    """The report as a table of what was counted."""
    counted = {
        "seconds": round(report.seconds),
        "calls": report.calls,
        "rows answered": report.answered,
        "rows per second": report.answered / report.seconds,
        "orders": report.orders.total(),
        "workers killed": report.deaths,
        "connections that broke with them": report.breaks,
        "wrong, refused or lost answers": len(report.wrong) + report.missing,
        "rows of the journal": report.journaled,
        "of them unheard, on a broken connection": report.unheard,
        "of them twice, mixed up or unasked": report.twice + report.mixed + report.unasked,
    }
    grown = {f"MB per minute, {name}": slope for name, slope in report.growth().items()}
    return [{"what": what, "count": count} for what, count in (counted | grown).items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    minutes = parser.parse_args().minutes
    described = machine.describe()
    with tempfile.TemporaryDirectory() as folder:
        report = soak(Path(folder), minutes * 60, deaths=True)
    method = f"{minutes:g} minutes of {len(report.rows)} protocols at once on two workers, from the same machine"
    machine.write("soak", method, rows(report), described, answered=report.rows)
    for wrong in report.wrong:
        sys.stdout.write(f"WRONG {wrong}\n")
    sys.exit(bool(report.wrong or report.missing or report.mixed or report.twice or report.unasked))


if __name__ == "__main__":
    main()
