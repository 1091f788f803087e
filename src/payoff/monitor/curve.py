"""The decision threshold: what another one would have earned, from matured rows; it informs, and moves nothing.

It is for decisions of the form `score > constant`. Where the outcome does not depend on the decision, every row tells
what a yes and what a no earned. Else only rows whose decision was drawn by chance tell, each for as many as its chance
says (Horvitz and Thompson 1952); without such rows there is no answer, and the reason is said.

What is left on the table is measured in order: each row is decided by the threshold that the rows before it chose, so
that no row flatters the threshold it helped to choose, and the interval holds at every look. Where the best threshold
lies is a statement for one look.
"""

from dataclasses import dataclass, replace
from math import inf, nextafter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray
from sqlglot import exp

from payoff.clock import Clock, now_us
from payoff.codecs.units import duration
from payoff.deploy.file import render
from payoff.deploy.which import seat
from payoff.errors import BadInput, Conflict
from payoff.expressions.expression import parse
from payoff.expressions.scope import Scope
from payoff.expressions.syntax import read
from payoff.journal.query import Journal
from payoff.monitor.compare import Mean, mean
from payoff.monitor.evidence import SETTLE_US
from payoff.monitor.settled import BATCH
from payoff.monitor.worth import Worth, decided, worth
from payoff.records import merge
from payoff.records.endpoint import Arm, Revision, Role
from payoff.stats.threshold import Curve, Suggestion, curve, suggest

POINTS = 200  # of the picture
ROWS_MIN = 100  # before a threshold is chosen, and of either decision where rows are weighted
_GROWS = 1.5  # the threshold is chosen anew when there are half as many rows more
_FORM = "a threshold needs a decision of the form `score > constant` (or >=, <, <=)"

Floats = NDArray[np.float64]
compute: Any = pyarrow.compute


@dataclass(frozen=True, slots=True)
class Cut:
    """A decision as a score and a constant. `sign` is -1 where less is a yes; `text` the score as it was written."""

    text: str
    operator: str
    constant: float

    @property
    def sign(self) -> float:
        return 1.0 if self.operator in (">", ">=") else -1.0

    @property
    def present(self) -> float:
        """The signed score from which on it is a yes."""
        edge = self.sign * self.constant
        return nextafter(edge, inf) if self.operator in (">", "<") else edge

    def moved(self, threshold: float) -> str:
        """The decision with another threshold of the signed score, as it stands in an endpoint's file."""
        return f"{self.text} {'>=' if self.sign > 0 else '<='} {self.sign * threshold!r}"


@dataclass(frozen=True, slots=True)
class Told:
    """Matured rows in their order, arrays of shape (n,): the signed score and what a yes and a no earned, in units."""

    scores: Floats
    yes: Floats
    no: Floats
    weighted: bool  # each row tells of one decision only, for as many as its chance says


@dataclass(frozen=True, slots=True)
class Advice:
    """What the threshold of an endpoint leaves on the table; `left` is money per decision, measured in order."""

    endpoint: str
    currency: str
    cut: Cut
    rows: int
    weighted: bool
    curve: Curve
    suggestion: Suggestion
    best: float  # a threshold of the signed score that is as short as the scores allow
    left: Mean

    @property
    def worth_it(self) -> bool:
        """Whether moving it surely earns more, however often one looked."""
        return self.left.interval is not None and self.left.interval.low > 0

    @property
    def decision(self) -> str:
        """The decision with the suggested threshold."""
        return self.cut.moved(self.best)


def advise(journal: Journal, revision: Revision, clock: Clock = now_us) -> Advice:
    """The profit curve of an endpoint and what follows from it.

    BadInput where there is no value or the decision has no threshold, Conflict where the rows do not tell.
    """
    cut = threshold(revision)
    told = _told(journal, revision, cut, worth(revision), clock())
    found = suggest(told.scores, told.yes, told.no, cut.present)
    return Advice(
        revision.endpoint,
        revision.policy.currency,
        cut,
        found.rows,
        told.weighted,
        curve(told.scores, told.yes, told.no, points=POINTS),
        found,
        _short(told.scores, found.best),
        mean(in_order(told, cut.present)),
    )


def drawn(journal: Journal, revision: Revision, clock: Clock = now_us) -> dict[str, Any] | None:
    """The curve as JSON; None where there is none."""
    try:
        return plain(advise(journal, revision, clock))
    except (BadInput, Conflict):
        return None


