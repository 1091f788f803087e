"""Answers and endpoints as the Open Inference Protocol speaks of them."""

from typing import Any

import orjson

from payoff.codecs import oip, oip_reply, schema
from payoff.gateway import table
from payoff.gateway.http import Reply
from payoff.records import Field, Signature
from payoff.serving import Answered, Live

_WHY = {field.name for field in table.WHY}


def outputs(live: Live) -> tuple[Field, ...]:
    """The tensors an endpoint answers with: ids, outputs, decision, and for each row why."""
    return table.fields(live.outputs, live.decision_type)


def decode(live: Live, body: bytes, header_length: int | None, rows_max: int) -> oip.Request:
    """A request, checked whole before any model runs: its inputs, and that the outputs it wants exist."""
    asked = oip.decode(body, live.inputs, header_length, rows_max=rows_max)
    oip_reply.pick(asked, outputs(live))
    return asked


def reply(answered: Answered, asked: oip.Request) -> Reply:
    """Outputs, decision and ids as tensors; where all rows have the same why, it comes once, as parameters."""
    flat = table.flat(answered, "records")
    parameters: dict[str, Any] = {"revision": flat.revision}
    fields = flat.fields
    if asked.outputs is None and _same_why(answered):
        fields = tuple(field for field in fields if field.name not in _WHY)
        parameters |= _why(answered)
    version = str(flat.revision)
    body, head = oip_reply.reply(asked, flat.endpoint, version, flat.columns, fields, parameters)
    if head is None:
        return Reply(body)
    return Reply(body, b"application/octet-stream", headers=b"inference-header-content-length: %d\r\n" % head)


def metadata(live: Live) -> Reply:
    """What the endpoint takes and gives. The version of an endpoint is its revision."""
    signature = Signature(live.inputs, outputs(live))
    return Reply(orjson.dumps(schema.metadata(live.name, [str(live.revision.number)], signature)))


def _same_why(answered: Answered) -> bool:
    return len(set(answered.arms)) == 1 == len(set(answered.whys)) and not any(answered.violations)


def _why(answered: Answered) -> dict[str, Any]:
    said = {"arm": answered.arms[0], "version": answered.versions[0], "why": answered.whys[0]}
    return {name: value for name, value in said.items() if value is not None}
