"""How an artefact becomes a version: recognised, made servable, proven, stored, registered; else nothing is left."""

import hashlib
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from payoff.clock import Clock, now_us
from payoff.deploy.steps import Steps
from payoff.environments.environments import Environments
from payoff.errors import BadInput, Busy, NotFound, TooLarge, Unavailable
from payoff.flavors.flavor import Arrival, Flavor, Moving, Pointer, Prepared, Said
from payoff.flavors.recognise import lone, recognise
from payoff.flavors.sample import rows_of
from payoff.records import names
from payoff.records.model import Served, Version
from payoff.registry import Registry
from payoff.store.blobs import Blobs
from payoff.store.files import folder, told
from payoff.store.folders import pack

_CHUNK_BYTES = 1 << 20
_PAGE = 1_000
_NOTHING_SAID = Said()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one intake may take, and how many may run at once."""

    artefact_bytes_max: int = 2 << 30
    tags_max: int = 64
    at_once: int = 2  # conversions: each runs a process of its own
    wait_s_max: float = 900.0


@dataclass(frozen=True, slots=True)
class Taken:
    """The version, whether these bytes were one already, and how long each step took, in seconds."""

    version: Version
    known: bool
    steps: tuple[tuple[str, float], ...]


class Intake:
    """Takes artefacts into one home. May be shared between threads."""

    def __init__(self, home: Path, registry: Registry, clock: Clock = now_us, limits: Limits = Limits()) -> None:
        self._scratch = home / "intake"
        self._blobs = Blobs(home / "artifacts")
        self._environments = Environments.of(home)
        self._registry = registry
        self._clock = clock
        self._limits = limits
        self._turns = threading.BoundedSemaphore(limits.at_once)
        self._storing = threading.Lock()  # so that no failed intake removes a blob that another one counts on

    def take(
        self,
        path: Path,
        *,
        model: str,
        author: str,
        file_name: str | None = None,
        sample: pa.Table | None = None,
        flavor: str | None = None,
        said: Said = _NOTHING_SAID,
        provenance: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        steps: Steps | None = None,
    ) -> Taken:
        """The model's next version, made of the file or folder at `path`; the same artefact is the same version.

        `sample` are rows as the model takes them; it has to reproduce its answers to them. BadInput, TooLarge,
        NotFound: file or sample cannot be used; ModelFailed: the model does not do what it must; Busy: too many others.
        `steps` hears of every step as it begins and ends.
        """
        names.check(model, "model")
        self._check_tags(tags or {})
        steps = steps or Steps()
        with self._folder() as room:
            shown = _shown(path, file_name or path.name, room)
            found, shown = self._recognised(shown, flavor, said, steps, room / "fetched")
            with steps.step("recognise"):
                came = _packed(shown, room / "came.tar")
                blob, size_bytes = _digest(came, self._limits.artefact_bytes_max)
                digest = _identity(blob, said)
            known = None if isinstance(found, Moving) else self._known(model, digest)
            if known is not None and self._complete(known):
                if sample is not None:
                    _suit(sample, known)
                return Taken(known, True, steps.all())
            with self._turn():
                made = found.prepare(
                    Arrival(shown, room / "made", self._environments, sample, said, self._registry.find, steps.step)
                )
            if isinstance(found, Moving):
                digest = _identity(_digest(made.served_path, self._limits.artefact_bytes_max)[0], said)
                known = self._known(model, digest)
                if known is not None and self._complete(known):
                    return Taken(known, True, steps.all())
            version = self._keep(
                came,
                made,
                steps,
                model=model,
                digest=digest,
                flavor=made.flavor or found.name,
                size_bytes=size_bytes,
                author=author,
                provenance={**made.provenance, "file": shown.name, "artefact": blob, **(provenance or {})},
                tags=tags,
            )
        return Taken(version, known is not None, steps.all())

    def _recognised(self, path: Path, flavor: str | None, said: Said, steps: Steps, into: Path) -> tuple[Flavor, Path]:
        """What the artefact is, and where it lies; one that only points at another is brought here first."""
        with steps.step("recognise"):
            path = path if flavor else lone(path)
            found = recognise(path, flavor)
        if not isinstance(found, Pointer):
            return found, path
        with steps.step("fetch"):
            brought = found.fetch(path, said, self._environments, into)
        return recognise(brought), brought

    def sweep(self) -> None:
        """Remove what intakes left that were cut off by a crash; for the start of the control plane."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _known(self, model: str, digest: str) -> Version | None:
        before: int | None = None
        while True:
            try:
                page = self._registry.versions(model, limit=_PAGE, before=before)
            except NotFound:
                return None
            if found := next((version for version in page if version.digest == digest), None):
                return found
            if len(page) < _PAGE:
                return None
            before = page[-1].number

    def _complete(self, version: Version) -> bool:
        needed = (version.served.digest, version.served.golden)
        place = version.served.place
        return all(digest is None or self._blobs.has(digest) for digest in needed) and (
            place is None or self._environments.has(place.environment)
        )

    def _keep(self, path: Path, made: Prepared, steps: Steps, **facts: Any) -> Version:
        """Blobs and registry, both or neither."""
        with self._storing, self._stored(path, made, steps) as served, steps.step("register"):
            kept = self._registry.register(served=served, environment=made.environment, now_us=self._clock(), **facts)
        if self._complete(kept):
            return kept
        raise Unavailable(
            f"{kept.model} v{kept.number} has lost its artefact, and converting the file again gave other bytes; "
            "deploy it under another name"
        )

    def _check_tags(self, tags: Mapping[str, str]) -> None:
        if len(tags) > self._limits.tags_max:
            raise BadInput(f"{len(tags)} tags are too many; the limit is {self._limits.tags_max}")

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A folder to work in, gone afterwards."""
        with told("making room for a model"):
            made = Path(tempfile.mkdtemp(dir=folder(self._scratch)))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Few conversions at once: each is a process of its own that takes what it can."""
        if not self._turns.acquire(timeout=self._limits.wait_s_max):
            raise Busy(f"{self._limits.at_once} other models are being converted, which is the limit; try again later")
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def _stored(self, path: Path, made: Prepared, steps: Steps) -> Iterator[Served]:
        """The blobs of a version; those that were not there before go again if what follows fails."""
        with ExitStack() as undo:
            with steps.step("store"):
                self._put(path, undo)
                packed = _packed(made.served_path, made.served_path.with_suffix(".packed"))
                digest = self._put(packed, undo)
                golden = self._put(made.golden_path, undo) if made.golden_path else None
            folder = packed != made.served_path
            yield Served(made.served_flavor, digest, made.signature, golden, made.place, folder)
            undo.pop_all()

    def _put(self, path: Path, undo: ExitStack) -> str:
        digest, _ = _digest(path, self._limits.artefact_bytes_max)
        if self._blobs.has(digest):
            return digest
        kept = self._blobs.put(path, limit_bytes=self._limits.artefact_bytes_max)
        undo.callback(self._blobs.path(kept).unlink, missing_ok=True)
        return kept


