"""Verdicts that stay valid however often one looks: does a version lose money, does a challenger beat the champion?

Rows are folded in the order of the decisions, as they mature. A case keeps a few numbers, whatever the traffic: the
wealth of the betting test since launch, the detector of a later change, what the cap and the range were learned from,
sums for the words. A verdict once reached stands: it is the case at the row at which the evidence sufficed, and later
rows change nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.records.events import Verdict
from payoff.stats.betting import STAKES, Bets, evidence, fold, losses
from payoff.stats.blocks import Open, blocks
from payoff.stats.caps import Seen, caps
from payoff.stats.detector import Detector, detect
from payoff.stats.intervals import LEAST, Interval, Sums
from payoff.stats.ranges import Learned, learn

Floats = NDArray[np.float64]

LOSES = "loses money"
BEATS = "beats"
SAME = "makes no difference"
SINCE_LAUNCH = "since launch"  # which test spoke: the bets on everything since the first row,
AFTER_CHANGE = "after a change"  # or the detector that opens a new bet at every row
ERROR = 0.05
LOOKED_EVERY = 1.02  # "makes no difference" is looked at when there are 2 % more rows: the interval holds at any look


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one version, fixed before its first row.

    `kind` is LOSES, BEATS or SAME. `against` is "fallback", "nothing", "holdout", or the other version ("term-deposit
    v1"). `cap` is the most that one decision counts in favour of staying as we are, in units; None: learned, see
    stats/caps. `randomised`: the two sides decided different rows, drawn at random, and are compared by the chance that
    each row had of coming to its side. `within` is the money per decision that makes no difference. `block` rows in a
    row are bet on as one amount: more than 1 where good and bad rows come in runs (stats/blocks).
    """

    kind: str
    model: str
    version: int
    against: str
    cap: float | None = None
    currency: str = "EUR"
    randomised: bool = False
    within: float | None = None
    block: int = 1

    @property
    def text(self) -> str:
        """As it stands in a Verdict."""
        return f"{self.kind}{_BETWEEN[self.kind]}{self.against}"

    @property
    def name(self) -> str:
        return f"{self.model} v{self.version}"

    @property
    def sign(self) -> float:
        """-1 where money speaks for the verdict: a challenger wins where staying as we are loses."""
        return -1.0 if self.kind == BEATS else 1.0


_BETWEEN = {LOSES: " against ", BEATS: " ", SAME: " to "}


@dataclass(frozen=True, slots=True)
class Rows:
    """Matured decisions in order, arrays of shape (n,).

    `money` is what is judged, compute included, in units; `swing` the same without compute. NaN where the outcome or
    the value is not known: such rows are counted and left out. On paired rows both are differences: version minus
    fallback, or challenger minus champion. Of a randomised question each row is one side's own money, and `weight` its
    sign and its worth in the difference of the two means: (p + q) / p for the version's rows, -(p + q) / q for the
    others', with p and q the chances of coming to either side; `scale` is (p + q) / min(p, q).
    """

    ids: NDArray[Any]
    money: Floats
    swing: Floats
    weight: Floats | None = None
    scale: Floats | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Any) -> "Rows":
        """The rows that a slice or a mask picks."""
        weight, scale = (None if one is None else one[index] for one in (self.weight, self.scale))
        return Rows(self.ids[index], self.money[index], self.swing[index], weight, scale)


@dataclass(frozen=True, slots=True)
class Case:
    """A question and all that was learned about it.

    `error` is the chance of a false verdict that is put up with, over all looks; `every` how many decisions lie between
    two false stops of the detector on average, None: it is not asked. `raw` sums money, `credited` money after capping
    and `peak` is `credited` as it was when its total was largest. `values` sums both sides of a randomised question.
    `test` says which test spoke; "" while none has.
    """

    question: Question
    error: float = ERROR
    every: float | None = None
    open: Open = field(default_factory=Open)
    bets: Bets = field(default_factory=Bets)
    detector: Detector = field(default_factory=Detector)
    seen: Seen = field(default_factory=Seen)
    mean: Learned = field(default_factory=Learned)
    credited: Sums = field(default_factory=Sums)
    raw: Sums = field(default_factory=Sums)
    peak: Sums = field(default_factory=Sums)
    values: Sums = field(default_factory=Sums)
    unknown: int = 0
    first_id: str | None = None
    last_id: str | None = None
    log_e_max: float = 0.0
    test: str = ""

    @property
    def reached(self) -> bool:
        return self.test != ""

    @property
    def tested(self) -> int:
        """Rows with a known value."""
        return self.raw.n

    @property
    def cap(self) -> float:
        """The cap of the next decision; infinite while a learned one is not there yet."""
        return self.seen.cap if self.question.cap is None else self.question.cap

    @property
    def log_e(self) -> float:
        """The log of the evidence: of the test that spoke, or of the one since launch."""
        if self.question.kind == SAME:
            return _log_e_same(self)
        return self.detector.log_r if self.test == AFTER_CHANGE else self.bets.log_e

    @property
    def e_value(self) -> float:
        return evidence(self.log_e)

    @property
    def threshold(self) -> float:
        """What `e_value` has to reach."""
        return self.bar_after_change if self.test == AFTER_CHANGE else 1 / self.error

    @property
    def bar_after_change(self) -> float:
        """What the detector has to reach, in amounts between two false stops; infinite where it is not asked."""
        return inf if self.every is None else max(2.0, self.every / self.question.block)

    @property
    def lately(self) -> Sums:
        """Credited money since its total was largest: since a change for the worse, if there was one."""
        peak, now = self.peak, self.credited
        return Sums(now.n - peak.n, now.total - peak.total, now.squares - peak.squares)

    def interval(self, error: float = 0.05) -> Interval | None:
        """Where the mean lies, at every look; None while its range is not known."""
        return self.mean.interval(error)

    def verdict(self) -> Verdict:
        """The case as it stands, reached or not."""
        return Verdict(
            model=self.question.model,
            version=self.question.version,
            question=self.question.text,
            tested=self.tested,
            e_value=self.e_value,
            threshold=self.threshold,
            mean=(self.lately if self.test == AFTER_CHANGE else self.credited).mean,
            last_prediction_id=self.last_id,
            test=self.test,
        )


