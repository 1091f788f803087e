"""Which columns an expression may name, and the right names for a wrong one."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from payoff.errors import BadInput
from payoff.records import Field, Type

SOURCES = ("inputs", "outputs", "outcome")
_LISTED_MAX = 20
_NEAR = 0.5  # difflib's ratio


@dataclass(frozen=True, slots=True)
class Scope:
    """The columns by source. `decision` is the decision's type where there is one.

    With `open_outcome`, outcome columns may be undeclared; their type is inferred from how they are used. `others` are
    further sources by name: the steps of a chain.
    """

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    outcome: tuple[Field, ...] = ()
    decision: Type | None = None
    open_outcome: bool = False
    others: tuple[tuple[str, tuple[Field, ...]], ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Every name that may stand before the dot."""
        return (*SOURCES, *(name for name, _ in self.others))

    def fields(self, source: str) -> dict[str, Field]:
        """The declared columns of `inputs`, `outputs`, `outcome` or `decision`, by name."""
        if source == "decision":
            return {} if self.decision is None else {"decision": Field("decision", self.decision)}
        declared: tuple[Field, ...] = getattr(self, source) if source in SOURCES else dict(self.others)[source]
        return {field.name: field for field in declared}


def find(scope: Scope, source: str | None, name: str) -> tuple[str, Field | None]:
    """The source and field a written name means; no field for an undeclared outcome column of an open scope."""
    if source is None:
        return _bare(scope, name)
    if source not in scope.sources:
        raise BadInput(f"there is no source {source!r}{near(source, scope.sources)}; columns are {_written(scope)}")
    field = scope.fields(source).get(name)
    if field is None and not (source == "outcome" and scope.open_outcome):
        raise BadInput(f"there is no column {path(source, name)}{_others(scope, source, name)}")
    return source, field


def _bare(scope: Scope, name: str) -> tuple[str, Field | None]:
    if name == "decision" and scope.decision is not None:
        return "decision", Field("decision", scope.decision)
    if name in scope.sources:
        raise BadInput(f"{name} is a group of columns; write {name}.column, for example {_example(scope, name)}")
    found = [source for source in scope.sources if name in scope.fields(source)]
    if len(found) > 1:
        raise BadInput(f"{name!r} is ambiguous; write {' or '.join(path(source, name) for source in found)}")
    if not found:
        raise BadInput(f"there is no column {name!r}{_others(scope, None, name)}")
    return found[0], scope.fields(found[0])[name]


def path(source: str, name: str) -> str:
    """How a column is written: inputs.age, inputs."age group", decision."""
    if source == "decision":
        return source
    return f"{_quoted(source)}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else f'"{name.replace(chr(34), chr(34) * 2)}"'


def near(wrong: str, right: Iterable[str]) -> str:
    """'; did you mean ...?' where something is near, else nothing."""
    close = _nearest(wrong, {name: name for name in right})
    return f"; did you mean {close}?" if close else ""


def _nearest(wrong: str, right: dict[str, str]) -> str | None:
    """The value of the nearest key, whatever its case."""
    by_lower = {key.lower(): value for key, value in right.items()}
    beginnings = [name for name in by_lower if name.startswith(wrong.lower())]
    close = beginnings or get_close_matches(wrong.lower(), by_lower, n=1, cutoff=_NEAR)
    return by_lower[close[0]] if close else None


def _others(scope: Scope, source: str | None, name: str) -> str:
    """What may have been meant, first among the columns of the same source, and which there are."""
    everywhere = [(s, field) for s in scope.sources for field in scope.fields(s)]
    listed = [(s, field) for s, field in everywhere if source in (None, s)]
    options = (listed, everywhere)
    close = next(
        filter(None, (_nearest(name, {field: path(s, field) for s, field in group}) for group in options)), None
    )
    there = _listed([path(s, field) for s, field in listed or everywhere])
    return f"; did you mean {close}? {there}" if close else f"; {there}"


def _listed(paths: list[str]) -> str:
    if not paths:
        return "there are no columns here"
    more = f" and {len(paths) - _LISTED_MAX} more" if len(paths) > _LISTED_MAX else ""
    return f"there are: {', '.join(sorted(paths)[:_LISTED_MAX])}{more}"


def _written(scope: Scope) -> str:
    return ", ".join(path(source, "name") for source in scope.sources) + (" and decision" if scope.decision else "")


def _example(scope: Scope, source: str) -> str:
    return path(source, next(iter(scope.fields(source)), "amount"))
