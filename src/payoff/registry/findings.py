"""What monitors found. Functions over a connection: who calls them opens the transaction."""

import sqlalchemy as sa

from payoff.errors import BadInput
from payoff.records.events import Finding
from payoff.records.names import check
from payoff.registry import rows
from payoff.registry.pages import page
from payoff.registry.schema import findings

SEVERITIES = ("info", "warning", "alarm")


def add(db: sa.Connection, finding: Finding) -> Finding:
    """The finding with its id; ids grow."""
    check(finding.endpoint, "endpoint")
    if finding.severity not in SEVERITIES:
        raise BadInput(f"severity is {finding.severity!r}; expected one of {', '.join(SEVERITIES)}")
    row = rows.row(finding)
    del row["id"]
    row["id"] = db.execute(findings.insert().values(row).returning(findings.c.id)).scalar_one()
    return rows.read(Finding, row)


def found(db: sa.Connection, endpoint: str | None, limit: int, before: int | None) -> list[Finding]:
    """The findings, newest first; about one endpoint or about all."""
    query = page(sa.select(findings), findings.c.id, limit, before)
    if endpoint is not None:
        query = query.where(findings.c.endpoint == endpoint)
    return [rows.read(Finding, row) for row in db.execute(query)]
