"""A first trial of a converted model, where it is made: does it answer like the model itself on rows near the sample?

payoff compares more strictly afterwards; this only chooses between several ways of converting.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_TOLERANCE = 1e-4
_MIXED_ROWS = 200


def near(rows: dict[str, Any]) -> dict[str, Any]:
    """The rows, and as many mixtures of their values as a quick look needs."""
    random = np.random.default_rng(20_260)
    return {name: _longer(values, valid, random) for name, (values, valid) in rows.items()}


def _longer(values: Any, valid: Any, random: Any) -> tuple[Any, Any]:
    drawn = np.concatenate([np.arange(len(values)), random.integers(0, len(values), _MIXED_ROWS)])
    return values[drawn], None if valid is None else valid[drawn]


def differs(path: str, rows: dict[str, Any], expected: dict[str, Any]) -> str:
    """How the ONNX file answers differently, in words; empty if it does not."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    got = session.run(None, _feed(session.get_inputs(), rows))
    for (name, (want, _)), have in zip(expected.items(), got):
        off = _off(want, np.asarray(have))
        if off:
            return f"{off} of {len(want)} answers of {name!r} differ"
    return ""


def _feed(ports: Any, rows: dict[str, Any]) -> dict[str, Any]:
    """One matrix of all columns, or each column by its name (graphs keep the order of the columns)."""
    if len(ports) == 1 and len(rows) > 1:
        from ..grids import numbers

        return {ports[0].name: numbers(rows).astype(_dtype(ports[0].type))}
    return {port.name: _column(port, *column) for port, column in zip(ports, rows.values())}


def _column(port: Any, values: Any, valid: Any) -> Any:
    dtype = _dtype(port.type)
    if valid is not None:
        values = np.where(valid, values, "" if values.dtype.kind == "O" else np.nan)
    return values.astype(dtype).reshape(-1, 1)


def _dtype(kind: str) -> Any:
    names = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    return {**names, "tensor(bool)": np.bool_, "tensor(string)": object}[kind]


def _off(want: Any, have: Any) -> int:
    """How many answers differ; a few labels may, where classes tie."""
    if have.shape != want.shape:
        return len(want)
    if want.dtype.kind != "f":
        return max(int((want != have).sum()) - len(want) // 50, 0)
    want, have = want.astype(np.float64), have.astype(np.float64)
    allowed = _TOLERANCE * (1 + np.maximum(np.abs(want), np.sqrt(np.mean(np.square(want)))))
    return int((~(np.abs(want - have) <= allowed) & ~(np.isnan(want) & np.isnan(have))).sum())
