"""What a flavor is: how an artefact is recognised, made servable, loaded and run over columns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from payoff.plugins.plugins import Plugins
from payoff.records.columns import Column, Columns
from payoff.records.model import Bounds, Place, Served, Version
from payoff.records.signature import Signature

if TYPE_CHECKING:  # a worker loads models without ever importing Arrow
    import pyarrow as pa

    from payoff.environments.environments import Environments
    from payoff.flavors.engine import Engine
    from payoff.flavors.pace import Pace
    from payoff.runner.zygote import Zygotes

Run = Callable[[Columns], dict[str, Column]]  # computes here and now
Ask = Callable[[Columns], Awaitable[dict[str, Column]]]  # somebody else computes; the event loop goes on meanwhile


def untimed(step: str) -> AbstractContextManager[None]:
    """Nobody wants to know how long the step takes."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Said:
    """What a user may say of an artefact beside the artefact itself."""

    requirements: tuple[str, ...] | None = None  # instead of what the artefact says
    python: str | None = None  # "3.11"; None: the version payoff itself runs on
    bounds: Bounds = field(default_factory=Bounds)
    native: bool = False  # never convert: run it in its own framework
    options: Mapping[str, Any] = field(default_factory=dict)  # for the flavor


@dataclass(frozen=True, slots=True)
class Arrival:
    """An artefact that wants to become a version."""

    path: Path  # a file or a folder, under the name that its owner knows
    into: Path  # a folder for what is made of it
    environments: Environments
    sample: pa.Table | None = None
    said: Said = Said()
    find: Callable[[str, int | str | None], Version] | None = None  # a version by model and number or alias
    step: Callable[[str], AbstractContextManager[None]] = untimed  # what happens inside, for the user to see


@dataclass(frozen=True, slots=True)
class Prepared:
    """An artefact made servable: what a worker loads, what it takes and gives, and how it came about."""

    served_path: Path  # a file or a folder
    served_flavor: str
    signature: Signature
    golden_path: Path | None  # sample rows with their answers at home, or None where there was no sample
    environment: dict[str, str] = field(default_factory=dict)  # package -> version
    provenance: dict[str, Any] = field(default_factory=dict)
    place: Place | None = None
    flavor: str | None = None  # what it turned out to be, where the recogniser could not know


class Flavor(Protocol):
    """One kind of artefact."""

    name: str
    takes: str  # in the user's words: "ONNX (a file from torch.onnx, skl2onnx, ...)"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Does it look like ours? A folder has an empty `head`, a file its first 64 KiB; names do not count.

        Never runs any of it, never opens a pickle.
        """

    def prepare(self, arrival: Arrival) -> Prepared:
        """Make the artefact servable; may run child processes.

        BadInput: the artefact or the sample cannot be used; ModelFailed: the model does not do what it must.
        """


@runtime_checkable
class Pointer(Protocol):
    """A flavor whose artefact only says where the model is: a model in a tracking server."""

    def fetch(self, path: Path, said: Said, environments: Environments, into: Path) -> Path:
        """Bring the artefact itself into `into`, and say where it lies; it is recognised anew."""


@runtime_checkable
class Moving(Protocol):
    """A flavor whose artefact may stay the same while what it stands for changes: a server's model, `latest`.

    What makes a version the same is then not the artefact but what was made of it.
    """

    moves: bool


def no_close() -> None:
    """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to answer."""

    run: Run  # always there; blocks until the answer is there, so the event loop may use it only where `ask` is None
    ask: Ask | None = None  # where the computing happens elsewhere: another process, another server
    close: Callable[[], None] = no_close
    batches_max: int = 1  # how many calls of `ask` may run at the same time
    is_out: Callable[[], str] = str  # why it can answer no more and has given up trying; empty while it can
    cpu_ns: Callable[[], int] | None = None  # what it has computed elsewhere since it was loaded; None: nobody knows
    pids: Callable[[], list[int]] = list  # of the processes that hold it, where it is not in this one
    held_bytes: int = 0  # of this process's memory
    engine: str = ""  # what computes it, in words: "CPU, 1 thread"
    threads: int = 1  # of this process that compute one call, the caller's among them; 0: something else does
    frees_lock: bool = False  # whether `run` gives other threads of this process the interpreter while it computes
    threaded: bool = False  # whether `ask` is `run`, in a thread of this process
    pace: Pace | None = None  # how fast it is here; None: nobody measured it
    rows_max: int = 0  # that pay in one call; 0: nobody knows

    @property
    def in_process(self) -> bool:
        """Whether it computes in this process, on the event loop or beside it."""
        return self.ask is None or self.threaded


class Surroundings(Protocol):
    """What a worker offers a flavor that loads a model."""

    room: Path  # a folder where models may have folders of their own to write to
    zygotes: Zygotes | None  # processes that fork for models, if there are any
    shared: Path | None  # a folder of all workers, for what is made of artefacts; None: nothing is kept

    def artefact(self, served: Served) -> Path:
        """The file or folder of the version."""

    def python(self, environment: str) -> Path:
        """The interpreter of an environment."""

    def load(self, served: Served) -> Loaded:
        """Another model, for one made of several."""


class Servable(Protocol):
    """A flavor that workers run."""

    def load(self, served: Served, around: Surroundings) -> Loaded:
        """The model, ready to be called with the signature's inputs; ModelFailed says why not."""


@runtime_checkable
class Choosing(Protocol):
    """A flavor whose models can be computed by several engines. `load` takes the one that is always there."""

    def engines(self, threads_max: int, asked: Sequence[str]) -> Sequence[Engine]:
        """The others that are here, the most promising first; `asked` are names of some that are not used unasked."""

    def load_on(self, served: Served, around: Surroundings, engine: Engine) -> Loaded:
        """The model on one of these; ModelFailed says why not."""


FLAVORS: Plugins[Flavor] = Plugins(
    "flavors",
    {
        "catboost": "payoff.flavors.catboost:FLAVOR",
        "chain": "payoff.flavors.chain:FLAVOR",
        "huggingface": "payoff.flavors.huggingface:FLAVOR",
        "jax": "payoff.flavors.jax:FLAVOR",
        "keras": "payoff.flavors.keras:FLAVOR",
        "lightgbm": "payoff.flavors.lightgbm:FLAVOR",
        "mlflow": "payoff.flavors.mlflow:FLAVOR",
        "mlflow-server": "payoff.flavors.tracking:FLAVOR",
        "native": "payoff.flavors.native:FLAVOR",
        "onnx": "payoff.flavors.onnx:FLAVOR",
        "pickle": "payoff.flavors.pickle:FLAVOR",
        "pmml": "payoff.flavors.pmml:FLAVOR",
        "prophet": "payoff.flavors.prophet:FLAVOR",
        "python": "payoff.flavors.python:FLAVOR",
        "remote": "payoff.flavors.remote:FLAVOR",
        "rule": "payoff.flavors.rule:FLAVOR",
        "safetensors": "payoff.flavors.safetensors:FLAVOR",
        "sklearn": "payoff.flavors.sklearn:FLAVOR",
        "skops": "payoff.flavors.skops:FLAVOR",
        "sktime": "payoff.flavors.sktime:FLAVOR",
        "tensorflow": "payoff.flavors.tensorflow:FLAVOR",
        "torch": "payoff.flavors.torch:FLAVOR",
        "xgboost": "payoff.flavors.xgboost:FLAVOR",
    },
)
