"""What an endpoint's versions earned: easy to read at a prompt, easy to turn into a frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COLUMNS = ("version", "role", "answered", "matured", "value", "cost", "net", "low", "high", "vs_fallback", "verdict")


@dataclass(frozen=True)
class Roi:
    """One row per version. Money is in units of `currency`, `low` and `high` bound the net."""

    endpoint: str
    currency: str
    rows: list[dict[str, Any]]
    note: str = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, version: int | None) -> dict[str, Any]:
        """The row of a version; None is the fallback."""
        return next(row for row in self.rows if row["version"] == version)

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame."""
        import pandas  # type: ignore[import-untyped]

        return pandas.DataFrame(self.rows)

    def __repr__(self) -> str:
        lines = [[_cell(row.get(name)) for name in COLUMNS] for row in self.rows]
        widths = [max(len(line[i]) for line in [list(COLUMNS), *lines]) for i in range(len(COLUMNS))]
        text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in [list(COLUMNS), *lines]]
        return "\n".join([f"{self.endpoint}, in {self.currency}", *text, *([self.note] if self.note else [])])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
