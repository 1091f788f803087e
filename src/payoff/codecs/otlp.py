"""Spans as OpenTelemetry's collectors take them: an ExportTraceServiceRequest in protobuf.

Field numbers: opentelemetry-proto 1.x, trace/v1/trace.proto, common/v1/common.proto, resource/v1/resource.proto.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from payoff.codecs.wire import FIXED64, VARINT, piece, varint

SERVER, INTERNAL = 2, 1
_ERROR = 2
Value = str | bool | int | float | Sequence[str]


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of work. `parent` is empty for the first of a trace; `failed` says what went wrong, if anything."""

    trace: bytes  # 16
    id: bytes  # 8
    parent: bytes
    name: str
    kind: int
    start_ns: int  # since 1970
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    state: str = ""  # the caller's tracestate
    failed: str | None = None


def export(resource: Mapping[str, Value], scope: str, version: str, spans: Iterable[Span]) -> bytes:
    """The request that brings these spans of one process."""
    scope_spans = piece(1, _text(1, scope) + _text(2, version)) + b"".join(piece(2, _span(one)) for one in spans)
    return piece(1, piece(1, _attributes(1, resource)) + piece(2, scope_spans))


def _span(span: Span) -> bytes:
    made = piece(1, span.trace) + piece(2, span.id)
    if span.state:
        made += _text(3, span.state)
    if span.parent:
        made += piece(4, span.parent)
    made += _text(5, span.name) + _whole(6, span.kind) + _fixed(7, span.start_ns) + _fixed(8, span.end_ns)
    made += _attributes(9, span.attributes)
    if span.failed is not None:
        made += piece(15, _text(2, span.failed) + _whole(3, _ERROR))
    return made


def _attributes(number: int, attributes: Mapping[str, Value]) -> bytes:
    return b"".join(piece(number, _text(1, name) + piece(2, _value(value))) for name, value in attributes.items())


def _value(value: Value) -> bytes:
    """An AnyValue."""
    if isinstance(value, str):
        return _text(1, value)
    if isinstance(value, bool):
        return _whole(2, int(value))
    if isinstance(value, int):
        return _whole(3, value)
    if isinstance(value, float):
        return _tag(4, FIXED64) + struct.pack("<d", value)
    return piece(5, b"".join(piece(1, _value(one)) for one in value))


def _text(number: int, text: str) -> bytes:
    return piece(number, text.encode("utf-8", "replace"))


def _whole(number: int, value: int) -> bytes:
    return _tag(number, VARINT) + varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _fixed(number: int, value: int) -> bytes:
    return _tag(number, FIXED64) + struct.pack("<Q", max(0, value))


def _tag(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)