def _shown(path: Path, name: str, folder: Path) -> Path:
    """The artefact under the name that its owner knows, for messages; whatever that name is, it stays in the folder."""
    plain = re.sub(r"[^\w .()+-]", "_", name)[-100:].strip(". ") or "artifact"
    link = folder / "came" / plain
    with told("making room for a model"):
        link.parent.mkdir()
        link.symlink_to(path.resolve())
    return link


def _suit(sample: pa.Table, known: Version) -> None:
    """A version's signature is kept: BadInput if a new sample for the same bytes is not rows that it takes."""
    from payoff.flavors.fit import conform  # brings onnxruntime along

    rows, fields = rows_of(sample), known.served.signature.inputs
    bytes_are = f"these bytes are {known.model} v{known.number} already, which takes"
    for field in fields:
        column = rows.columns.get(field.name)
        if column is None:
            takes = ", ".join(one.name for one in fields)
            raise BadInput(f"{bytes_are} {takes}; the sample lacks {field.name!r} (it has {', '.join(rows.columns)})")
        if prod(column.values.shape[1:]) != prod(field.shape) or (column.valid is not None and not field.nullable):
            what = "nulls" if column.valid is not None else f"{list(column.values.shape[1:]) or 'single values'}"
            raise BadInput(f"{bytes_are} {field.name!r} as {field}; the sample has {what} there")
    conform(rows, fields)


def _packed(path: Path, target: Path) -> Path:
    """What is kept of an artefact: the file itself, or its folder in one file."""
    if path.is_dir():
        pack(path, target)
        return target
    return path


def _identity(blob: str, said: Said) -> str:
    """What makes a version the same: the artefact, and what was said of it."""
    if said == _NOTHING_SAID:
        return blob
    return hashlib.sha256(f"{blob} {msgspec.json.encode(said, order='deterministic').decode()}".encode()).hexdigest()


def _digest(path: Path, bytes_max: int) -> tuple[str, int]:
    """The file's sha256 and size; TooLarge before it is read."""
    size_bytes = path.stat().st_size
    if size_bytes > bytes_max:
        raise TooLarge(f"{path.name} has {size_bytes:,} bytes; a model may have {bytes_max:,}")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest(), size_bytes
