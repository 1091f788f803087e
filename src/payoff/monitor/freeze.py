"""Before a guard acts: the rows its verdict rests on are read again, judged again, and frozen.

What is acted on is what the books say now: an outcome that was corrected since counts as corrected, and if the verdict
does not hold any more nothing follows. The rows go to the home's artefacts as Parquet, by their sha256; the verdict to
the registry, with its settings and the version of the software, so that `payoff.experiment.again` can repeat it.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from payoff.errors import PayoffError
from payoff.experiment.frozen import again, pack, settings
from payoff.experiment.verdict import Case, Rows
from payoff.journal.query import Journal
from payoff.ledger.prices import Prices
from payoff.monitor.docket import Docket, key, told
from payoff.monitor.evidence import before, read
from payoff.monitor.guards import standing
from payoff.monitor.lives import Brief
from payoff.monitor.matured import matured
from payoff.monitor.worth import Worth
from payoff.records.endpoint import Revision
from payoff.registry import Filed, Registry
from payoff.store.blobs import Blobs
from payoff.version import VERSION

DAY_US = 86_400_000_000
_LISTED_MAX = 20
_WORDS_MAX = 200
_LAST_ROWS = 1_000
_PARQUET: Any = pq


def reread(
    docket: Docket, journal: Journal, past: Sequence[Revision], brief: Brief, terms: tuple[Worth, Prices], now_us: int
) -> tuple[Case, Rows]:
    """The case of a brief, judged again on the rows up to the one that reached it, and these rows."""
    case = docket.case(brief)
    rows = _tested(docket, journal, past, brief, terms, now_us)
    found = again(settings(case), rows)
    if found.reached:
        docket.cases[key(brief)] = found
    return found, rows


def _tested(
    docket: Docket, journal: Journal, past: Sequence[Revision], brief: Brief, terms: tuple[Worth, Prices], now_us: int
) -> Rows:
    worth, prices = terms
    last_id, after, parts = docket.case(brief).last_id or "", before(brief.since, past), []
    while True:
        found = read(journal, past, after, worth, prices, now_us)
        rows = told(brief, matured(found.rows, past, prices), docket.shares)
        parts.append(rows.take(np.asarray(rows.ids <= last_id, np.bool_)))
        if found.last_id is None or found.last_id in (after, last_id) or found.last_id > last_id:
            return _joined(parts)
        after = found.last_id


def _joined(parts: Sequence[Rows]) -> Rows:
    drawn = parts[0].weight is not None
    ids, money, swing = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "money", "swing"))
    if not drawn:
        return Rows(ids, money, swing)
    weight, scale = (np.concatenate([getattr(part, name) for part in parts]) for name in ("weight", "scale"))
    return Rows(ids, money, swing, weight, scale)


def file(registry: Registry, blobs: Blobs, endpoint: str, brief: Brief, case: Case, rows: Rows, now_us: int) -> Filed:
    """Keep the verdict with all it rests on; one that is kept already is not kept twice."""
    known = (filed for filed in registry.verdicts(endpoint) if filed.settings.get("standing") == standing(brief))
    digest = blobs.put(pack(rows))
    same = next((filed for filed in known if filed.evidence_digest == digest), None)
    if same is not None:
        return same
    said = {**settings(case), "standing": standing(brief), "shared": brief.bar.shared}
    if brief.guard is not None:
        said |= {"when": brief.guard.when, "do": brief.guard.do}
    return registry.add_verdict(endpoint, now_us, case.verdict(), said, digest, VERSION)


def last_rows(journal: Journal, blobs: Blobs, endpoint: str) -> dict[str, str]:
    """The endpoint's newest predictions, frozen, for orders that follow from no verdict. None of it may stop a kill."""
    file = io.BytesIO()
    try:
        _PARQUET.write_table(journal.predictions(endpoint, _LAST_ROWS), file, compression="zstd")
        return {"rows": blobs.put(file.getvalue())}
    except (PayoffError, OSError) as error:
        return {"rows_missing": str(error)[:_WORDS_MAX]}


def changed(registry: Registry, endpoint: str, now_us: int) -> dict[str, list[dict[str, Any]]]:
    """What was different in the 24 hours before: orders with the revisions they made, and findings, newest first."""
    since = now_us - DAY_US
    return {
        "orders": [
            {"id": order.id, "at_us": order.at_us, "verb": order.verb, "author": order.author,
             "reason": order.reason[:_WORDS_MAX], "before": order.before, "after": order.after}
            for order in registry.orders(endpoint, limit=_LISTED_MAX)
            if order.at_us >= since
        ],
        "findings": [
            {"id": finding.id, "at_us": finding.at_us, "monitor": finding.monitor, "severity": finding.severity,
             "text": finding.text[:_WORDS_MAX]}
            for finding in registry.findings(endpoint, limit=_LISTED_MAX)
            if finding.at_us >= since
        ],
    }  # fmt: skip
