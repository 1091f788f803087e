"""Keras: a model saved as `.keras` or `.h5`, on the backend that it was saved with, if that is known.

A `.keras` file does not say its backend, and most layers run on any: TensorFlow is taken unless the option "backend"
says "jax" or "torch". Layers that run code from the file (Lambda) are refused, as Keras itself does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import ports

PRELOAD = ()  # the backend is known only with the model
FORK = False
BACKENDS = ("tensorflow", "jax", "torch")
_ZIP = b"PK\x03\x04"


def load(path: str, options: dict[str, Any]) -> Keras:
    """The model in the file."""
    backend = options.get("backend", BACKENDS[0])
    if backend not in BACKENDS:
        raise ValueError(f"Keras has no backend {backend!r} here; choose one of {', '.join(BACKENDS)}")
    _prepare(backend)
    import keras

    return Keras(_open(keras, _with_suffix(Path(path))), backend, options)


def _prepare(backend: str) -> None:
    """What the backend reads before it is imported."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    os.environ["KERAS_BACKEND"] = backend
    if backend == "tensorflow":
        from . import tensorflow  # noqa: F401 - sets its threads
    elif backend == "torch":
        import torch

        torch.set_num_threads(int(threads))
    elif threads == "1":
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")


def _with_suffix(path: Path) -> Path:
    """The file under a name that says its format, as Keras goes by the name."""
    with path.open("rb") as file:
        suffix = ".keras" if file.read(4) == _ZIP else ".h5"
    if path.suffix == suffix:
        return path
    link = Path(f"model{suffix}")  # in the scratch folder, where the process lives
    link.unlink(missing_ok=True)
    link.symlink_to(path.resolve())
    return link


def _open(keras: Any, path: Path) -> Any:
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        said = " ".join(str(error).split())
        if "ambda" in said:
            raise ValueError(
                "it has a Lambda layer, which is code in the file; write it as a layer class, or save the model with "
                "model.export(folder), which keeps the computation and no code"
            ) from error
        if "Could not locate" in said or "Unknown layer" in said or "register_keras_serializable" in said:
            raise ValueError(
                f"it is made of classes of your own, whose code is not in the file ({said[:200]}); save it with "
                "model.export(folder), or deploy a folder with model.py"
            ) from error
        raise ValueError(f"Keras cannot load it: {said[:400]}") from error
    if not getattr(model, "inputs", None):
        raise ValueError(
            "it does not say its inputs; call it once before it is saved, or save it with model.export(folder)"
        )
    return model


class Keras:
    """One model, called on all rows at once."""

    def __init__(self, model: Any, backend: str, options: dict[str, Any]) -> None:
        self._model, self._backend = model, backend
        wanted = [(one.name, _numpy(one.dtype), tuple(one.shape)) for one in model.inputs]
        self._ports, self._by_row = ports.fitted(wanted, options.get(ports.COLUMNS))
        self._most = None if self._by_row else wanted[0][2][0]
        self._call = {"tensorflow": self._of_tensorflow, "jax": self._of_jax, "torch": self._of_torch}[backend]()

    def describe(self) -> dict[str, Any]:
        return {
            "inputs": self._ports.inputs(),
            "named": len(self._model.inputs) > 1,
            "kind": "network",
            "takes": None,
            "notes": [f"Keras on {self._backend}"],
            "estimator": type(self._model).__name__,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The model's own answers: `prediction`, or the names of its outputs where there are several."""
        tensors = self._ports.tensors(columns)
        rows = len(next(iter(tensors.values())))
        size = ports.rounded(rows) if self._backend == "jax" and self._most is None else rows
        return ports.answers(ports.in_batches(self._answer, tensors, self._most or size, self._most), rows)

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """The model as ONNX, by tf2onnx."""
        if self._backend != "tensorflow" or self._most is not None:
            raise ValueError("only a model on TensorFlow with an open number of rows is written to ONNX")
        from . import tensorflow

        shapes = {name: values.shape for name, values in self._ports.tensors(rows).items()}
        return tensorflow.write_onnx(lambda **given: self._named(given), self._specs, shapes, target)

    def _answer(self, tensors: dict[str, Any]) -> dict[str, Any]:
        try:
            return {name: _array(value) for name, value in self._call(tensors).items()}
        except (ValueError, TypeError, RuntimeError) as error:
            raise ValueError(f"the model refuses these rows: {' '.join(str(error).split())[:400]}") from error

    def _named(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name, from inputs by name."""
        flat = [given[one.name] for one in self._model.inputs]
        struct = getattr(self._model, "_inputs_struct", None)
        import keras

        packed = flat[0] if struct is None else keras.tree.pack_sequence_as(struct, flat)
        return ports.named(self._model(packed, training=False), getattr(self._model, "output_names", None))

    def _of_tensorflow(self) -> Any:
        import tensorflow as tf

        from . import tensorflow as kind

        self._specs = {one.name: tf.TensorSpec(tuple(one.shape), one.dtype, one.name) for one in self._model.inputs}

        def named(*tensors: Any) -> dict[str, Any]:
            return self._named(dict(zip(self._specs, tensors)))

        call = tf.function(named, input_signature=list(self._specs.values()))
        return lambda given: call(*[kind.tensor(given[name], spec.dtype) for name, spec in self._specs.items()])

    def _of_jax(self) -> Any:
        import jax

        state = [
            [one.value for one in self._model.trainable_variables],
            [one.value for one in self._model.non_trainable_variables],
        ]
        struct = getattr(self._model, "_inputs_struct", None)

        def pure(trained: Any, rest: Any, flat: Any) -> Any:
            import keras

            packed = flat[0] if struct is None else keras.tree.pack_sequence_as(struct, flat)
            return self._model.stateless_call(trained, rest, packed, training=False)[0]

        compiled = jax.jit(pure)
        names = [one.name for one in self._model.inputs]
        outputs = getattr(self._model, "output_names", None)
        return lambda given: ports.named(compiled(*state, [given[name] for name in names]), outputs)

    def _of_torch(self) -> Any:
        import torch

        def call(given: dict[str, Any]) -> dict[str, Any]:
            with torch.inference_mode():
                return self._named({name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in given.items()})

        return call


def _numpy(dtype: str) -> Any:
    return np.dtype({"string": object, "bfloat16": np.float32}.get(dtype, dtype))


def _array(value: Any) -> Any:
    found = np.asarray(value.detach() if hasattr(value, "detach") else value)
    return found.astype(np.float32) if found.dtype.kind == "V" else found
