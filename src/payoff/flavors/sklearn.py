"""scikit-learn models (pickle, joblib, skops): converted to ONNX in a process apart, taken only if both agree.

No pickle is ever opened in payoff's own processes: here a file is recognised by its bytes, and the child opens it.
"""

from __future__ import annotations

import bz2
import lzma
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.apart import Job, prepare_apart
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.wire import check

_NEEDS = ("sklearn", "joblib", "skl2onnx", "onnx", "pandas", "skops")
_LZ4 = b"\x04\x22\x4d\x18"


class Sklearn:
    """Recognised and converted here; served as ONNX."""

    name = "sklearn"
    takes = "a scikit-learn model (joblib, pickle or skops)"

    def recognises(self, path: Path, head: bytes) -> bool:
        if head.startswith(b"PK\x03\x04"):
            return is_skops(path)
        return head.startswith(_LZ4) or is_pickle(head) or is_pickle(_unpacked(head))

    def prepare(self, arrival: Arrival) -> Prepared:
        """Converted to ONNX in a child process, and compared there on the sample rows and on rows made from them."""
        path = arrival.path
        missing = [name for name in _NEEDS if find_spec(name) is None]
        if missing:
            raise BadInput(
                f"{path.name} is a scikit-learn model, and converting it needs packages that are not installed "
                f'({", ".join(missing)}): pip install "payoff[sklearn]"'
            )
        if arrival.sample is None:
            raise BadInput(
                f"{path.name} is a scikit-learn model, and its conversion is checked on rows: give some 100 of them, "
                "features only, with --sample FILE (CSV or Parquet): X.head(100).to_parquet('sample.parquet')"
            )
        job = Job(path.resolve(), arrival.into.resolve(), path.name)
        with arrival.step("convert"):
            prepared = prepare_apart("payoff.flavors.sklearn_child", job, arrival.sample)
        check(prepared.served_path)  # what the child made is a stranger's file too
        return prepared


FLAVOR = Sklearn()


def is_skops(path: Path) -> bool:
    """A zip archive with skops' schema in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "schema.json" in archive.namelist()


def is_pickle(head: bytes) -> bool:
    """Protocol 2 and later say so themselves; before, a pickle begins with an opcode that builds an object."""
    if len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return True
    return head[:1] in (b"c", b"(") and b"\n" in head[:256] and _names_a_class(head)


def _names_a_class(head: bytes) -> bool:
    """Protocols 0 and 1 name classes as lines: `csklearn.linear_model\\nLogisticRegression\\n`, `ccopy_reg\\n...`."""
    return any(
        mark in head
        for mark in (
            b"copy_reg\n",
            b"copyreg\n",
            b"csklearn",
            b"cnumpy",
            b"cposix\n",
            b"cos\n",
            b"cbuiltins\n",
            b"c__builtin__\n",
            b"csubprocess\n",
        )
    )


def _unpacked(head: bytes) -> bytes:
    """The first bytes inside a compressed file, for the compressions that joblib knows; a little only, never a bomb."""
    try:
        if head.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(head, 4096)
        if head.startswith(b"\x78"):
            return zlib.decompressobj().decompress(head, 4096)
        if head.startswith(b"BZ"):
            return bz2.BZ2Decompressor().decompress(head, 4096)
        if head.startswith((b"\xfd7zXZ", b"\x5d\x00")):
            return lzma.LZMADecompressor().decompress(head, 4096)
    except (zlib.error, OSError, ValueError, lzma.LZMAError, EOFError):
        pass
    return b""
