"""A row that an endpoint takes, to show and to try: from its champion's own sample, if there was one."""

import json
import shlex
from datetime import date, datetime
from typing import Any

from payoff.codecs.cells import listed
from payoff.errors import PayoffError
from payoff.flavors.rowfile import read_rows
from payoff.records import Field, Revision, Role, Type, merge
from payoff.store.blobs import Blobs

_PLAIN: dict[Type, Any] = {Type.TEXT: "text", Type.BOOL: True, Type.DATE: "2008-05-05",
                           Type.TIMESTAMP: "2008-05-05T12:00:00Z"}  # fmt: skip


def row(revision: Revision, blobs: Blobs) -> dict[str, Any]:
    """One row with every input of the endpoint."""
    known = _sampled(revision, blobs)
    return {field.name: known.get(field.name, _made_up(field)) for field in merge.inputs(revision)}


def curl(url: str, one: dict[str, Any], asks_for_key: bool) -> str:
    """A line for a shell that sends the row."""
    key = ' -H "authorization: Bearer $PAYOFF_KEY"' if asks_for_key else ""
    body = shlex.quote(json.dumps([one], ensure_ascii=False))
    return f"curl -s {shlex.quote(url)} -H 'content-type: application/json'{key} -d {body}"


def _sampled(revision: Revision, blobs: Blobs) -> dict[str, Any]:
    arm = revision.arm(Role.CHAMPION) or revision.arms[0]
    if arm.served.golden is None:
        return {}
    try:
        groups, _ = read_rows(blobs.path(arm.served.golden))
    except PayoffError:
        return {}
    inputs = groups["inputs"]
    if not len(inputs):
        return {}
    return {name: _as_json(listed(column.take(slice(0, 1)))[0]) for name, column in inputs.columns.items()}


def _as_json(value: Any) -> Any:
    """Dates and moments as text."""
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    return value.isoformat() if isinstance(value, date) else value


def _made_up(field: Field) -> Any:
    if field.nullable:
        return None
    value = _PLAIN.get(field.type, 1.0 if field.type.is_float else 1)
    for size in reversed(field.shape):
        value = [value] * size
    return value
