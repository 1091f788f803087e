"""TensorFlow: a SavedModel folder, asked through its signature."""

from __future__ import annotations

import re
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.sampled import columns_of
from payoff.flavors.scan import refuse_dangerous, scan

GRAPH = "saved_model.pb"
_LITE = b"TFL3"
_VERSION = re.compile(rb"\x2a[\x05-\x18](\d+\.\d+\.\d+)[\w.+-]*\x32")  # field 5 of MetaInfoDef, before the git version
_GRAPH_BYTES_MAX = 512 << 20


class Tensorflow:
    """A folder from tf.saved_model.save or Keras' model.export."""

    name = "tensorflow"
    takes = "a TensorFlow SavedModel folder (from tf.saved_model.save or model.export)"

    def recognises(self, path: Path, head: bytes) -> bool:
        if path.is_dir():
            return (path / GRAPH).is_file() and not (path / "MLmodel").exists()
        return head[4:8] == _LITE

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served with TensorFlow, or as ONNX where that answers the same."""
        path = arrival.path
        if path.is_file():
            raise BadInput(
                f"{path.name} is no SavedModel folder (TensorFlow Lite is for phones); deploy the model that it was "
                "made of: tf.saved_model.save(model, folder), or tf2onnx for an ONNX file"
            )
        if not (path / GRAPH).is_file():
            raise BadInput(f"{path.name} has no {GRAPH}; save the model with tf.saved_model.save(model, folder)")
        with arrival.step("scan"):
            refuse_dangerous(scan(path), path.name)
        return prepare_native(
            arrival, "tensorflow", requirements(recorded(path)), options=columns_of(arrival), convert=CONVERT
        )


CONVERT = ("tf2onnx>=1.16", "onnx>=1.17")


def requirements(version: str | None = None) -> list[str]:
    """TensorFlow without the parts for graphics cards, where there is such a build; newer ones read older models."""
    least = f">={version}" if version else ""
    on_linux = "sys_platform == 'linux' and platform_machine == 'x86_64'"
    return [
        f"tensorflow-cpu{least}; {on_linux}",
        f"tensorflow{least}; sys_platform != 'linux' or platform_machine != 'x86_64'",
    ]


def recorded(path: Path) -> str | None:
    """The TensorFlow that wrote the folder; None where it does not say, or has a version that is too old to install."""
    with (path / GRAPH).open("rb") as file:
        found = _VERSION.search(file.read(_GRAPH_BYTES_MAX))
    version = found[1].decode() if found else ""
    return version if version.startswith("2.") else None


FLAVOR = Tensorflow()
