"""One table for many revisions: columns come, go and change type, and nothing is lost or bent to fit.

In storage a column that comes back with another type gets a column of its own, `age#!text` beside `age`; queries see
one `age` again, as a number if all were numbers, as text otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import pyarrow as pa

from payoff.journal.decode import Array, canonical
from payoff.records.signature import Field

FieldOf: TypeAlias = "pa.Field[Any]"
VARIANT = "#!"
_SQL = {
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.date32(): "DATE",
    pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
    pa.decimal128(20, 0): "DECIMAL(20,0)",
}
_NUMBERS = (pa.int64(), pa.float64(), pa.decimal128(20, 0))


def place(storage: Iterable[FieldOf], incoming: Iterable[FieldOf]) -> list[FieldOf]:
    """The fields of storage with room made for those incoming; what is there stays where and what it is."""
    fields = {field.name.casefold(): field for field in storage}
    for field in incoming:
        name = _storage_name(fields, field)
        known = fields.get(name.casefold())
        if known is None:
            fields[name.casefold()] = pa.field(name, field.type)
        elif pa.types.is_struct(field.type):
            grown = pa.struct(place(children(known.type), children(field.type)))
            fields[name.casefold()] = pa.field(name, grown)
    return list(fields.values())


def conform(table: pa.Table, storage: pa.Schema) -> pa.Table:
    """The rows of a table as rows of a storage schema that has room for them; copies no values."""
    known = {field.name.casefold(): field for field in storage}
    taken = {_storage_name(known, field): table.column(field.name) for field in table.schema}
    columns: list[Any] = []
    for field in storage:
        column = taken.get(field.name)
        if column is None:
            columns.append(pa.nulls(table.num_rows, field.type))
        elif pa.types.is_struct(field.type) and column.type != field.type:
            structs = [_struct(chunk, field.type) for chunk in column.chunks]
            columns.append(pa.chunked_array(structs, cast(Any, field.type)))
        else:
            columns.append(column)
    return pa.Table.from_arrays(columns, schema=storage)


def children(kind: pa.DataType) -> list[FieldOf]:
    """The fields of a struct type."""
    return list(cast(pa.StructType, kind))


def struct(fields: Sequence[Field]) -> pa.StructType:
    """The struct that declared columns make."""
    return pa.struct([pa.field(each.name, canonical(each)) for each in fields])


def merged(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """The type queries see for a column that was stored as each of these."""
    first = kinds[0]
    if all(pa.types.is_struct(kind) for kind in kinds):
        return pa.struct(list(logical([field for kind in kinds for field in children(kind)]).items()))
    if all(kind == first for kind in kinds):
        return first
    return pa.float64() if all(kind in _NUMBERS for kind in kinds) else pa.string()


def logical(fields: Iterable[FieldOf], declared: Mapping[str, pa.DataType] | None = None) -> dict[str, pa.DataType]:
    """Storage fields as queries see them: variants become one, and a declared type wins."""
    own = {base: merged([field.type for field in group]) for base, group in _grouped(fields).items()}
    for name, kind in (declared or {}).items():
        known = next((base for base in own if base.casefold() == name.casefold()), name)
        own[known] = _with_fields(own.get(known), kind) if pa.types.is_struct(kind) else kind
    return own


def select(storage: Sequence[FieldOf], view: Mapping[str, pa.DataType]) -> str:
    """The SQL select list that shows a relation of storage columns as the view's columns."""
    groups = {base.casefold(): group for base, group in _grouped(storage).items()}
    return ",\n  ".join(
        f"{_expression(groups.get(name.casefold(), []), kind, '')} AS {quoted(name)}" for name, kind in view.items()
    )


def sql_type(kind: pa.DataType) -> str:
    """How DuckDB spells a canonical type."""
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return f"STRUCT({', '.join(f'{quoted(field.name)} {sql_type(field.type)}' for field in children(kind))})"
    return _SQL[kind]


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _expression(sources: Sequence[FieldOf], kind: pa.DataType, prefix: str) -> str:
    if not sources:
        return f"NULL::{sql_type(kind)}"
    if pa.types.is_struct(kind):
        return _struct_expression(sources[0], kind, prefix)
    reads = [
        f"{prefix}{quoted(source.name)}" if source.type == kind
        else f"try_cast({prefix}{quoted(source.name)} AS {sql_type(kind)})"
        for source in sources
    ]  # fmt: skip
    return reads[0] if len(reads) == 1 else f"coalesce({', '.join(reads)})"


def _struct_expression(source: FieldOf, kind: pa.DataType, prefix: str) -> str:
    path = f"{prefix}{quoted(source.name)}"
    if [(f.name, f.type) for f in children(source.type)] == [(f.name, f.type) for f in children(kind)]:
        return path  # as it is: DuckDB then reads only the fields that are asked for
    groups = {base.casefold(): group for base, group in _grouped(children(source.type)).items()}
    fields = [
        f"{quoted(field.name)} := {_expression(groups.get(field.name.casefold(), []), field.type, path + '.')}"
        for field in children(kind)
    ]
    return f"struct_pack({', '.join(fields)})"


def _with_fields(own: pa.DataType | None, declared: pa.DataType) -> pa.DataType:
    if own is None or not pa.types.is_struct(own):
        return declared
    return pa.struct(list(logical(children(own), {field.name: field.type for field in children(declared)}).items()))


def _grouped(fields: Iterable[FieldOf]) -> dict[str, list[FieldOf]]:
    """Fields by the name queries know them by; names that differ only in case are one."""
    names: dict[str, str] = {}
    groups: dict[str, list[FieldOf]] = {}
    for field in fields:
        base = field.name.partition(VARIANT)[0]
        groups.setdefault(names.setdefault(base.casefold(), base), []).append(field)
    return groups


def _storage_name(known: Mapping[str, FieldOf], field: FieldOf) -> str:
    """Where a field goes among those known, which are by their names without case."""
    own = known.get(field.name.casefold())
    if own is None:
        return field.name
    if own.type == field.type or (pa.types.is_struct(own.type) and pa.types.is_struct(field.type)):
        return own.name
    variant = f"{field.name}{VARIANT}{_label(field.type)}"
    return known[variant.casefold()].name if variant.casefold() in known else variant


def _struct(array: Array, kind: pa.DataType) -> Array:
    fields = children(kind)
    known = {field.name.casefold(): field for field in fields}
    source = cast(pa.StructArray, array)
    own = {_storage_name(known, field): source.field(field.name) for field in children(array.type)}
    arrays = [own[f.name] if f.name in own else pa.nulls(len(array), f.type) for f in fields]
    return pa.StructArray.from_arrays(arrays, fields=fields)


def _label(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_label(kind.value_type)}"
    return {"VARCHAR": "text", "DOUBLE": "number", "BIGINT": "integer"}.get(_SQL[kind], _SQL[kind].lower())
