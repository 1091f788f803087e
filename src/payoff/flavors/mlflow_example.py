"""The input example that MLflow kept beside a model, as sample rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

TENSOR = "inputs"  # what an array is called that has no name
_BYTES_MAX = 64 << 20
_FILES = ("serving_input_example.json", "input_example.json")


def example(folder: Path, told: Mapping[str, Any]) -> tuple[pa.Table | None, str]:
    """The rows, and in words where they came from; None where there are none that can be read."""
    for name in _FILES:
        file = folder / name
        if not file.is_file() or file.stat().st_size > _BYTES_MAX:
            continue
        try:
            columns = _columns(json.loads(file.read_bytes()), _types(told))
            return _table(columns, _types(told)), f"the sample is the model's own {name}"
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
        ):  # another form: the next file, or a sample is asked for
            continue
    return None, ""


def _types(told: Mapping[str, Any]) -> dict[str, str]:
    """Column -> MLflow's type, as far as the signature says them."""
    try:
        found = json.loads((told.get("signature") or {}).get("inputs") or "[]")
    except ValueError:
        return {}
    return {one["name"]: str(one.get("type")) for one in found if isinstance(one, dict) and "name" in one}


def _columns(found: Any, types: Mapping[str, str]) -> dict[str, list[Any]]:
    """Column -> values, of any of the forms in which MLflow's server takes rows."""
    for key in ("dataframe_split", "dataframe_records", "inputs", "instances"):
        if isinstance(found, dict) and key in found:
            found = found[key]
            break
    if isinstance(found, dict) and {"columns", "data"} <= found.keys():
        return {str(name): [row[at] for row in found["data"]] for at, name in enumerate(found["columns"])}
    if isinstance(found, dict):
        return {str(name): values if isinstance(values, list) else [values] for name, values in found.items()}
    if isinstance(found, list) and found and isinstance(found[0], dict):
        return {str(name): [row.get(name) for row in found] for name in found[0]}
    if isinstance(found, list) and found:
        name = next(iter(types)) if len(types) == 1 else TENSOR
        return {name: found}
    raise ValueError("no rows")


def _table(columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> pa.Table:
    import pyarrow as pa

    try:
        arrays = {name: pa.array(values) for name, values in columns.items()}
        for name in arrays.keys() & {name for name, kind in types.items() if kind == "datetime"}:
            arrays[name] = arrays[name].cast(pa.timestamp("us"))
        table = pa.table(arrays)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    if not table.num_rows or not table.num_columns:
        raise ValueError("no rows")
    return table
