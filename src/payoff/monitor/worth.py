"""What a decision is worth, as SQL over the journal's columns: as it was taken, and as the fallback would have it.

Without an outcome nothing is known, even where the expression would come to a number without one: a row counts for both
sides or for none. Only where the policy says that no outcome counts, it is what the expression says of nothing. Money
that came with an outcome overrules the expression, for the decision that was taken: it says nothing about another one.
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
from payoff.records.endpoint import Matures, NoOutcome, Policy, Revision
from payoff.records.signature import Field

DEPENDS = (
    "the outcome depends on the decision: what another decision would have earned is not known, so the fallback and "
    "arms that only watch have no value; compare with a hold-out (holdout: 5%, against: holdout), or with nothing"
)


@dataclass(frozen=True, slots=True)
class Worth:
    """`value` and `fallback` are SQL of type double; `fallback` is None where nobody knows what it would have earned.

    `covariate` is SQL of what was known before, None where nothing is said. `window_s` is how long a missing outcome
    holds back those after it: not at all if no outcome is asked for. `declared` are the columns the SQL may read, by
    source. `refusal` says why decisions that were not taken have no value, None where they have.
    """

    value: str
    fallback: str | None
    window_s: float
    declared: Mapping[str, Sequence[Field]]
    covariate: str | None = None
    matures: Matures = Matures.OUTCOME
    no_outcome: NoOutcome = NoOutcome.UNKNOWN
    refusal: str | None = None


def worth(revision: Revision) -> Worth:
    """The SQL for a revision's value; without an expression it is the money that came with the outcomes.

    BadInput if the expression does not fit its columns, which the endpoint's file was checked for.
    """
    policy, scope = revision.policy, _scope(revision)
    expression = None if policy.value is None else parse(policy.value, scope, "number")
    outcome = () if expression is None else expression.outcome
    refused = policy.outcome_depends_on_decision and (expression is None or bool(outcome))
    return Worth(
        value=_value(policy, expression, refused),
        fallback=None if expression is None or refused else _otherwise(revision, expression, scope),
        window_s=_window_s(policy, expression),
        declared=_declared(scope, outcome),
        covariate=_covariate(policy, scope),
        matures=policy.matures,
        no_outcome=policy.no_outcome,
        refusal=DEPENDS if refused else None,
    )


def decided(revision: Revision, decision: object) -> str | None:
    """SQL of what each row would have been worth with this decision and the outputs as they were.

    None where that is not known: without an expression, or where the outcome depends on the decision.
    """
    policy = revision.policy
    if policy.value is None:
        return None
    scope = _scope(revision)
    expression = parse(policy.value, scope, "number")
    if policy.outcome_depends_on_decision and expression.outcome:
        return None
    return _known(_double(expression.duckdb({"decision": literal(decision)})), expression, policy)


def _scope(revision: Revision) -> Scope:
    policy = revision.policy
    return Scope(
        inputs=merge.inputs(revision),
        outputs=merge.outputs(revision),
        outcome=policy.outcome,
        decision=decision_type(revision),
        open_outcome=not policy.outcome,
    )


def _value(policy: Policy, expression: Expression | None, refused: bool) -> str:
    """What the decision taken was worth; on rows of arms that only watched, theirs, if anybody can know."""
    if expression is None:
        return f"CASE WHEN NOT shadow THEN {_sent(policy)} END"
    own = _known(_double(expression.duckdb()), expression, policy)
    watched = "" if refused else f" ELSE {own}"
    return f"CASE WHEN NOT shadow THEN coalesce(outcome_value, {own}){watched} END"


def _sent(policy: Policy) -> str:
    return "coalesce(outcome_value, 0)" if policy.no_outcome is NoOutcome.COUNTS else "outcome_value"


def _otherwise(revision: Revision, expression: Expression, scope: Scope) -> str | None:
    fallback = _fallback(revision, expression, scope)
    return None if fallback is None else _known(_double(fallback), expression, revision.policy)


def _known(sql: str, expression: Expression, policy: Policy) -> str:
    """The same only where the truth it reads was told; everywhere, where no outcome counts as nothing."""
    if not expression.outcome or policy.no_outcome is NoOutcome.COUNTS:
        return sql
    told = " OR ".join(f"outcome.{identifier(field.name)} IS NOT NULL" for field in expression.outcome)
    return f"CASE WHEN {told} THEN {sql} END"


def _window_s(policy: Policy, expression: Expression | None) -> float:
    """Where nothing is asked for, nothing is waited for; unless the window itself is what settles."""
    asks = expression is None or bool(expression.outcome)
    return policy.outcome_window_s if asks or policy.matures is Matures.WINDOW else 0.0


def _covariate(policy: Policy, scope: Scope) -> str | None:
    if policy.covariate is None:
        return None
    return _double(parse(policy.covariate, Scope(inputs=scope.inputs), "number").duckdb())


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
