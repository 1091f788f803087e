"""Which columns an expression may name, and the right names for a wrong one."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from payoff.errors import BadInput
from payoff.records import Field, Type

SOURCES = ("inputs", "outputs", "outcome")
_LISTED_MAX = 20


@dataclass(frozen=True, slots=True)
class Scope:
    """The columns by source. `decision` is the decision's type where there is one.

    With `open_outcome`, outcome columns may be undeclared; their type is inferred from how they are used.
    """

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    outcome: tuple[Field, ...] = ()
    decision: Type | None = None
    open_outcome: bool = False

    def fields(self, source: str) -> dict[str, Field]:
        """The declared columns of `inputs`, `outputs`, `outcome` or `decision`, by name."""
        if source == "decision":
            return {} if self.decision is None else {"decision": Field("decision", self.decision)}
        declared: tuple[Field, ...] = getattr(self, source)
        return {field.name: field for field in declared}


def find(scope: Scope, source: str | None, name: str) -> tuple[str, Field | None]:
    """The source and field a written name means; no field for an undeclared outcome column of an open scope."""
    if source is None:
        return _bare(scope, name)
    if source not in SOURCES:
        raise BadInput(f"there is no source {source!r}{near(source, SOURCES)}; columns are {_written(scope)}")
    field = scope.fields(source).get(name)
    if field is None and not (source == "outcome" and scope.open_outcome):
        raise BadInput(f"there is no column {path(source, name)}{_others(scope, source, name)}")
    return source, field


def _bare(scope: Scope, name: str) -> tuple[str, Field | None]:
    if name == "decision" and scope.decision is not None:
        return "decision", Field("decision", scope.decision)
    if name in SOURCES:
        raise BadInput(f"{name} is a group of columns; write {name}.column, for example {_example(scope, name)}")
    found = [source for source in SOURCES if name in scope.fields(source)]
    if len(found) > 1:
        raise BadInput(f"{name!r} is ambiguous; write {' or '.join(path(source, name) for source in found)}")
    if not found:
        raise BadInput(f"there is no column {name!r}{_others(scope, None, name)}")
    return found[0], scope.fields(found[0])[name]


def path(source: str, name: str) -> str:
    """How a column is written: inputs.age, inputs."age group", decision."""
    if source == "decision":
        return source
    plain = name.isascii() and name.isidentifier()
    return f"{source}.{name}" if plain else f'{source}."{name.replace(chr(34), chr(34) * 2)}"'


def near(wrong: str, right: Iterable[str]) -> str:
    """'; did you mean ...?' where something is near, else nothing."""
    by_lower = {name.lower(): name for name in right}
    close = get_close_matches(wrong.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


def _others(scope: Scope, source: str | None, name: str) -> str:
    sources = SOURCES if source is None else (source,)
    paths = {path(s, field): field for s in sources for field in scope.fields(s)}
    everywhere = [path(s, field) for s in SOURCES for field in scope.fields(s)]
    suggestion = near(name if source is None else path(source, name), {**dict.fromkeys(everywhere), **paths})
    if source is None:
        close = get_close_matches(name, [field for s in SOURCES for field in scope.fields(s)], n=1)
        suggestion = f"; did you mean {next(p for p, f in paths.items() if f == close[0])}?" if close else ""
    return f"{suggestion}{_listed(sorted(paths) or everywhere)}"


def _listed(paths: list[str]) -> str:
    if not paths:
        return "; there are no columns here"
    more = f" and {len(paths) - _LISTED_MAX} more" if len(paths) > _LISTED_MAX else ""
    return f"; there are: {', '.join(paths[:_LISTED_MAX])}{more}"


def _written(scope: Scope) -> str:
    return ", ".join(f"{source}.name" for source in SOURCES) + (" and decision" if scope.decision else "")


def _example(scope: Scope, source: str) -> str:
    return path(source, next(iter(scope.fields(source)), "amount"))
