"""sktime's own archive (`estimator.save(path)`): a zip with two pickles in it, looked through like any other."""

from __future__ import annotations

import zipfile
from pathlib import Path

from payoff.errors import BadInput, TooLarge
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.scan import refuse_dangerous, requirements_of, scan

_NAMES = {"_metadata", "_obj"}
_BYTES_MAX = 2 << 30


class Sktime:
    """A forecaster, or a classifier or regressor of whole series."""

    name = "sktime"
    takes = "an sktime archive (estimator.save('model') makes model.zip)"

    def recognises(self, path: Path, head: bytes) -> bool:
        if not head.startswith(b"PK\x03\x04") or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist()) == _NAMES

    def prepare(self, arrival: Arrival) -> Prepared:
        """Scanned, then opened in its own environment."""
        with arrival.step("scan"):
            scanned = scan(_unpacked(arrival.path, arrival.into / "archive"))
        refuse_dangerous(scanned, arrival.path.name)
        found = requirements_of(scanned)
        wanted = found if any(line.startswith("sktime") for line in found) else ("sktime", *found)
        return prepare_native(arrival, "sktime", wanted)


def _unpacked(path: Path, into: Path) -> Path:
    """The two pickles as files."""
    into.mkdir(parents=True)
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _BYTES_MAX:
            raise TooLarge(f"{path.name} unpacks to more than {_BYTES_MAX:,} bytes")
        for name in sorted(_NAMES):
            try:
                (into / f"{name}.pkl").write_bytes(archive.read(name))
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
                raise BadInput(f"{path.name} cannot be unpacked: {error}; save the model again") from error
    return into


FLAVOR = Sktime()
