"""What a decision is worth, as SQL over the journal's columns: as it was taken, and as the fallback would have it.

Without an outcome nothing is known, even where the expression would come to a number without one: a row counts for both
sides or for none. Money that came with an outcome overrules the expression.
"""

from collections.abc import Mapping, Sequence
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

_KNOWN = "(outcome IS NOT NULL OR outcome_value IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Worth:
    """`value` and `fallback` are SQL of type double; `fallback` is None where nobody knows what it would have earned.

    `window_s` is how long a missing outcome holds back those after it: not at all if no outcome is asked for.
    `declared` are the columns the SQL may read, by source.
    """

    value: str
    fallback: str | None
    window_s: float
    declared: Mapping[str, Sequence[Field]]


def worth(revision: Revision) -> Worth:
    """The SQL for a revision's value; without an expression it is the money that came with the outcomes.

    BadInput if the expression does not fit its columns, which the endpoint's file was checked for.
    """
    policy = revision.policy
    scope = Scope(
        inputs=merge.inputs(revision),
        outputs=merge.outputs(revision),
        outcome=policy.outcome,
        decision=decision_type(revision),
        open_outcome=not policy.outcome,
    )
    if policy.value is None:
        return Worth("outcome_value", None, policy.outcome_window_s, _declared(scope, ()))
    expression = parse(policy.value, scope, "number")
    fallback = _fallback(revision, expression, scope)
    return Worth(
        value=_known(f"coalesce(outcome_value, {_double(expression.duckdb())})", expression),
        fallback=None if fallback is None else _known(_double(fallback), expression),
        window_s=policy.outcome_window_s if expression.outcome else 0.0,
        declared=_declared(scope, expression.outcome),
    )


def _known(sql: str, expression: Expression) -> str:
    return f"CASE WHEN {_KNOWN} THEN {sql} END" if expression.outcome else sql


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
    return expression.duckdb(prefix)


def _declared(scope: Scope, outcome: Sequence[Field]) -> dict[str, Sequence[Field]]:
    decision = [] if scope.decision is None else [Field("decision", scope.decision)]
    return {
        "inputs": scope.inputs,
        "outputs": scope.outputs,
        "decision": decision,
        "outcome": scope.outcome or outcome,
    }


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
    if isinstance(value, float):
        return f"CAST({quoted(repr(value))} AS DOUBLE)"
    return repr(value) if isinstance(value, int) else quoted(str(value))