def threshold(revision: Revision) -> Cut:
    """The score and the constant of an endpoint's decision. BadInput where it has none, or another form."""
    policy = revision.policy
    if policy.value is None:
        raise BadInput(
            f"{revision.endpoint} has no value: say in its file what a decision is worth, and `payoff apply`"
        )
    if policy.decision is None:
        raise BadInput(f"{revision.endpoint} decides nothing; {_FORM} in its file")
    tree = read(policy.decision)
    while isinstance(tree, exp.Paren):
        tree = tree.this
    operator = _OPERATORS.get(type(tree))
    sides = (tree.this, tree.expression) if operator else (None, None)
    numbers = [_number(side) for side in sides]
    if operator is None or (numbers[0] is None) == (numbers[1] is None):
        raise BadInput(f"{revision.endpoint} decides `{policy.decision}`; {_FORM}")
    if numbers[1] is None:  # 0.5 < score
        sides, operator, numbers = sides[::-1], _MIRRORED[operator], numbers[::-1]
    assert sides[0] is not None and numbers[1] is not None  # noqa: S101, PT018 - one of them is a number
    return Cut(sides[0].sql(dialect="duckdb"), operator, numbers[1])


_OPERATORS: dict[type[Any], str] = {exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}


def in_order(told: Told, present: float) -> Floats:
    """What each row would have earned more at the threshold that the rows before it chose; from ROWS_MIN on.

    The threshold is chosen anew now and then; every row is valued by one that it had no part in.
    """
    n, start, parts = len(told.scores), ROWS_MIN, []
    while start < n:
        stop = min(n, int(start * _GROWS) + 1)
        best = curve(told.scores[:start], told.yes[:start], told.no[:start]).best
        scores = told.scores[start:stop]
        moved = (scores >= best).astype(np.float64) - (scores >= present)
        parts.append((told.yes - told.no)[start:stop] * moved)
        start = stop
    return np.concatenate(parts) if parts else np.empty(0)


def moved(revision: Revision, advice: Advice) -> str:
    """The endpoint's file with the suggested threshold. Conflict where it is not sure to earn more."""
    if not advice.worth_it:
        raise Conflict(f"the threshold stays: {words(advice)}")
    return render(replace(revision, policy=replace(revision.policy, decision=advice.decision)))


def words(advice: Advice) -> str:
    """What was found, as a sentence."""
    left, currency = advice.left, advice.currency
    there = f"{advice.cut.text} {advice.cut.operator} {advice.cut.constant:.6g}"
    if left.interval is None:
        return (
            f"{advice.rows:,} matured decisions are too few to say whether another threshold than {there} earns more."
        )
    between = f"between {left.interval.low:,.4g} and {left.interval.high:,.4g}"
    if advice.worth_it:
        return (
            f"{there} leaves {left.value:,.4g} {currency} per decision on the table ({between}); "
            f"{advice.decision} is suggested."
        )
    return f"Nothing shows that another threshold than {there} earns more: {left.value:,.4g} {currency} ({between})."


def plain(advice: Advice) -> dict[str, Any]:
    """As JSON: amounts in units, thresholds as they stand in the decision."""
    cut, found, between = advice.cut, advice.suggestion, advice.left.interval
    ends = sorted(cut.sign * end for end in (found.best_interval.low, found.best_interval.high))
    points = sorted(zip((cut.sign * advice.curve.thresholds).tolist(), advice.curve.profit.tolist(), strict=True))
    return {
        "endpoint": advice.endpoint,
        "currency": advice.currency,
        "decision": f"{cut.text} {cut.operator} {cut.constant!r}",
        "score": cut.text,
        "operator": cut.operator,
        "rows": advice.rows,
        "weighted": advice.weighted,
        "present": cut.constant,
        "present_profit": found.present_profit,
        "best": cut.sign * advice.best,
        "best_low": ends[0],
        "best_high": ends[1],
        "left": advice.left.value,
        "left_low": None if between is None else between.low,
        "left_high": None if between is None else between.high,
        "worth_it": advice.worth_it,
        "suggested": advice.decision,
        "note": words(advice),
        "thresholds": [score for score, _ in points],
        "profit": [profit for _, profit in points],
        "assumptions": [_rests(advice), _ORDER, _ONE_LOOK],
    }


_ORDER = (
    "what is left on the table is measured on each row with the threshold that the rows before it chose; its interval "
    "holds at 95% at every look"
)
_ONE_LOOK = "where the best threshold lies is for one look at 95%, not for reading again and again"


def _rests(advice: Advice) -> str:
    if advice.weighted:
        return "rows whose decision was drawn by chance count for as many as their chance says; no others tell"
    return "every matured row tells what a yes and what a no earned: its outcome does not depend on the decision"


