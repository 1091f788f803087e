"""Traces of calls for OpenTelemetry: which calls are traced, by W3C Trace Context, and the spans each becomes.

A trace that begins here has the id of the call's first prediction, without its dashes: who has the one finds the other.
Spans are made and sent on a thread of their own; a call that is not traced costs a look at its header.
"""

import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from payoff.codecs.otlp import INTERNAL, SERVER, Span, Value
from payoff.gateway.exporter import Exporter
from payoff.gateway.per_second import PerSecond
from payoff.serving.line import Call
from payoff.serving.onlookers import arms
from payoff.serving.reply import Answered
from payoff.serving.stopwatch import Lap

IDS_MAX = 16  # predictions that a span names
CALLS_PER_S_MAX = 200  # traced by one worker; a flood must not keep it from its work
_STATE_MAX = 512
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of the caller, as it said."""

    trace: bytes
    span: bytes
    sampled: bool


@dataclass(frozen=True, slots=True)
class Traced:
    """All that spans are made of."""

    parent: Parent | None
    state: str
    name: str
    arrived_us: int
    ended_us: int
    stages_ns: Mapping[str, int]
    attributes: Mapping[str, Value]
    ids: Sequence[str]
    failed: str | None = None


def parent(header: str | None) -> Parent | None:
    """A traceparent header (W3C Trace Context, level 2, section 3.2); None if there is none or it is not valid."""
    found = _PARENT.fullmatch(header.strip()) if header else None
    if found is None or ((header or "").startswith("00") and len((header or "").strip()) != 55):
        return None
    trace, span, flags = found.groups()
    return Parent(bytes.fromhex(trace), bytes.fromhex(span), bool(int(flags, 16) & 1))


class Tracer:
    """Traces calls whose caller does, and a `share`, 0 to 1, of those that come without a trace."""

    def __init__(self, exporter: Exporter, share: float) -> None:
        self._exporter = exporter
        self._share = share
        self._calls = PerSecond(CALLS_PER_S_MAX)

    def saw(self, batch: Sequence[Call], whole: Answered, lap: Lap) -> None:
        """The calls of a batch that are traced."""
        start = 0
        for call in batch:
            rows = slice(start, start + call.count)
            start = rows.stop
            above = parent(_said(call, b"traceparent"))
            if self._traces(above):
                fields = {**_about(call), "payoff.arm": arms(whole, rows), "payoff.batch_rows": len(whole.arms)}
                ids, stages_ns = whole.ids[rows], lap.stages_ns(call.arrived_us)
                self._take(call, above, lap.ended_us, stages_ns, fields, ids)

    def missed(self, batch: Sequence[Call], error: Exception, ended_us: int) -> None:
        """The same for calls without an answer."""
        for call in batch:
            above = parent(_said(call, b"traceparent"))
            if self._traces(above):
                self._take(call, above, ended_us, {}, _about(call), (), f"{type(error).__name__}: {error}"[:500])

    def close(self) -> None:
        """Send what is left."""
        self._exporter.close()

    def _traces(self, above: Parent | None) -> bool:
        if not (above.sampled if above is not None else random.random() < self._share):  # noqa: S311 - no secret
            return False
        if self._calls.take():
            return True
        self._exporter.drop(1)
        return False

    def _take(
        self, call: Call, above: Parent | None, ended_us: int, stages_ns: Mapping[str, int],
        attributes: Mapping[str, Value], ids: Sequence[str], failed: str | None = None,
    ) -> None:  # fmt: skip
        state = (_said(call, b"tracestate") or "")[:_STATE_MAX] if above is not None else ""
        name = f"infer {call.live.name}"
        traced = Traced(above, state, name, call.arrived_us, ended_us, stages_ns, attributes, ids, failed)
        self._exporter.take(lambda: spans(traced))


def spans(traced: Traced) -> Iterator[Span]:
    """The server's span of a call, and one below it for each stage."""
    above = traced.parent
    first = bytes.fromhex(traced.ids[0].replace("-", "")) if traced.ids else os.urandom(16)
    trace, own = above.trace if above else first, os.urandom(8)
    attributes = {**traced.attributes, "payoff.prediction_id": list(traced.ids[:IDS_MAX])}
    at_ns = traced.arrived_us * 1_000
    yield Span(
        trace=trace, id=own, parent=above.span if above else b"", name=traced.name, kind=SERVER, start_ns=at_ns,
        end_ns=traced.ended_us * 1_000, attributes=attributes, state=traced.state, failed=traced.failed,
    )  # fmt: skip
    for stage, took_ns in traced.stages_ns.items():
        yield Span(trace, os.urandom(8), own, stage, INTERNAL, at_ns, at_ns + took_ns, state=traced.state)
        at_ns += took_ns


def _about(call: Call) -> dict[str, Value]:
    return {
        "payoff.endpoint": call.live.name, "payoff.revision": call.live.revision.number,
        "payoff.form": call.form.name, "payoff.rows": call.count,
        "client.address": getattr(call.caller, "address", ""),
    }  # fmt: skip


def _said(call: Call, header: bytes) -> str | None:
    """A header, of a caller that has any: those of every door keep theirs in their `head`."""
    head = getattr(call.caller, "head", None)
    value: bytes | None = None if head is None else head.headers.get(header)
    return None if value is None else value.decode("latin-1")
