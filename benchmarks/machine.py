"""What a figure was measured on and with: written beside every figure."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("payoff", "numpy", "onnxruntime", "orjson", "httptools", "uvloop", "duckdb", "deltalake", "pyarrow")


def describe(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """The machine and the versions, without anything that names it."""
    model = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "load_before": os.getloadavg()[0],
        "date": datetime.now(UTC).date().isoformat(),
    }


def write(case: str, method: str, rows: list[dict[str, Any]], machine: dict[str, Any], **more: Any) -> None:
    """Print the table and keep it as `results/CASE.json`, with whatever else belongs to it."""
    RESULTS.mkdir(exist_ok=True)
    content = {"case": case, "method": method, "machine": machine, "rows": rows, **more}
    (RESULTS / f"{case}.json").write_text(json.dumps(content, indent=1) + "\n")
    sys.stdout.write(table(rows) + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "")


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
