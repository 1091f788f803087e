"""What a sample says of its columns, for kinds of models that do not say themselves what they take."""

from __future__ import annotations

from typing import Any

from payoff.flavors.flavor import Arrival


def columns_of(arrival: Arrival) -> dict[str, Any]:
    """The option "columns" of a network: names, types and shapes of the sample's columns; none without a sample."""
    if arrival.sample is None:
        return {}
    from payoff.flavors.sample import rows_of  # Arrow is there if a table is

    fields = rows_of(arrival.sample).fields
    return {
        "columns": [
            {"name": field.name, "type": str(field.type), "shape": list(field.shape), "nullable": field.nullable}
            for field in fields
        ]
    }
