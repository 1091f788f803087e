"""PyTorch: TorchScript and exported programs, which hold the computation. Checkpoints hold weights, and are refused."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.sampled import columns_of
from payoff.flavors.scan import refuse_dangerous, scan

_ZIP = b"PK\x03\x04"
_OLD_CHECKPOINT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what torch.save wrote before 1.6 begins with
_PROGRAMS = ("/models/model.json", "serialized_exported_program.json")  # torch 2.8 and later, and before
_PROGRAM_BYTES_MAX = 256 << 20
_VERSION = re.compile(rb'"torch_version":\s*"(\d+\.\d+\.\d+)([^"]*)"')
_OUT = (
    "export it with its computation: torch.export.save(torch.export.export(model.eval(), (x,), "
    'dynamic_shapes=({0: torch.export.Dim.AUTO},)), "model.pt2"), or deploy a folder with model.py that builds it'
)


class Torch:
    """Files that PyTorch runs without the code that built them."""

    name = "torch"
    takes = "a PyTorch file from torch.export.save (.pt2) or torch.jit.save (TorchScript)"

    def recognises(self, path: Path, head: bytes) -> bool:
        if head.startswith(_OLD_CHECKPOINT):
            return True
        names = _names(path) if head.startswith(_ZIP) else ()
        return _is_script(names) or _is_program(names) or _is_compiled(names) or _is_checkpoint(names)

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served with PyTorch, or as ONNX where that answers the same."""
        path = arrival.path
        names = _names(path) if zipfile.is_zipfile(path) else ()
        if _is_compiled(names):
            raise BadInput(
                f"{path.name} was compiled for one machine (AOTInductor); save the exported program before it is "
                'compiled: torch.export.save(program, "model.pt2")'
            )
        if not _is_script(names) and not _is_program(names):
            raise BadInput(f"{path.name} holds {_holding(path, names)}; {_OUT}")
        with arrival.step("scan"):
            refuse_dangerous(scan(path), path.name)
        is_script = _is_script(names)
        return prepare_native(
            arrival,
            "torch",
            ["torch"] if is_script else [_requirement(path, names)],
            options=columns_of(arrival),
            convert=("onnx>=1.17", "onnxscript>=0.3"),
            provenance={"format": "TorchScript" if is_script else "torch.export"},
        )


def _names(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist()[:100_000])
    except (zipfile.BadZipFile, OSError):
        return ()


def _is_script(names: tuple[str, ...]) -> bool:
    return any(name.endswith("/constants.pkl") for name in names) and any("/code/" in name for name in names)


def _is_program(names: tuple[str, ...]) -> bool:
    return any(name.endswith(_PROGRAMS) for name in names)


def _is_compiled(names: tuple[str, ...]) -> bool:
    return any("/aotinductor/" in name for name in names)


def _is_checkpoint(names: tuple[str, ...]) -> bool:
    return any(name.endswith("/data.pkl") for name in names) and any(name.endswith("/version") for name in names)


def _holding(path: Path, names: tuple[str, ...]) -> str:
    """What a checkpoint is, by the names in its pickle, which is not opened."""
    pickled = next((name for name in names if name.endswith("/data.pkl")), None)
    content = path.read_bytes()[: 1 << 20] if pickled is None else _read(path, pickled, 1 << 20)
    if b"torch.nn.modules" in content:
        return "a pickled module, which needs the Python code that it was made of"
    return "weights only (a state dict), not what is computed with them"


def _read(path: Path, name: str, most: int) -> bytes:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        return file.read(most)


def _requirement(path: Path, names: tuple[str, ...]) -> str:
    """The torch that exported it: the format of programs goes with the version."""
    name = next(name for name in names if name.endswith(_PROGRAMS))
    found = _VERSION.search(_read(path, name, _PROGRAM_BYTES_MAX))
    if found is None:
        return "torch"
    version, rest = found[1].decode(), found[2].decode()
    return f"torch=={version}" if rest == "" or rest.startswith("+") else f"torch>={version.rpartition('.')[0]}"


FLAVOR = Torch()
