"""A model is a name; a version is an immutable artefact under it."""

from dataclasses import dataclass, field
from typing import Any

from payoff.records.signature import Signature


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the process of a model may use; more than that ends it."""

    memory_bytes_max: int = 4 << 30
    load_s_max: float = 120.0
    call_s_max: float = 30.0
    threads: int = 1  # of one process
    processes: int = 1  # in each worker
    network: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version runs that needs its own framework: a process apart, in an environment of its own."""

    kind: str  # which of runner/guest/kinds loads it: "sklearn", "torch"
    environment: str  # the digest of an environment under HOME/environments
    options: dict[str, Any] = field(default_factory=dict)  # for the kind
    bounds: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker needs to run a version: everything by digest, nothing by path."""

    flavor: str  # which flavor runs it in the worker: "onnx", "native", "rule", "remote", "chain"
    digest: str  # sha256 of the blob the worker loads
    signature: Signature
    golden: str | None = None  # sha256 of the sample rows with their answers at home (an .npz file), if there were any
    place: Place | None = None  # for "native" only
    folder: bool = False  # the blob is a folder, packed as tar


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