def judge(case: Case, rows: Rows, error: float | None = None, every: float | None = None) -> Case:
    """The case after these rows, or at the one among them that reached the verdict; see `under` for the others."""
    case = under(case, error or case.error, every or case.every)
    for piece in _pieces(case, rows):
        if case.reached:
            break
        case = _judged(case, piece)
    return case


def under(case: Case, error: float, every: float | None) -> Case:
    """The case with these error rates. Its evidence stays, and may suffice now; a verdict once reached stands."""
    if case.reached:
        return case
    return _settled(replace(case, error=error, every=every))


def follow(case: Case, rows: Rows) -> Case:
    """The case after all these rows, without asking after each of them whether the evidence suffices."""
    for piece in _pieces(case, rows):
        case = _read(case, piece).case
    return case


@dataclass(frozen=True, slots=True)
class _Batch:
    """The case after a batch, and the place in it of the first row that sufficed, of all its rows; None: none did."""

    case: Case
    first: int | None
    test: str


def _judged(case: Case, rows: Rows) -> Case:
    found = _read(case, rows)
    if found.first is None:
        return _settled(found.case)
    if found.first + 1 < len(rows):
        return _judged(case, rows.take(slice(0, found.first + 1)))
    return replace(found.case, test=found.test)


def _settled(case: Case) -> Case:
    """With the verdict that the evidence as it stands amounts to, if it does."""
    looked = case.tested > 0 and (case.question.kind != SAME or _next_look(case.tested - 1) == case.tested)
    if looked and case.log_e >= -log(case.error):
        return replace(case, test=SINCE_LAUNCH)
    if case.question.kind == LOSES and case.detector.log_r >= log(case.bar_after_change):
        return replace(case, test=AFTER_CHANGE)
    return case


def _read(case: Case, rows: Rows) -> _Batch:
    known = np.isfinite(rows.money) & np.isfinite(rows.swing)
    told = rows.take(known)
    if not len(told):
        return _Batch(replace(case, unknown=case.unknown + len(rows)), None, "")
    money, swing, ready = _centred(case, told)
    after = replace(
        case,
        raw=case.raw + Sums.of(money),
        values=case.values + Sums.of(told.swing) if case.question.randomised else case.values,
        unknown=case.unknown + len(rows) - len(told),
        first_id=case.first_id or str(told.ids[0]),
        last_id=str(told.ids[-1]),
        mean=learn(case.mean, money),
    )
    if case.question.kind == SAME:
        return _Batch(replace(after, credited=after.raw), None, "")
    place, found = _bet(case, after, money, _caps(case, swing, told.scale, ready))
    return _Batch(found, None if place is None else int(np.flatnonzero(known)[place[0]]), place[1] if place else "")


