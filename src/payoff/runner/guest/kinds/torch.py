"""PyTorch without the code that built it: TorchScript (torch.jit.save) and exported programs (torch.export.save).

An exported program knows the types and shapes that it takes. TorchScript knows names only, so the sample says the rest:
whole numbers stay whole if the model takes them, and become floats if not; a lone number is tried with and without an
axis of its own. The way that worked first is kept.
"""

from __future__ import annotations

import os
import zipfile
from itertools import product
from typing import Any

import numpy as np
import torch

from .. import ports
from ..ports import Port, Ports

PRELOAD = ("torch",)
_HINT = "wrap it in a module whose forward takes tensors with a row per first index, and save that"


def load(path: str, options: dict[str, Any]) -> Any:
    """The network in the file, by what is in it."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("constants.pkl") for name in names) and any("/code/" in name for name in names):
        return Scripted(torch.jit.load(path, map_location="cpu"), options)
    with open(path, "rb") as file:  # noqa: PTH123 - by name it must end in .pt2
        return Exported(torch.export.load(file), options)


class Scripted:
    """TorchScript: it knows the names of what forward takes, not the types and shapes of the tensors."""

    def __init__(self, module: Any, options: dict[str, Any]) -> None:
        self._module = module.eval()
        self._float = np.dtype(options.get("dtype") or _float_of(module))
        self._arguments = _arguments(module, options)
        self._by_dict = [port.name for port in self._arguments] if self._takes_dict() else []
        self._ports = Ports(self._of_dict(options) or self._arguments, options.get(ports.COLUMNS))
        flat = (False, True) if len(self._arguments) > 1 else (True, False)
        self._ways = list(product(flat, (False, True)))  # an axis for lone numbers? whole numbers as floats?

    def describe(self) -> dict[str, Any]:
        inputs = self._ports.inputs()
        return {
            "inputs": inputs,
            "named": len(self._arguments) > 1,
            "kind": "network",
            "takes": None,
            "notes": ["TorchScript does not say types and shapes; the sample does"] if inputs else [],
            "estimator": self._module.original_name,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The network's own answers. The first way that works is kept."""
        tensors = self._ports.tensors(columns)
        rows = len(next(iter(tensors.values())))
        failed: Exception | None = None
        for way in self._ways:
            try:
                answers = ports.answers(_arrays(self._call(tensors, *way)), rows)
            except Exception as error:
                failed = failed or error
                continue
            self._ways = [way]
            return answers
        raise ValueError(_refused(failed)) from failed

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """An ONNX file by torch's own exporter, with the inputs that these rows have."""
        self.ask(rows)
        tensors = {name: self._made(values, *self._ways[0]) for name, values in self._ports.tensors(rows).items()}
        return _write(self._module, tensors, target, _arrays(self._call(self._ports.tensors(rows), *self._ways[0])))

    def _call(self, tensors: dict[str, Any], tall: bool, as_floats: bool) -> Any:
        made = {name: self._made(values, tall, as_floats) for name, values in tensors.items()}
        with torch.inference_mode():
            if self._by_dict:
                return self._module(made)
            return self._module(**made)

    def _made(self, values: Any, tall: bool, as_floats: bool) -> Any:
        """One array as a tensor, or as a list where it is text."""
        if values.dtype.kind == "O":
            return values.tolist()
        if values.dtype.kind == "f" or (as_floats and values.dtype.kind in "iub"):
            values = values.astype(self._float)
        if tall and values.ndim == 1:
            values = values.reshape(-1, 1)
        return torch.from_numpy(np.ascontiguousarray(values))

    def _takes_dict(self) -> bool:
        schema = self._module.forward.schema.arguments
        return len(self._arguments) == 1 and str(schema[1].type).startswith("Dict(str, Tensor")

    def _of_dict(self, options: dict[str, Any]) -> list[Port]:
        """A forward that takes a dictionary of tensors takes every column that the sample has."""
        sampled = options.get(ports.COLUMNS)
        return [Port(column["name"]) for column in sampled] if self._by_dict and sampled else []


def _arguments(module: Any, options: dict[str, Any]) -> list[Port]:
    """The tensors that forward takes; those with a default are left out where no column has their name."""
    found = []
    for argument in module.forward.schema.arguments[1:]:
        kind = str(argument.type)
        if "Tensor" in kind and not kind.startswith(("List", "Tuple")):
            found.append(Port(argument.name, is_optional=argument.has_default_value() or kind.startswith("Optional")))
        elif kind == "List[str]":
            found.append(Port(argument.name, np.dtype(object), ()))
        elif not argument.has_default_value():
            raise ValueError(f"forward takes {argument.name!r} as {kind}, which no column can hold; {_HINT}")
    return found


def _float_of(module: Any) -> Any:
    """The type of the model's own numbers."""
    for parameter in module.parameters():
        if parameter.dtype in (torch.float32, torch.float64):
            return str(parameter.dtype).rpartition(".")[2]
    return "float32"


