"""PyTorch modules traced with torch.export, so that they run without the code of their classes."""

import inspect
from pathlib import Path
from typing import Any

from payoff.client import frames, packages
from payoff.errors import BadInput

ROWS = 8  # of the example


def export(model: Any, sample: Any, path: Path) -> None:
    """Write the module as an exported program for any number of rows."""
    torch = packages.module("torch")
    if sample is None:
        raise BadInput(
            "a PyTorch module is traced with example rows; give some: client.deploy(model, sample=rows), a frame, an "
            "array, or a dict of arrays by the names that forward takes"
        )
    names, tensors = example(model, sample, torch)
    rows = tuple({0: torch.export.Dim("batch")} for _ in tensors)
    was_training = model.training
    model.eval()
    try:
        if names:
            given = dict(zip(names, tensors, strict=True))
            shapes = dict(zip(names, rows, strict=True))
            program = torch.export.export(model, (), kwargs=given, dynamic_shapes=shapes)
        else:
            program = torch.export.export(model, tensors, dynamic_shapes=rows)
    except Exception as error:
        raise BadInput(
            f"this {type(model).__name__} cannot be exported with torch.export: {_first(error)}; save it in another "
            "way (torch.jit.script, torch.onnx.export) and give the path"
        ) from error
    finally:
        model.train(was_training)
    torch.export.save(program, str(path))


def example(model: Any, sample: Any, torch: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """What forward is called with: the sample's columns by its parameters' names, or all of them as one matrix.

    The names are empty where the tensors go by position, which more of PyTorch's exporters understand.
    """
    columns = {name: torch.as_tensor(_numbers(values)) for name, values in arrays(sample).items()}
    takes = [one for one in inspect.signature(model.forward).parameters.values() if one.kind is not one.VAR_KEYWORD]
    needed = [one.name for one in takes if one.default is one.empty]
    known = [one.name for one in takes if one.name in columns]
    if set(needed) <= set(known) and len(known) == len(columns):
        leads = known == [one.name for one in takes[: len(known)]]
        return () if leads else tuple(known), tuple(_twice(columns[name], torch) for name in known)
    if len(needed) == 1:
        parts = [one.float() if one.ndim > 1 else one.float()[:, None] for one in columns.values()]
        return (), (_twice(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), torch),)
    raise BadInput(
        f"forward takes {', '.join(needed)}, and the sample has {', '.join(columns)}; give a sample with these columns"
    )


def arrays(sample: Any) -> dict[str, Any]:
    """The first rows of a sample, as an array per column."""
    if isinstance(sample, str | Path):
        raise BadInput("to trace a PyTorch module give the sample as rows, not as the path of a file")
    if isinstance(sample, dict) and all(frames.is_array(values) for values in sample.values()):
        return {name: frames.to_numpy(values)[:ROWS] for name, values in sample.items()}
    if frames.is_array(sample) and sample.ndim >= 2:
        return {name: frames.to_numpy(values)[:ROWS] for name, values in frames.spread(sample).items()}
    table = frames.take(sample).table.slice(0, ROWS)
    np = packages.module("numpy")
    return {name: np.asarray(table[name].to_pylist()) for name in table.column_names}


def _numbers(values: Any) -> Any:
    if values.dtype.kind not in "biuf":
        raise BadInput(f"PyTorch takes numbers, and the sample has {values.dtype} in a column; encode it first")
    return values.astype("float32") if values.dtype.kind == "f" else values


def _twice(tensor: Any, torch: Any) -> Any:
    """At least two rows: one row would be taken for a fixed size."""
    return tensor if len(tensor) > 1 else torch.cat([tensor, tensor])


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
