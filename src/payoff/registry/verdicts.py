"""Verdicts on file: what was concluded, from what, under which settings, by which software. Functions over a
connection: who calls them opens the transaction.

A verdict is kept whole as JSON, in which an infinite e-value is written Infinity; what people ask for in SQL stands in
columns beside it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa

from payoff.errors import BadInput, NotFound
from payoff.records.events import Verdict
from payoff.records.names import check
from payoff.registry.pages import page
from payoff.registry.schema import verdicts


@dataclass(frozen=True, slots=True)
class Filed:
    """A verdict as it was concluded. `evidence_digest` names the blob with the rows; `software` is payoff's version."""

    id: int
    endpoint: str
    at_us: int
    verdict: Verdict
    settings: dict[str, Any] = field(default_factory=dict)
    evidence_digest: str = ""
    software: str = ""


def add(db: sa.Connection, filed: Filed) -> Filed:
    """The verdict with its id; ids grow."""
    check(filed.endpoint, "endpoint")
    row = _row(filed)
    row["id"] = db.execute(verdicts.insert().values(row).returning(verdicts.c.id)).scalar_one()
    return _filed(row)


def found(db: sa.Connection, endpoint: str | None, limit: int, before: int | None) -> list[Filed]:
    """The verdicts, newest first; about one endpoint or about all."""
    query = page(sa.select(verdicts), verdicts.c.id, limit, before)
    if endpoint is not None:
        query = query.where(verdicts.c.endpoint == endpoint)
    return [_filed(row._mapping) for row in db.execute(query)]


def one(db: sa.Connection, wanted: int) -> Filed:
    """By its id; NotFound says how to find the right one."""
    row = db.execute(sa.select(verdicts).where(verdicts.c.id == wanted)).first()
    if row is None:
        raise NotFound(f"no verdict has the number {wanted}; list an endpoint's verdicts to see theirs")
    return _filed(row._mapping)


def _row(filed: Filed) -> dict[str, Any]:
    said = filed.verdict
    if any(math.isnan(number) for number in (said.e_value, said.threshold, said.mean)):
        raise BadInput(f"a verdict on {said.model} v{said.version} holds no number where one belongs: {said}")
    return {
        "endpoint": filed.endpoint, "at_us": filed.at_us,
        "model": said.model, "version": said.version, "question": said.question, "tested": said.tested,
        "e_value": said.e_value, "mean": said.mean, "verdict": json.dumps(asdict(said)),
        "settings": _settings(filed.settings), "evidence_digest": filed.evidence_digest, "software": filed.software,
    }  # fmt: skip


def _settings(settings: Mapping[str, Any]) -> str:
    try:
        return json.dumps(settings)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"the settings of a verdict cannot be kept: {error}") from error


def _filed(row: Mapping[Any, Any]) -> Filed:
    verdict = msgspec.convert(json.loads(row["verdict"]), Verdict)
    settings = json.loads(row["settings"])
    return Filed(row["id"], row["endpoint"], row["at_us"], verdict, settings, row["evidence_digest"], row["software"])
