"""What an endpoint's versions earned: easy to read at a prompt, easy to turn into a frame or a page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

COLUMNS = ("version", "role", "answered", "matured", "value", "cost", "net", "low", "high", "against", "verdict")
FIELDS = {
    "endpoint": "string", "currency": "string", "watched": "bool", "model": "string", "version": "int64",
    "role": "string", "answered": "int64", "matured": "int64", "unknown": "int64", "in_flight": "int64",
    "early": "int64", "early_value": "double", "value": "double", "cost": "double", "net": "double", "low": "double",
    "high": "double", "vs_fallback": "double", "vs_low": "double", "vs_high": "double", "roi": "double",
    "cost_per_thousand": "double", "break_even_per_day": "double", "verdict": "string", "explanation": "string",
    "e_value": "double", "threshold": "double", "tested": "int64", "compute": "double", "fees": "double",
    "idle": "double", "overhead": "double", "fixed": "double", "uplift_baseline": "string", "uplift_causal": "bool",
    "uplift_net": "double", "uplift_low": "double", "uplift_high": "double", "uplift_per_decision": "double",
}  # fmt: skip
_PARTS = ("compute", "fees", "idle", "overhead", "fixed")


@dataclass(frozen=True)
class Roi:
    """Money in units of `currency`; `low` and `high` bound the net of a row.

    `rows` are the versions that answered (and the fallback, whose version is None); `watched` those that only watched:
    what they would have earned, never part of `total`. `headline` is the net value against a named baseline, None where
    there is none. `note` is the conclusion in words, `said` all that the server said.
    """

    endpoint: str
    currency: str
    rows: list[dict[str, Any]]
    watched: list[dict[str, Any]] = field(default_factory=list)
    total: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    assumptions: list[str] = field(default_factory=list)
    headline: dict[str, Any] | None = None
    in_flight: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def read(said: dict[str, Any]) -> "Roi":
        """From the API's reply."""
        return Roi(
            said["endpoint"], said["currency"], said["versions"], said["watched"], said["total"], said["note"],
            said["assumptions"], said["headline"], said["in_flight"], said,
        )  # fmt: skip

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_frame(self) -> Any:
        """All rows as a pandas DataFrame; `watched` tells which are only what would have been."""
        import pandas

        return pandas.DataFrame(flat([self]))

    def __repr__(self) -> str:
        lines = [list(COLUMNS), *([_cell(named(row).get(name)) for name in COLUMNS] for row in self.rows)]
        lines += [[_cell((named(row) | {"role": "watched"}).get(name)) for name in COLUMNS] for row in self.watched]
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([f"{self.endpoint}, in {self.currency}", *text, *([self.note] if self.note else [])])


def flat(found: Sequence[Roi]) -> list[dict[str, Any]]:
    """A record of FIELDS per version, of one or several statements, without anything nested: for tables and files.

    A gain stands beside the name of what it is a gain over.
    """
    return [
        {"endpoint": one.endpoint, "currency": one.currency, "watched": watched, **_flat(row)}
        for one in found
        for rows, watched in ((one.rows, False), (one.watched, True))
        for row in rows
    ]


def table(found: Sequence[Roi]) -> "pyarrow.Table":
    """The same as an Arrow table: for Parquet."""
    import pyarrow as pa

    named_type: Any = pa.type_for_alias  # which its stubs know for literals only
    fields = [(name, named_type(kind)) for name, kind in FIELDS.items()]
    return pa.Table.from_pylist(flat(found), schema=pa.schema(fields))


def named(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its version as people say it ("term-deposit v3", "fallback"), and its gain over a named baseline."""
    return row | {
        "version": f"{row['model']} v{row['version']}" if row["model"] else "fallback",
        "against": against(row["uplift"]),
    }


def against(uplift: dict[str, Any] | None) -> str | None:
    """A gain with its baseline, in words; never one without the other."""
    if uplift is None:
        return None
    side = "more" if uplift["net"] >= 0 else "less"
    causal = "" if uplift["causal"] else " (not causal)"
    return f"{abs(uplift['net']):,.2f} {side} than {uplift['baseline']}{causal}"


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    uplift = row["uplift"] or {}
    plain = {name: value for name, value in row.items() if name not in ("uplift", "parts")}
    told = {f"uplift_{name}": uplift.get(name) for name in ("baseline", "causal", "net", "low", "high", "per_decision")}
    return plain | {name: row["parts"][name] for name in _PARTS} | told


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