def _told(journal: Journal, revision: Revision, cut: Cut, sql: Worth, now: int) -> Told:
    scope, arm = Scope(inputs=merge.inputs(revision), outputs=merge.outputs(revision)), _seated(revision)
    score = f"CAST({parse(cut.text, scope, 'number').duckdb()} AS DOUBLE)"
    yes, no = decided(revision, True), decided(revision, False)
    if yes is not None and no is not None:
        return _paired(revision, cut, _rows(journal, revision, sql, now, arm, (yes, no, score)))
    table = _rows(journal, revision, sql, now, arm, (sql.value, "decision::INT", score))
    return _drawn(revision, cut, table.filter(~np.asarray(table["shadow"])))


def _seated(revision: Revision) -> Arm:
    """Whose scores the threshold is about: the champion's, killed or not. Conflict where there is none."""
    found = next((arm for arm in revision.arms if seat(arm) is Role.CHAMPION), None)
    if found is None:
        raise Conflict(f"{revision.endpoint} has no champion, whose scores a threshold would be about; promote one")
    return found


def _rows(
    journal: Journal, revision: Revision, sql: Worth, now: int, arm: Arm, texts: tuple[str, str, str]
) -> pa.Table:
    """Matured rows that a version scored, answering or watching: `value`, `baseline` and `covariate` as SQL says."""
    tables: list[pa.Table] = []
    after: str | None = None
    while True:
        found = journal.matured(
            revision.endpoint, after, *texts[:2], sql.window_s, now, BATCH, settle_s=SETTLE_US / 1e6,
            declared=sql.declared, matures=sql.matures, covariate_sql=texts[2],
        )  # fmt: skip
        own = compute.and_(
            compute.equal(found.rows["model"], arm.model), compute.equal(found.rows["version"], arm.version)
        )
        tables.append(found.rows.filter(own))
        if found.rows.num_rows < BATCH:
            return pa.concat_tables(tables)
        after = found.last_id


def _paired(revision: Revision, cut: Cut, table: pa.Table) -> Told:
    scores, yes, no = (_floats(table, name) for name in ("covariate", "value", "baseline"))
    known = np.isfinite(scores) & np.isfinite(yes) & np.isfinite(no)
    _enough(revision, int(known.sum()), table.num_rows)
    return Told(cut.sign * scores[known], yes[known], no[known], weighted=False)


def _drawn(revision: Revision, cut: Cut, table: pa.Table) -> Told:
    """Rows of a time in which either decision could have been drawn: money by the chance of the one that was."""
    scores, money, yes, chance = (_floats(table, name) for name in ("covariate", "value", "baseline", "propensity"))
    drawn = (chance > 0) & (chance < 1) & np.isfinite(scores) & np.isfinite(yes)
    if not drawn.any():
        raise Conflict(
            f"the outcome on {revision.endpoint} depends on the decision, and none was drawn by chance: what another "
            "one would have earned is not known. Say `explore: 2%` in its file, and wait"
        )
    known = drawn & np.isfinite(money)
    for what, side in (("yes", 1.0), ("no", 0.0)):
        told = int((known & (yes == side)).sum())
        if told < ROWS_MIN:
            there = int((drawn & (yes == side)).sum())
            raise Conflict(
                f"of {there:,} rows decided {what} while chance had a part, {told:,} have a known value; a threshold "
                f"needs {ROWS_MIN}. Wait, explore more, or say what no outcome means (no_outcome: counts)"
            )
    each = money[known] / chance[known]
    said = yes[known] == 1.0
    return Told(cut.sign * scores[known], np.where(said, each, 0.0), np.where(said, 0.0, each), weighted=True)


def _enough(revision: Revision, known: int, matured: int) -> None:
    if known < ROWS_MIN:
        raise Conflict(
            f"{revision.endpoint} has {known:,} matured rows with a known value and a score (of {matured:,}); a "
            f"threshold needs {ROWS_MIN}. Send outcomes, or wait until they have come: decisions after one whose "
            f"outcome is missing wait for it, {duration(revision.policy.outcome_window_s)} at most (outcome_window)"
        )


def _short(scores: Floats, best: float) -> float:
    """The shortest number that decides all these rows as `best` does."""
    below = scores[scores < best]
    low = float(below.max()) if len(below) else -inf
    for digits in range(1, 17):
        found = float(f"{best:.{digits}g}")
        if low < found <= best:
            return found
    return best


def _number(tree: Any) -> float | None:
    """The constant that a side is; None where it reads anything."""
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if isinstance(tree, exp.Neg):
        below = _number(tree.this)
        return None if below is None else -below
    return float(tree.this) if isinstance(tree, exp.Literal) and not tree.is_string else None


def _floats(table: pa.Table, name: str) -> Floats:
    column: Any = table[name].cast(pa.float64())
    found: Floats = column.to_numpy(zero_copy_only=False)
    return found
