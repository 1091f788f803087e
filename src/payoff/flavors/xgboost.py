"""XGBoost model files: JSON and UBJSON, as `save_model` writes them. Pickles of its models are `pickle.py`'s."""

from __future__ import annotations

import re
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.pickle import TREES

_JSON = re.compile(rb'\s*\{\s*"(learner"\s*:\s*\{|version"\s*:\s*\[[\d,\s]+\]\s*,\s*"learner"\s*:)')
_JSON_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]')
_UBJ = re.compile(rb"\{[LlIiU].{1,8}(learner\{|version\[)", re.DOTALL)
_UBJ_NUMBERS = re.compile(rb"[iU](.)[iU](.)[iU](.)", re.DOTALL)
_BINARY = b"binf"  # what save_model wrote before 1.0, and until 3.1 under any other name
_SMALL_SINCE = (2, 1, 1)  # since then there is xgboost-cpu: the same without 300 MB of code for graphics cards


class XGBoost:
    """Recognised here, asked in its own framework, served as ONNX where that agrees."""

    name = "xgboost"
    takes = "an XGBoost model (.json or .ubj, from save_model)"

    def recognises(self, path: Path, head: bytes) -> bool:
        return bool(_JSON.match(head) or _UBJ.match(head)) or head.startswith(_BINARY)

    def prepare(self, arrival: Arrival) -> Prepared:
        """In an environment with the release of XGBoost that wrote the file."""
        with arrival.path.open("rb") as file:
            if file.read(4) == _BINARY:
                raise BadInput(
                    f"{arrival.path.name} is in XGBoost's old binary format, which newer releases do not read; load it "
                    "where it was made and save it as JSON: booster.save_model('model.json')"
                )
        release = release_of(arrival.path)
        wanted = package(release) if release else "xgboost-cpu"
        return prepare_native(arrival, "xgboost", [wanted], convert=TREES)


FLAVOR = XGBoost()


def release_of(path: Path) -> str | None:
    """The release of XGBoost that wrote a model file."""
    data = path.read_bytes()
    found = _JSON_VERSION.search(data, max(0, len(data) - 4096)) or _JSON_VERSION.search(data)
    if found:
        return b".".join(found.groups()).decode()
    place = data.rfind(b"version[#")
    numbers = _UBJ_NUMBERS.search(data, place) if place >= 0 else None
    return ".".join(str(one[0]) for one in numbers.groups()) if numbers else None


def package(release: str) -> str:
    """The requirement for a release: of the package without code for graphics cards, unless there is one here."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", release)[:3])
    small = numbers >= _SMALL_SINCE and not Path("/proc/driver/nvidia/version").exists()
    return f"{'xgboost-cpu' if small else 'xgboost'}=={release}"
