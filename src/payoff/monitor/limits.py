"""Hard limits: what a version may do in a time, at most. A breach needs no statistics and no second opinion.

What was answered is kept as sums per second and arm, what matured as the net of every second: both are added to as rows
come and thrown away when no limit looks back so far. A window ends at the last row, or now; a share is read from
ROWS_LEAST rows on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.codecs.units import duration
from payoff.deploy.guards import LIMITS
from payoff.records.endpoint import Guard

ROWS_LEAST = 20
SECOND_US = 1_000_000
SILENCE = "no outcomes"
SHARES = ("decision share", "missing inputs", "broken rules", "errors")
SUMS = ("decisions", "money at risk", "stale input", *SHARES)  # measured over answered rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that was overstepped: by whom, how far, and in words."""

    guard: Guard
    who: str  # "term-deposit v2"; "" for the endpoint as a whole
    found: float
    text: str


@dataclass(slots=True)
class Seconds:
    """Sums per second of one version, in order of time: `rows` and one column of `sums` for each measure."""

    at_s: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    sums: Floats = field(default_factory=lambda: np.empty((0, 0)))

    def add(self, at_s: Ints, rows: Ints, sums: Floats, keep_from_s: int) -> None:
        """More of them; what is older than anybody asks for goes."""
        old = self.at_s >= keep_from_s
        before = self.sums[old] if len(self.at_s) else np.empty((0, sums.shape[1]))
        self.at_s = np.concatenate([self.at_s[old], at_s])
        self.rows = np.concatenate([self.rows[old], rows])
        self.sums = np.concatenate([before, sums])

    def since(self, at_s: float) -> tuple[int, Floats]:
        """Rows and sums from a second on."""
        late = self.at_s >= at_s
        return int(self.rows[late].sum()), self.sums[late].sum(axis=0)


@dataclass(slots=True)
class Money:
    """What one version made of its matured decisions: the net of every second, its sum, and the sum's peak."""

    net: Seconds = field(default_factory=Seconds)
    total: float = 0.0
    peak: float = 0.0
    drawdown: float = 0.0  # the deepest so far

    def hear(self, at_us: Ints, money: Floats, keep_s: float) -> None:
        """Matured decisions in order, net of compute; those not known (NaN) are left out."""
        known = np.isfinite(money)
        at_s, won = at_us[known] // SECOND_US, money[known]
        if not len(won):
            return
        walk = self.total + np.cumsum(won)
        peaks = np.maximum(self.peak, np.maximum.accumulate(walk))
        self.drawdown = max(self.drawdown, float((peaks - walk).max()))
        self.total, self.peak = float(walk[-1]), float(peaks[-1])
        starts = np.flatnonzero(np.diff(at_s, prepend=at_s[0] - 1))
        counts = np.diff(np.append(starts, len(at_s)))
        sums = np.add.reduceat(won, starts)[:, None]
        self.net.add(at_s[starts], counts, sums, int(at_s[-1] - keep_s))

    def lost_most(self, over_s: float) -> float:
        """The most that was lost in any stretch of this length that is still remembered; 0 if nothing was."""
        if not len(self.net.at_s):
            return 0.0
        walk = np.concatenate([[0.0], np.cumsum(self.net.sums[:, 0])])
        begins = np.searchsorted(self.net.at_s, self.net.at_s - over_s, side="right")
        return float(max(0.0, (walk[begins] - walk[1:]).max()))


def measure(guard: Guard, compiled: str | None, inputs: Sequence[str]) -> str:
    """SQL of a number per answered row, whose sum a limit is about. `compiled` is the guard's `of` as SQL.

    `inputs` are the endpoint's input columns as SQL.
    """
    if guard.when == "money at risk":
        return f"greatest({compiled or 'NULL'}, 0)"  # a stake below zero would hide another row's
    if guard.when == "decisions":
        return "1"
    if guard.when == "missing inputs":
        nulls = [f"{one} IS NULL" for one in ([compiled] if compiled else inputs)]
        return _count(" OR ".join(nulls) or "false")
    if guard.when == "stale input":
        return _count(f"epoch_us(time) - epoch_us({compiled}) > {int((guard.above or 0) * SECOND_US)}")
    if guard.when == "broken rules":
        return _count("len(violations) > 0")
    if guard.when == "errors":
        return _count("choice = 'failed'")
    return _count(compiled or "decision")


