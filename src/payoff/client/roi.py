"""What an endpoint's versions earned: easy to read at a prompt, easy to turn into a frame."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

COLUMNS = ("version", "role", "answered", "matured", "value", "cost", "net", "low", "high", "vs_fallback", "verdict")


@dataclass(frozen=True)
class Roi:
    """Money in units of `currency`; `low` and `high` bound the net of a row.

    `rows` are the versions that answered (and the fallback, whose version is None); `watched` those that only watched:
    what they would have earned, never part of `total`. `note` is the conclusion in words.
    """

    endpoint: str
    currency: str
    rows: list[dict[str, Any]]
    watched: list[dict[str, Any]] = field(default_factory=list)
    total: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    assumptions: list[str] = field(default_factory=list)

    @staticmethod
    def read(said: dict[str, Any]) -> "Roi":
        """From the API's reply."""
        return Roi(
            said["endpoint"], said["currency"], said["versions"], said["watched"], said["total"], said["note"],
            said["assumptions"],
        )  # fmt: skip

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_frame(self) -> Any:
        """All rows as a pandas DataFrame; `watched` tells which are only what would have been."""
        import pandas

        said = [(row, False) for row in self.rows] + [(row, True) for row in self.watched]
        return pandas.DataFrame([row | {"watched": watched} for row, watched in said])

    def __repr__(self) -> str:
        lines = [list(COLUMNS), *([_cell(named(row).get(name)) for name in COLUMNS] for row in self.rows)]
        lines += [[_cell((named(row) | {"role": "watched"}).get(name)) for name in COLUMNS] for row in self.watched]
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([f"{self.endpoint}, in {self.currency}", *text, *([self.note] if self.note else [])])


def named(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its version as people say it: "term-deposit v3", or "fallback"."""
    return row | {"version": f"{row['model']} v{row['version']}" if row["model"] else "fallback"}


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