class Exported:
    """A program of torch.export: it knows what it takes, and for how many rows it was made."""

    def __init__(self, program: Any, options: dict[str, Any]) -> None:
        self._program = program
        self._module = program.module()
        self._order, keywords = program.call_spec.in_spec.children()
        self._keywords = list(keywords.context or ())
        values = _placeholders(program)
        wanted = [(name, _numpy(value.dtype), _dims(value.shape)) for name, value in values.items()]
        self._ports, self._by_row = ports.fitted(wanted, options.get(ports.COLUMNS))
        self._fewest, self._most = (1, None) if self._by_row else _rows(program, values)

    def describe(self) -> dict[str, Any]:
        notes = ["exported for one row, which every call asks"] if self._by_row else []
        if self._most is not None:
            notes = [f"exported for {self._most} rows at once; rows are asked in such batches"]
        return {
            "inputs": self._ports.inputs(),
            "named": len(self._ports.ports) > 1,
            "kind": "network",
            "takes": None,
            "notes": notes,
            "estimator": "ExportedProgram",
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The program's own answers."""
        tensors = self._ports.tensors(columns)
        rows = len(next(iter(tensors.values())))
        if self._by_row:
            return ports.answers(ports.row_by_row(self._answer, tensors), rows)
        return ports.answers(ports.in_batches(self._answer, tensors, self._fewest, self._most), rows)

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """An ONNX file by torch's own exporter, straight from the program."""
        if self._by_row or self._most is not None:
            raise ValueError("it was exported for a fixed number of rows; export it with a dynamic first dimension")
        tensors = {name: _tensor(values) for name, values in self._ports.tensors(rows).items()}
        if self._keywords:
            raise ValueError("it was exported with keyword arguments, which its ONNX exporter mixes up")
        return _write(self._program, tensors, target, self._answer(self._ports.tensors(rows)))

    def _answer(self, arrays: dict[str, Any]) -> dict[str, Any]:
        tensors = [_tensor(values) for values in arrays.values()]
        cut = len(tensors) - len(self._keywords)
        with torch.inference_mode():
            return _arrays(self._module(*tensors[:cut], **dict(zip(self._keywords, tensors[cut:]))))


def _placeholders(program: Any) -> dict[str, Any]:
    """What the program takes, in order."""
    wanted = program.graph_signature.user_inputs
    made = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    odd = [name for name in wanted if not isinstance(made.get(str(name)), torch.Tensor)]
    if odd:
        raise ValueError(f"the program takes {odd[0]!r}, which is no tensor; {_HINT}")
    return {name: made[name] for name in wanted}


def _rows(program: Any, values: dict[str, Any]) -> tuple[int, int | None]:
    """How many rows at once, at least and at most; the same for all inputs."""
    sizes = {str(value.shape[0]): value.shape[0] for value in values.values()}
    if len(sizes) > 1:
        raise ValueError(f"its inputs were exported with different first dimensions ({', '.join(sizes)}); {_HINT}")
    size = next(iter(sizes.values()))
    if isinstance(size, int):
        return size, size
    found = program.range_constraints.get(size.node.expr)
    if found is None:
        return 1, None
    upper = int(found.upper) if found.upper < 1 << 30 else None
    return max(1, int(found.lower)), upper


def _dims(shape: Any) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)


def _numpy(dtype: Any) -> Any:
    """NumPy's type for one of torch's; what NumPy has not comes as float32."""
    return np.dtype({torch.bfloat16: "float32"}.get(dtype) or str(dtype).rpartition(".")[2])


def _tensor(values: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(values))


def _arrays(answer: Any) -> dict[str, Any]:
    """Tensors by name as arrays."""
    return {name: _array(value) for name, value in ports.named(answer).items()}


def _array(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach()
    return (value.float() if value.dtype in (torch.bfloat16, torch.float16) else value).numpy()


def _write(module: Any, tensors: dict[str, Any], target: str, answers: dict[str, Any]) -> list[str]:
    """Have torch write the graph, its inputs and outputs under the names that payoff uses."""
    if any(not isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise ValueError("it takes text, which torch does not write to ONNX")
    is_program = isinstance(module, torch.export.ExportedProgram)
    torch.onnx.export(
        module,
        tuple(tensors.values()),
        target,
        input_names=list(tensors),
        output_names=list(answers),
        dynamo=is_program,
        external_data=False,
        **({} if is_program else {"dynamic_axes": {name: {0: "batch"} for name in [*tensors, *answers]}}),
    )
    return [f"torch.onnx of torch {torch.__version__}"]


def _refused(error: Exception | None) -> str:
    """What TorchScript says, without its traceback."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = next((line for line in reversed(said) if "Error:" in line), said[-1] if said else "")
    return f"the model refuses these rows: {last[:400]}"
