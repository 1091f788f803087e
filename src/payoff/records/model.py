"""A model is a name; a version is an immutable artefact under it."""

from dataclasses import dataclass, field
from typing import Any

from payoff.records.signature import Signature


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker needs to run a version: everything by digest, nothing by path."""

    flavor: str  # which flavor runs it in the worker: "onnx"
    digest: str  # sha256 of the blob the worker loads
    signature: Signature
    golden: str | None = None  # sha256 of the sample rows with their answers at home (an .npz file), if there were any


@dataclass(frozen=True, slots=True)
class Version:
    """Number `number` of a model: what it was made from, what it takes and gives, how it is served."""

    model: str
    number: int
    digest: str  # sha256 of the artefact as it came
    flavor: str  # how the artefact was recognised: "onnx", "sklearn"
    served: Served
    size_bytes: int
    created_at_us: int
    author: str
    environment: dict[str, str] = field(default_factory=dict)  # package -> version
    provenance: dict[str, Any] = field(default_factory=dict)  # file name, conversion, tolerance, ...
    tags: dict[str, str] = field(default_factory=dict)
