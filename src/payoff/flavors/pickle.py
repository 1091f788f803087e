"""Pickles and joblib files of fitted models, whatever library they are of.

A pickle is a program, so it is never opened in payoff's own processes. It is looked through first (`scan.py`), and what
could do harm is refused. What is left is opened apart: on the quick road (`quick.py`), or in an environment with the
releases that the file records, where `runner/guest/kinds/pickled.py` hands it to the kind of its library.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from dataclasses import replace
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.quick import quick
from payoff.flavors.scan import Scanned, refuse_dangerous, requirements_of, scan, unknown_to_requirements

_LZ4 = b"\x04\x22\x4d\x18"
_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what torch.save wrote before 1.6 begins with
_OUTER = re.compile(
    r"(sklearn|imblearn)\.(pipeline|compose|model_selection|calibration|ensemble|multioutput|multiclass)\."
)
_LIBRARIES = ("xgboost", "lightgbm", "catboost", "statsmodels", "prophet", "sktime", "sklearn")
_DATA = {"builtins", "collections", "copyreg", "_codecs", "re", "numpy", "scipy", "joblib", "pandas"}
_CONVERTED = _DATA | {"sklearn", "imblearn", "xgboost", "lightgbm", "catboost"}
TREES = ("numpy>=1.21",)  # which every environment has: trees are written without any package of their own
SKLEARN = ("skl2onnx>=1.14", "onnx>=1.14", "onnxruntime>=1.15")


class Pickle:
    """Any pickle is recognised; what it holds is known once it was looked through."""

    name = "pickle"
    takes = (
        "a pickle or joblib file of a fitted model (scikit-learn and whatever has its interface, XGBoost, LightGBM, "
        "CatBoost, statsmodels, ...)"
    )

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(_LZ4) or is_pickle(head) or is_pickle(_unpacked(head))

    def prepare(self, arrival: Arrival) -> Prepared:
        """Scanned, then opened where it was made for; served as ONNX where that agrees."""
        with arrival.step("scan"):
            scanned = scan(arrival.path)
        refuse_dangerous(scanned, arrival.path.name)
        refuse_absent(scanned, arrival)
        return prepared(arrival, scanned, "pickled")


FLAVOR = Pickle()


def prepared(arrival: Arrival, scanned: Scanned, kind: str) -> Prepared:
    """On the quick road, or in an environment of its own."""
    flavor = library(scanned)
    if arrival.sample is None and flavor == "sklearn":
        raise BadInput(
            f"{arrival.path.name} is a scikit-learn model, which does not say what its columns hold; give some 100 "
            "rows of them, features only, with --sample FILE (CSV or Parquet): X.head(100).to_parquet('sample.parquet')"
        )
    tried = quick(arrival, scanned)
    if tried.prepared is not None:
        return replace(tried.prepared, flavor="sklearn")
    told = {"file": arrival.path.name} | ({"converted": f"no: {tried.words}"} if tried.words else {})
    convert = () if tried.words else converters(scanned, flavor)
    wanted = (*requirements_of(scanned), *(["skops"] if kind == "skops" else []))
    return prepare_native(arrival, kind, wanted, convert=convert, provenance=told, flavor=flavor)


def library(scanned: Scanned) -> str:
    """What the model is, for people: a pipeline is scikit-learn's, whatever it ends in."""
    if any(_OUTER.match(name) for name in scanned.globals):
        return "sklearn"
    return next((root for root in _LIBRARIES if root in scanned.roots), "pickle")


def converters(scanned: Scanned, flavor: str) -> tuple[str, ...]:
    """The packages with which the kind of the model writes ONNX; none where it is known that it cannot."""
    if scanned.code or not set(scanned.roots) <= _CONVERTED:
        return ()
    if flavor in ("xgboost", "lightgbm", "catboost"):
        return TREES
    if flavor != "sklearn" or "catboost" in scanned.roots:
        return ()
    boosted = {"xgboost", "lightgbm"} & set(scanned.roots)
    return (*SKLEARN, "onnxmltools>=1.11") if boosted else SKLEARN


def refuse_absent(scanned: Scanned, arrival: Arrival) -> None:
    """BadInput for code that the file names and does not hold, with the ways to bring it along."""
    own = [name for name in scanned.globals if name.startswith("__main__.")]
    name = arrival.path.name
    if own:
        raise BadInput(
            f"{name} names {', '.join(own[:3])}, which was defined in the program or notebook that saved it and is not "
            "in the file. Deploy it from there with client.deploy(model), which takes the code along; or save it with "
            "cloudpickle.dump; or deploy a folder with model.py beside the file"
        )
    unknown = unknown_to_requirements(scanned)
    if unknown and arrival.said.requirements is None:
        raise BadInput(
            f"{name} needs {', '.join(unknown[:5])}, and which package has that is not known here. If it is one that "
            f"can be installed, say so with --requirements: {', '.join(requirements_of(scanned))} and that package. If "
            "it is code of your own, deploy a folder with model.py beside the file, or deploy from the notebook with "
            "client.deploy(model), which takes the code along"
        )


def is_pickle(head: bytes) -> bool:
    """Protocol 2 and later say so themselves; before, a pickle begins with an opcode that builds an object."""
    if head.startswith(_TORCH):
        return False  # PyTorch's, several pickles in one file
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
