"""Versions, revisions and endpoint files that the tests of deploy share."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from payoff.records import Field, Served, Signature, Type, Version

Make = Callable[..., Version]

INPUTS = (Field("age", Type.INT64), Field("job", Type.TEXT, nullable=True))
OUTPUTS = (Field("label", Type.TEXT), Field("probability", Type.FLOAT32))


def _version(number: int, model: str = "term-deposit", **changed: object) -> Version:
    """A version with the signature of a small classifier; `inputs` and `outputs` replace it."""
    signature = replace(Signature(INPUTS, OUTPUTS), **changed)  # type: ignore[arg-type]
    digest = f"{number:064x}"
    served = Served("onnx", digest, signature)
    return Version(model, number, digest, "onnx", served, 1_000, 0, "anna")


@pytest.fixture
def version() -> Make:
    return _version