def _count(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


def answered(guards: Sequence[Guard], seconds: dict[str, Seconds], now_s: float) -> list[Breach]:
    """Limits on answered rows that are overstepped now. Column n of the sums belongs to the n-th of SUMS guards."""
    found = []
    for column, guard in enumerate(each for each in guards if each.when in SUMS):
        for who, kept in seconds.items():
            rows, sums = kept.since(now_s - (guard.over_s or 0.0))
            if rows and (breach := _held(guard, who, rows, float(sums[column]))):
                found.append(breach)
    return found


def _held(guard: Guard, who: str, rows: int, total: float) -> Breach | None:
    most = guard.above or 0.0
    if guard.when == "stale input":
        most = 0.0
    if guard.when in SHARES:
        if rows < ROWS_LEAST:
            return None
        total /= rows
    return Breach(guard, who, total, words(guard, who, total, rows)) if total > most else None


def matured(guards: Sequence[Guard], money: dict[str, Money]) -> list[Breach]:
    """Limits on what was earned that have been overstepped."""
    found = []
    for guard in guards:
        for who, kept in money.items():
            if guard.when == "drawdown":
                most = kept.drawdown
            elif guard.when == "loss":
                most = kept.lost_most(guard.over_s or 0.0)
            else:
                continue
            if most > (guard.above or 0.0):
                found.append(Breach(guard, who, most, words(guard, who, most, int(kept.net.rows.sum()))))
    return found


def keys(guards: Sequence[Guard], busiest: Sequence[tuple[str, str, int]]) -> list[Breach]:
    """The limit on how often one key may come; `busiest` is (who, key, rows) within its time."""
    found = []
    for guard in guards:
        if guard.when == "same key":
            found += [
                Breach(guard, who, rows, f"{words(guard, who, rows, rows)} It was {key[:80]!r}.")
                for who, key, rows in busiest
                if rows > (guard.above or 0.0)
            ]
    return found


def silence(guards: Sequence[Guard], answered_us: int | None, waiting_us: int | None, now_us: int) -> list[Breach]:
    """The limit on how long no outcome may come while predictions are answered.

    `answered_us` is when the last prediction was, `waiting_us` since when outcomes are missing: the last outcome, or
    the first prediction if there never was one.
    """
    found = []
    for guard in guards:
        if guard.when == SILENCE and answered_us is not None and waiting_us is not None:
            silent_s = (now_us - waiting_us) / SECOND_US
            if answered_us > waiting_us and silent_s > (guard.over_s or 0.0):
                found.append(Breach(guard, "", silent_s, words(guard, "", silent_s, 0)))
    return found


def look_back_s(guards: Sequence[Guard]) -> float:
    """How far back any limit looks, in seconds."""
    return max((guard.over_s or 0.0 for guard in guards if guard.when in LIMITS), default=0.0)


def words(guard: Guard, who: str, found: float, rows: int) -> str:
    """What happened, and what was allowed."""
    over, above = duration(guard.over_s or 0.0), guard.above or 0.0
    told = {
        "loss": f"{who} lost {found:,.2f} within {over}; the limit is {above:,.2f}.",
        "drawdown": f"{who} fell {found:,.2f} below its best; the limit is {above:,.2f}.",
        "money at risk": f"{who} put {found:,.2f} at risk within {over}; the limit is {above:,.2f}.",
        "decisions": f"{who} decided {found:,.0f} times within {over}; the limit is {above:,.0f}.",
        "decision share": f"{who} decided so on {found:.1%} of {rows:,} rows within {over}; the limit is {above:.4g}"
        f" ({guard.of or 'decision'}).",
        "same key": f"{who} decided {found:,.0f} times about the same key within {over}; the limit is {above:,.0f}.",
        "missing inputs": f"{found:.1%} of {rows:,} rows that {who} was asked within {over} had no "
        f"{guard.of or 'value in some input'}; the limit is {above:.1%}.",
        "stale input": f"{guard.of} was older than {duration(above)} on {found:,.0f} of {rows:,} rows within {over}.",
        "broken rules": f"{found:.1%} of {rows:,} rows of {who} broke a rule within {over}; the limit is {above:.1%}.",
        "errors": f"{who} failed on {found:.1%} of {rows:,} rows within {over}; the limit is {above:.1%}.",
        "no outcomes": f"No outcome has come for {duration(round(found))} while predictions are answered; "
        f"the limit is {over}.",
    }
    return told[guard.when]


def facts(breach: Breach) -> dict[str, Any]:
    """A breach for the audit trail."""
    guard = breach.guard
    return {
        "limit": guard.when,
        "who": breach.who,
        "found": breach.found,
        "above": guard.above,
        "over_s": guard.over_s,
        "of": guard.of,
    }
