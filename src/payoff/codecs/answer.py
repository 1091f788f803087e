"""What an endpoint says back, before it is bytes: a flat table of columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from payoff.records.columns import Column
from payoff.records.signature import Field

Listing = Literal["records", "columns"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One row per row asked; `fields` gives names, types and order of the columns.

    Usually: prediction_id, the outputs, decision, arm, version, why, violations. `listing` is for JSON alone:
    a list of records, or one list per column.
    """

    endpoint: str
    revision: int
    columns: Mapping[str, Column]
    fields: tuple[Field, ...]
    listing: Listing = "records"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)
