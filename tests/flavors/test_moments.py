"""Moments in a sample: JSON has them as text and CSV as dates, where a model takes timestamps."""

import numpy as np
import pyarrow as pa
import pytest

from payoff.errors import BadInput
from payoff.flavors.fit import conform
from payoff.flavors.sample import rows_of
from payoff.records.signature import Field, Type


@pytest.mark.parametrize(
    "values",
    [["2026-01-02T00:00:00", None], ["2026-01-02T00:00:00.000", None], pa.array([20455, None], pa.date32())],
    ids=["text", "with fractions", "dates"],
)
def test_text_and_dates_become_timestamps(values: list[str | None]) -> None:
    column = conform(rows_of(pa.table({"at": values})), (Field("at", Type.TIMESTAMP, (), True),)).columns["at"]
    assert column.values[0] == np.datetime64("2026-01-02", "us")
    assert column.valid is not None
    assert column.valid.tolist() == [True, False]


def test_text_that_is_no_moment_is_refused_with_its_row() -> None:
    sample = rows_of(pa.table({"at": ["2026-01-02T00:00:00", "soon"]}))
    with pytest.raises(BadInput, match="column 'at' of the sample, row 1: 'soon' is no timestamp"):
        conform(sample, (Field("at", Type.TIMESTAMP),))
