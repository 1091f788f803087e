"""The schema of an endpoint's rows says what its codec takes."""

import pytest

from payoff.api.schema import field_schema, record_schema
from payoff.records import Field, Type


@pytest.mark.parametrize(("field", "expected"), [
    (Field("x", Type.INT8), {"type": "integer", "minimum": -128, "maximum": 127}),
    (Field("x", Type.UINT16), {"type": "integer", "minimum": 0, "maximum": 65535}),
    (Field("x", Type.FLOAT32), {"type": "number"}),
    (Field("x", Type.DATE), {"type": "string", "format": "date"}),
    (Field("x", Type.TEXT, nullable=True), {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    (Field("x", Type.BOOL, (2, 3)), {
        "type": "array", "minItems": 2, "maxItems": 2,
        "items": {"type": "array", "minItems": 3, "maxItems": 3, "items": {"type": "boolean"}}}),
])  # fmt: skip
def test_a_field_says_its_range_and_shape(field: Field, expected: dict[str, object]) -> None:
    assert field_schema(field) == expected


def test_only_nullable_columns_may_be_left_out() -> None:
    found = record_schema([Field("a", Type.INT64), Field("b", Type.TEXT, nullable=True)])
    assert found["required"] == ["a"]
    assert found["additionalProperties"] is False
