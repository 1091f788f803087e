"""Which SQL may be asked: one SELECT, DESCRIBE, SHOW or SUMMARIZE, and no table function that reaches outside."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from payoff.errors import BadInput

ALLOWED = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree", "repeat"})
_HINT = "use one SELECT over predictions, shadows, outcomes and outcome_log"
_TEXT_MAX = 100_000


def check(database: duckdb.DuckDBPyConnection, text: str) -> str:
    """The text itself if it may run; BadInput says why not."""
    if len(text) > _TEXT_MAX:
        raise BadInput(f"the query has {len(text):,} characters; the limit is {_TEXT_MAX:,}")
    try:
        statements = database.extract_statements(text)
    except duckdb.Error as error:
        raise BadInput(f"the query cannot be read: {first_line(error)}; {_HINT}") from error
    if len(statements) != 1:
        raise BadInput(f"{len(statements)} statements were given; {_HINT}")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise BadInput(f"a {kind.name} statement may not run here: queries only read; {_HINT}")
    for name in table_functions(_tree(database, text)):
        if name.lower() not in ALLOWED:
            raise BadInput(
                f"the table function {name[:60]} may not be used here; only {', '.join(sorted(ALLOWED))}; {_HINT}"
            )
    return text


def table_functions(node: Any) -> Iterator[str]:
    """Every table function in a serialized statement, however deep."""
    if isinstance(node, list):
        for each in node:
            yield from table_functions(each)
    elif isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            function = node.get("function") or {}
            yield str(function.get("function_name", "?"))
        for each in node.values():
            yield from table_functions(each)


def first_line(error: BaseException) -> str:
    """What DuckDB says, without its drawing of the query."""
    return str(error).strip().split("\n", 1)[0][:500]


def _tree(database: duckdb.DuckDBPyConnection, text: str) -> Any:
    tree = json.loads(database.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [text]).fetchall()[0][0])
    if tree.get("error"):
        raise BadInput(f"the query cannot be checked: {tree.get('error_message', 'not a SELECT')}; {_HINT}")
    return tree
