"""Facts about exported spans: OpenTelemetry's own protobuf classes read back what was put in."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from payoff.codecs import otlp

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUE = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.lists(TEXT)
SPANS = st.builds(
    otlp.Span,
    trace=st.binary(min_size=16, max_size=16),
    id=st.binary(min_size=8, max_size=8),
    parent=st.just(b"") | st.binary(min_size=8, max_size=8),
    name=TEXT,
    kind=st.sampled_from([otlp.SERVER, otlp.INTERNAL]),
    start_ns=st.integers(0, 2**63),
    end_ns=st.integers(0, 2**63),
    attributes=st.dictionaries(TEXT, VALUE, max_size=4),
    state=TEXT,
    failed=st.none() | TEXT,
)


def value(found: Any) -> Any:
    kind = found.WhichOneof("value")
    return [value(one) for one in found.array_value.values] if kind == "array_value" else getattr(found, kind)


def attributes(found: Any) -> dict[str, Any]:
    return {one.key: value(one.value) for one in found}


@given(st.dictionaries(TEXT, VALUE, max_size=4), st.lists(SPANS, max_size=4))
def test_a_collector_reads_what_was_exported(resource: dict[str, Any], spans: list[otlp.Span]) -> None:
    request = ExportTraceServiceRequest.FromString(otlp.export(resource, "payoff", "1.2", spans))
    (found,) = request.resource_spans
    assert attributes(found.resource.attributes) == resource
    (scope,) = found.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("payoff", "1.2")
    for one, sent in zip(scope.spans, spans, strict=True):
        assert (one.trace_id, one.span_id, one.parent_span_id) == (sent.trace, sent.id, sent.parent)
        assert (one.name, one.kind, one.trace_state) == (sent.name, sent.kind, sent.state)
        assert (one.start_time_unix_nano, one.end_time_unix_nano) == (sent.start_ns, sent.end_ns)
        assert attributes(one.attributes) == sent.attributes
        assert one.status.message == (sent.failed or "")
        assert (one.status.code == trace_pb2.Status.STATUS_CODE_ERROR) == (sent.failed is not None)
