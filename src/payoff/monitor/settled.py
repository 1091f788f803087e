"""All matured rows of an endpoint at once, for a report: with fees, and with what was known before the decision."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payoff.journal.query import Journal
from payoff.ledger.prices import Prices
from payoff.monitor.docket import Shares
from payoff.monitor.evidence import SETTLE_US
from payoff.monitor.matured import Matured, matured
from payoff.monitor.worth import Worth
from payoff.records.endpoint import Revision

BATCH = 1_000_000  # rows read in one go


@dataclass(frozen=True, slots=True)
class Settled:
    """`rows` in the order of the decisions; `covariate` has a number for each, NaN where not known."""

    rows: Matured
    covariate: NDArray[np.float64]
    shares: dict[int, Shares]


def settled(
    journal: Journal, past: "list[Revision]", worth: Worth, prices: Prices, now_us: int, fee_sql: str | None = None
) -> Settled:
    """Every row that counts by now, under the last revision's idea of worth."""
    tables: list[pa.Table] = []
    after: str | None = None
    while True:
        found = journal.matured(
            past[-1].endpoint, after, worth.value, worth.fallback, worth.window_s, now_us, BATCH,
            settle_s=SETTLE_US / 1e6, declared=worth.declared, matures=worth.matures, fee_sql=fee_sql,
            covariate_sql=worth.covariate,
        )  # fmt: skip
        tables.append(found.rows)
        if found.rows.num_rows < BATCH:
            break
        after = found.last_id
    table = pa.concat_tables(tables)
    column: Any = table["covariate"].cast(pa.float64())
    shares = {one.number: Shares.of(one) for one in past}
    return Settled(matured(table, past, prices), column.to_numpy(zero_copy_only=False), shares)
