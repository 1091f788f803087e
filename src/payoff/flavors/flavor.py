"""What a flavor is: how an artefact is recognised, made servable, loaded and run over columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from payoff.plugins.plugins import Plugins
from payoff.records.columns import Column, Columns
from payoff.records.signature import Signature

if TYPE_CHECKING:  # a worker loads models without ever importing Arrow
    import pyarrow as pa

Run = Callable[[Columns], dict[str, Column]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An artefact made servable: what a worker loads, what it takes and gives, and how it came about."""

    served_path: Path
    served_flavor: str
    signature: Signature
    golden_path: Path | None  # sample rows with their answers at home, or None where there was no sample
    environment: dict[str, str] = field(default_factory=dict)  # package -> version
    provenance: dict[str, Any] = field(default_factory=dict)


class Flavor(Protocol):
    """One kind of artefact."""

    name: str
    takes: str  # in the user's words: "ONNX (a file from torch.onnx, skl2onnx, ...)"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Does the file look like ours? `head` is its first 64 KiB; the name does not count. Never runs any of it."""

    def prepare(self, path: Path, sample: pa.Table | None, into: Path) -> Prepared:
        """Make the artefact servable in the folder `into`; may run a child process.

        BadInput: the artefact or the sample cannot be used; ModelFailed: the model does not do what it must.
        """


class Served(Protocol):
    """A flavor that workers run."""

    def load(self, path: Path, signature: Signature) -> Run:
        """The model, ready to be called with the signature's inputs; ModelFailed says why not."""


FLAVORS: Plugins[Flavor] = Plugins(
    "flavors",
    {
        "onnx": "payoff.flavors.onnx:FLAVOR",
        "sklearn": "payoff.flavors.sklearn:FLAVOR",
    },
)
