"""What a decision is worth, as SQL over the journal's columns: as it was taken, and as the fallback would have it."""

from dataclasses import dataclass

from payoff.deploy.check import decision_type
from payoff.expressions.expression import Expression, parse
from payoff.expressions.render import identifier, quoted
from payoff.expressions.scope import Scope
from payoff.journal.decode import canonical
from payoff.journal.shape import sql_type
from payoff.records import merge
from payoff.records.endpoint import Revision
from payoff.records.signature import Field


@dataclass(frozen=True, slots=True)
class Worth:
    """`value` and `fallback` are SQL of type double; `fallback` is None where the fallback decides nothing."""

    value: str
    fallback: str | None


def worth(revision: Revision) -> Worth | None:
    """The SQL of a revision's value; None if it does not say what a decision is worth.

    BadInput if the value does not fit its columns, which the endpoint's file was checked for.
    """
    policy = revision.policy
    if policy.value is None:
        return None
    scope = Scope(
        inputs=merge.inputs(revision),
        outputs=merge.outputs(revision),
        outcome=policy.outcome,
        decision=decision_type(revision),
        open_outcome=not policy.outcome,
    )
    expression = parse(policy.value, scope, "number")
    return Worth(_double(expression.duckdb()), _fallback(revision, expression, scope))


def _fallback(revision: Revision, expression: Expression, scope: Scope) -> str | None:
    """The value with the fallback's decision and the fallback's outputs, null where it has none."""
    fallback = revision.policy.fallback
    prefix: dict[str, str] = {}
    if ("decision", "decision") in expression.names:
        if "decision" not in fallback:
            return None
        prefix["decision"] = literal(fallback["decision"])
    read = {name for source, name in expression.names if source == "outputs"}
    if read:
        fields = [field for field in scope.outputs if field.name in read]
        values = (f"{identifier(field.name)} := {_constant(fallback.get(field.name), field)}" for field in fields)
        prefix["outputs"] = f"(struct_pack({', '.join(values)}))"
    return _double(expression.duckdb(prefix))


def _double(sql: str) -> str:
    return f"CAST({sql} AS DOUBLE)"


def _constant(value: object, field: Field) -> str:
    return f"CAST({literal(value)} AS {sql_type(canonical(field))})"


def literal(value: object) -> str:
    """A constant of the fallback as SQL; a date or a timestamp is its text, which a cast reads."""
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int) else quoted(str(value))
