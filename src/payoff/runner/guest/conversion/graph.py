"""An ONNX graph for a model of a table: the columns go in, payoff's answers come out under payoff's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from . import message

OWN_PREFIX = "payoff."  # before a name of ours, where the plain one is taken (flavors/answers.py takes it off again)
_OPSETS = {"": 17, "ai.onnx.ml": 3}
_KINDS = {np.dtype(np.float32): message.FLOAT, np.dtype(np.float64): message.DOUBLE}


class Graph:
    """Nodes in the order of computing, with constants and names that are free."""

    def __init__(self, fields: list[dict[str, Any]]) -> None:
        self.taken = {"X", *(field["name"] for field in fields)}
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []
        self.inputs: list[bytes] = []
        self.outputs: list[bytes] = []

    def node(self, kind: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        """A node, and the name of what it gives."""
        name = self._free(f"{kind}_{len(self.nodes)}")
        self.nodes.append(message.node(kind, inputs, [name], domain, attributes))
        return name

    def constant(self, value: Any) -> str:
        """The name of an array that is part of the graph."""
        name = self._free(f"constant_{len(self.constants)}")
        self.constants.append(message.tensor(value, name))
        return name

    def matrix(self, fields: list[dict[str, Any]], dtype: Any, places: dict[int, dict[Any, int]]) -> str:
        """All columns side by side as numbers; `places` has the codes of those that are categories."""
        kind = _KINDS[np.dtype(dtype)]
        if all(field["type"] != "text" for field in fields):
            self._check_codes(fields, places)
            self.inputs = [message.port("X", kind, len(fields))]
            return "X"
        parts = [self._column(place, field, kind, places.get(place)) for place, field in enumerate(fields)]
        return self.node("Concat", parts, axis=1)

    def answer(self, name: str, source: str, shape: list[int]) -> None:
        """A named answer; onnxruntime finds out its type."""
        free = self._free(name)
        self.nodes.append(message.node("Reshape", [source, self.constant(shape)], [free], "", {}))
        self.outputs.append(message.port(free))

    def second(self, matrix: str) -> str:
        """The second column of two."""
        return self.node("Reshape", [self.node("Gather", [matrix, self.constant([1])], axis=1), self.constant([-1])])

    def labelled(self, sure: str, width: int, classes: Any) -> None:
        """`label` with `probability` from the probability of the second class, or with `probabilities` of all."""
        if width == 1:
            yes = self.node("Greater", [sure, self.constant(np.float32(0.5))])
            place = self.node("Cast", [yes], to=message.INT64)
        else:
            place = self.node("ArgMax", [sure], axis=1, keepdims=0)
        count = max(width, 2)
        named = np.arange(count) if classes is None or not len(classes) else np.asarray(classes)
        self.answer("label", self.node("Gather", [self.constant(_plain(named)), place]), [-1])
        self.answer(*(("probability", sure, [-1]) if width == 1 else ("probabilities", sure, [-1, width])))

    def save(self, target: str) -> None:
        """Write the model."""
        content = message.model(self.nodes, self.inputs, self.outputs, self.constants, _OPSETS)
        Path(target).write_bytes(content)

    def _column(self, place: int, field: dict[str, Any], kind: int, codes: dict[Any, int] | None) -> str:
        name = field["name"]
        if field["type"] != "text":
            self._check_codes([field], {0: codes} if codes else {})
            self.inputs.append(message.port(name, kind))
            return str(name)
        if codes is None:
            raise ValueError(f"column {name!r} is text, and the model knows no categories there")
        self.inputs.append(message.port(name, message.STRING))
        keys, values = [str(one) for one in codes], [float(one) for one in codes.values()]
        coded = self.node(
            "LabelEncoder", [name], "ai.onnx.ml", keys_strings=keys, values_floats=values, default_float=float("nan")
        )
        return coded if kind == message.FLOAT else self.node("Cast", [coded], to=kind)

    def _check_codes(self, fields: list[dict[str, Any]], places: dict[int, dict[Any, int]]) -> None:
        """Categories that are numbers go as they are, where each is its own place."""
        for place, codes in places.items():
            if any(float(value) != code for value, code in codes.items()):
                raise ValueError(f"the categories of column {fields[place]['name']!r} are numbers, but not 0, 1, 2 ...")

    def _free(self, name: str) -> str:
        while name in self.taken:
            name = f"{OWN_PREFIX}{name}"
        self.taken.add(name)
        return name


def _plain(classes: Any) -> Any:
    """Classes as one of the types that an answer can have."""
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}
    if classes.dtype.kind in kinds:
        return classes.astype(kinds[classes.dtype.kind])
    if classes.dtype.kind == "O" and all(isinstance(one, (bool, np.bool_)) for one in classes):
        return classes.astype(np.bool_)
    return np.array([str(one) for one in classes], object)