def _centred(case: Case, rows: Rows) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Money and swing of each row as amounts whose mean is the difference; and from which on they may be bet on.

    Of a randomised question the mean of all rows before is taken off first: it falls out of the difference in
    expectation, as it was fixed before the row was drawn to its side, and most of the noise goes with it.
    """
    if rows.weight is None:
        return rows.money, rows.swing, np.ones(len(rows), np.bool_)
    n = case.values.n + np.arange(len(rows))
    totals = case.values.total + np.concatenate([[0.0], np.cumsum(rows.swing)[:-1]])
    centre = np.divide(totals, n, out=np.zeros(len(rows)), where=n > 0)
    return rows.weight * (rows.money - centre), rows.weight * (rows.swing - centre), n >= LEAST


def _caps(case: Case, swing: Floats, scale: Floats | None, ready: NDArray[np.bool_]) -> tuple[Seen, Floats]:
    """What was seen after these rows, and the cap of each; infinite: no bet."""
    per = np.ones(len(swing)) if scale is None else scale
    if case.question.cap is None:
        told = np.where(ready, swing, 0.0)  # without a mean to take off, money itself would pass for a difference
        seen, cap = caps(case.seen, case.question.sign * told / per)
        return seen, np.where(ready, cap, inf) * per
    return case.seen, np.where(ready, case.question.cap, inf) * per


def _bet(before: Case, after: Case, money: Floats, learned: tuple[Seen, Floats]) -> tuple[tuple[int, str] | None, Case]:
    """Both tests over these rows: where the first of them sufficed, and the case after all of them."""
    (seen, cap), sign = learned, before.question.sign
    credited, z = sign * np.minimum(sign * money, cap), losses(sign * money, cap)
    size = before.question.block
    open, amounts = blocks(before.open, z, size)
    bets = fold(before.bets, amounts, before.error)
    firsts = [] if bets.first is None else [(bets.first, SINCE_LAUNCH)]
    detector = before.detector
    if before.question.kind == LOSES:
        detected = detect(detector, amounts, before.bar_after_change)
        detector = detected.detector
        firsts += [] if detected.first is None else [(detected.first, AFTER_CHANGE)]
    firsts = [((block + 1) * size - before.open.rows - 1, test) for block, test in firsts]
    found = replace(
        after,
        open=open,
        bets=bets.bets,
        detector=detector,
        seen=seen,
        credited=before.credited + Sums.of(credited),
        peak=_peak(before, credited),
        log_e_max=max(before.log_e_max, bets.log_e_max),
    )
    return min(firsts, key=lambda first: first[0], default=None), found  # at one row the stronger promise speaks


def _peak(case: Case, credited: Floats) -> Sums:
    """The credited sums at the row where their total was largest."""
    totals = case.credited.total + np.cumsum(credited)
    best = int(np.argmax(totals))
    return case.credited + Sums.of(credited[: best + 1]) if totals[best] > case.peak.total else case.peak


def _log_e_same(case: Case) -> float:
    """How strong the evidence is that the mean lies within the margin on both sides.

    The interval at an error of e ** -log_e just fits between -within and within.
    """
    found, within = case.mean.sums, case.question.within or 0.0
    if not found.n or not within:
        return 0.0
    below = found.weight * within - found.weighted - found.cost_high
    above = found.weight * within + found.weighted - found.cost_low
    return max(0.0, min(below, above) - log(2))


def _pieces(case: Case, rows: Rows) -> Iterator[Rows]:
    """The rows in one piece; for SAME cut at the numbers of known rows at which it is looked at."""
    if case.question.kind != SAME:
        if len(rows):
            yield rows
        return
    known = np.cumsum(np.isfinite(rows.money) & np.isfinite(rows.swing))
    start, seen = 0, case.tested
    while start < len(rows):
        look = _next_look(seen) - case.tested
        stop = min(int(np.searchsorted(known, look)) + 1, len(rows))
        yield rows.take(slice(start, stop))
        start, seen = stop, case.tested + int(known[stop - 1])


def _next_look(n: int) -> int:
    """The first number of rows above n at which is looked: LEAST, and then 2 % more each time."""
    look = LEAST
    while look <= n:
        look = max(look + 1, int(look * LOOKED_EVERY))
    return look


def facts(case: Case) -> dict[str, Any]:
    """Everything needed to compute the verdict again, for the audit trail; plain numbers and texts."""
    question, interval = case.question, case.interval()
    return {
        "question": question.text,
        "kind": question.kind,
        "model": question.model,
        "version": question.version,
        "against": question.against,
        "randomised": question.randomised,
        "within": question.within,
        "reached": case.reached,
        "test": case.test,
        "tested": case.tested,
        "unknown": case.unknown,
        "mean": case.credited.mean,
        "mean_uncapped": case.raw.mean,
        "mean_lately": case.lately.mean,
        "lately": case.lately.n,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "currency": question.currency,
        "error": case.error,
        "false_stop_every": case.every,
        "threshold": case.threshold,
        "e_value": case.e_value,
        "e_value_since_launch": case.bets.e_value,
        "e_value_max": evidence(case.log_e_max),
        "r_value": case.detector.r_value if question.kind == LOSES else None,
        "cap": None if np.isinf(case.cap) else case.cap,
        "cap_is": "learned" if question.cap is None else "stated",
        "stakes": list(STAKES),
        "log_wealth": list(case.bets.logs),
        "first_prediction_id": case.first_id,
        "last_prediction_id": case.last_id,
    }
