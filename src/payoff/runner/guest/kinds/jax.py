"""JAX: a function that jax.export serialized, with the types and shapes that it takes, compiled for this machine.

Its arguments take the columns of their names: the keys where an argument is a dictionary, `x` or `x0`, `x1` ... where
arguments have no names. With a symbolic first dimension any number of rows goes in at once, rounded up to a power of
two, since XLA compiles anew for every number.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

if os.environ.get("OMP_NUM_THREADS", "1") == "1":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
from jax import export

from .. import ports

PRELOAD = ("jax",)
FORK = False  # its threads do not survive a fork
_WIDE = ("float64", "int64", "uint64", "complex128")


def load(path: str, options: dict[str, Any]) -> Jax:
    """The exported function in the file."""
    try:
        exported = export.deserialize(bytearray(Path(path).read_bytes()))
    except Exception as error:
        raise ValueError(f"jax {jax.__version__} cannot read it: {type(error).__name__}: {str(error)[:300]}") from error
    if "cpu" not in exported.platforms:
        raise ValueError(
            f"it was exported for {', '.join(exported.platforms)}, and it runs on a CPU here; "
            'export it for both: export.export(f, platforms=["cpu", "cuda"])'
        )
    if exported.nr_devices != 1:
        raise ValueError(f"it was exported for {exported.nr_devices} devices; export it for one")
    if any(str(aval.dtype) in _WIDE for aval in (*exported.in_avals, *exported.out_avals)):
        jax.config.update("jax_enable_x64", True)
    return Jax(exported, options)


class Jax:
    """One exported function."""

    def __init__(self, exported: Any, options: dict[str, Any]) -> None:
        self._exported = exported
        self._names = _names(exported.in_tree)
        wanted = [(name, _numpy(aval), _dims(aval)) for name, aval in zip(self._names, exported.in_avals)]
        self._ports, self._by_row = ports.fitted(wanted, options.get(ports.COLUMNS))
        self._most = None if self._by_row else _batch(exported.in_avals)
        self._call = jax.jit(exported.call)

    def describe(self) -> dict[str, Any]:
        notes = ["exported for one row, which every call asks"] if self._by_row else []
        if self._most is not None:
            notes = [f"exported for {self._most} rows at once; rows are asked in such batches"]
        return {
            "inputs": self._ports.inputs(),
            "named": len(self._names) > 1,
            "kind": "network",
            "takes": None,
            "notes": notes,
            "estimator": self._exported.fun_name,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The function's own answers."""
        tensors = self._ports.tensors(columns)
        rows = len(next(iter(tensors.values())))
        if self._by_row:
            return ports.answers(ports.row_by_row(self._answer, tensors), rows)
        size = ports.rounded(rows) if self._most is None else self._most
        return ports.answers(ports.in_batches(self._answer, tensors, size, self._most), rows)

    def _answer(self, tensors: dict[str, Any]) -> dict[str, Any]:
        flat = [np.asarray(tensors[name], aval.dtype) for name, aval in zip(self._names, self._exported.in_avals)]
        args, keywords = jax.tree_util.tree_unflatten(self._exported.in_tree, flat)
        found = ports.named(jax.device_get(self._call(*args, **keywords)))
        return {name: _array(value) for name, value in found.items()}


def _names(tree: Any) -> list[str]:
    """A name for each array that goes in: its own keys, else its place."""
    count = tree.num_leaves
    made = jax.tree_util.tree_unflatten(tree, range(count))
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(made)[0]]
    inner = [".".join(_key(step) for step in path[2:]) if len(path) > 2 else "" for path in paths]
    keyed = [_key(path[1]) if _key(path[0]) == "1" else "" for path in paths]
    plain = [name if name else ("x" if count == 1 else f"x{place}") for place, name in enumerate(keyed)]
    named = [own or other for own, other in zip(inner, plain)]
    return named if len(set(named)) == count else [f"x{place}" for place in range(count)]


def _key(step: Any) -> str:
    return str(getattr(step, "key", getattr(step, "name", getattr(step, "idx", step))))


def _numpy(aval: Any) -> Any:
    return np.dtype(np.float32) if aval.dtype.kind == "V" else np.dtype(aval.dtype)


def _dims(aval: Any) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in aval.shape)


def _batch(avals: Any) -> int | None:
    """The number of rows that it takes at once, where that is fixed."""
    sizes = {str(aval.shape[0]) for aval in avals}
    if len(sizes) > 1:
        raise ValueError(
            f"its arguments have different first dimensions ({', '.join(sorted(sizes))}), so it is not clear which "
            "counts rows; close over the weights before you export: export.export(jax.jit(lambda x: f(weights, x)))"
        )
    first = avals[0].shape[0]
    return first if isinstance(first, int) else None


def _array(value: Any) -> Any:
    found = np.asarray(value)
    return found.astype(np.float32) if found.dtype.kind == "V" else found
