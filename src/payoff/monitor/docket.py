"""The cases of one endpoint: matured rows go in once, in the order of the decisions; verdicts come out.

Everything here is derived: a new docket that is given the same rows comes to the same verdicts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from payoff.experiment.verdict import Case, Question, Rows, judge
from payoff.monitor.lives import Brief, briefs
from payoff.monitor.matured import HOLDOUT, Matured
from payoff.monitor.rails import Rails
from payoff.records.endpoint import Revision
from payoff.routing import explores, split
from payoff.stats.intervals import Sums
from payoff.stats.ratio import sample_ratio

Key = tuple[Question, int]
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Shares:
    """How one revision divides the traffic: the share of each side ("model v2", "holdout", "" for the fallback).

    `explored` is the part of the models' rows that is decided at random. `drawn`: every row is drawn on its own, so
    that counts tell whether the shares are kept; where customers keep to an arm, theirs come together.
    """

    sides: Mapping[str, float]
    explored: float = 0.0
    drawn: bool = True

    @classmethod
    def of(cls, revision: Revision) -> "Shares":
        found, parts = split(revision), explores(revision)
        arms = [f"{arm.model} v{arm.version}" for arm in revision.arms]
        sides = [
            HOLDOUT if choice == HOLDOUT else arms[lane] if lane >= 0 else ""
            for lane, choice in zip(found.lanes, found.choices, strict=True)
        ]
        explored = parts.share if parts else 0.0
        return cls(dict(zip(sides, found.shares, strict=True)), explored, revision.policy.route_by is None)

    def own(self, side: str) -> float:
        """The share of the rows that this side decided itself."""
        return self.sides.get(side, 0.0) * (1.0 if side in (HOLDOUT, "") else 1.0 - self.explored)


@dataclass(slots=True)
class Docket:
    """All questions about one endpoint. `through` is the last prediction id that was judged.

    `tally` sums worth minus cost of the rows that each side of each revision decided itself, hold-out and fallback
    included; `counts` are all its rows, known or not. `rails` are what guardrails compare, of both sides of a case.
    """

    through: str | None = None
    past: Sequence[Revision] = ()
    briefs: list[Brief] = field(default_factory=list)
    shares: dict[int, Shares] = field(default_factory=dict)
    cases: dict[Key, Case] = field(default_factory=dict)
    rails: dict[Key, tuple[Rails, Rails]] = field(default_factory=dict)
    tally: dict[tuple[int, str], Sums] = field(default_factory=dict)
    counts: dict[tuple[int, str], int] = field(default_factory=dict)

    def ask(self, past: Sequence[Revision]) -> None:
        """What is asked from the last of these revisions on. Other cases are kept: they may be asked for again."""
        if self.past and self.past[-1] is past[-1]:
            return
        self.past = past
        self.shares |= {one.number: Shares.of(one) for one in past if one.number not in self.shares}
        self.open(briefs(past))

    def open(self, asked: Sequence[Brief]) -> None:
        """Ask these and nothing else."""
        self.briefs = list(asked)
        for brief in self.briefs:
            self.cases.setdefault(key(brief), Case(brief.question, brief.bars[0].error, brief.bars[0].every))

    def hear(self, rows: Matured) -> None:
        """Judge rows that come after all judged before."""
        if not len(rows):
            return
        for brief in self.briefs:
            self.cases[key(brief)] = follow_bars(self.cases[key(brief)], brief, rows, self.shares)
            if brief.rival is not None and brief.guard is not None:
                late, sides = rows.take(rows.revision >= brief.since), self.rails.get(key(brief), (Rails(), Rails()))
                names = brief.question.name, brief.question.against
                self.rails[key(brief)] = sides[0].after(late, names[0]), sides[1].after(late, names[1])
        self._count(rows.take(~rows.shadow))
        self.through = str(rows.ids[-1])

    def case(self, brief: Brief) -> Case:
        """How the case of this brief stands."""
        return self.cases[key(brief)]

    def ratio(self, since: int) -> float:
        """The log of the evidence that rows of revisions from `since` on did not fall to the sides in their shares."""
        return sum(self._ratio(number) for number in self.shares if number >= since)

    def _ratio(self, number: int) -> float:
        shares = self.shares[number]
        if not shares.drawn or len(shares.sides) < _PAIR:
            return 0.0
        return sample_ratio([self.counts.get((number, side), 0) for side in shares.sides], list(shares.sides.values()))

    def _count(self, rows: Matured) -> None:
        net = rows.worth - rows.cost
        counted = np.isfinite(net) & ~rows.explored
        for number in np.unique(rows.revision).tolist():
            of = rows.revision == number
            for side in self.shares[number].sides if number in self.shares else ():
                mine = of & (rows.side == side)
                self.counts[number, side] = self.counts.get((number, side), 0) + int(mine.sum())
                self.tally[number, side] = self.tally.get((number, side), Sums()) + Sums.of(net[mine & counted])


def key(brief: Brief) -> Key:
    """What a case goes by."""
    return brief.question, brief.since


def follow_bars(case: Case, brief: Brief, rows: Matured, shares: Mapping[int, Shares]) -> Case:
    """The case after these rows, those of each revision held against its own bar."""
    untils = [bar.since for bar in brief.bars[1:]] + [None]
    for bar, until in zip(brief.bars, untils, strict=True):
        late = rows.revision >= bar.since
        own = rows.take(late if until is None else late & (rows.revision < until))
        if len(own):
            case = judge(case, told(brief, own, shares), bar.error, bar.every)
    return case


def told(brief: Brief, rows: Matured, shares: Mapping[int, Shares]) -> Rows:
    """What these rows say about a question; none of them was decided at random."""
    counts = (rows.revision >= brief.since) & ~rows.explored
    if brief.until is not None:
        counts &= rows.revision < brief.until
    if brief.answered:
        counts &= ~rows.shadow
    question = brief.question
    if question.randomised:
        return _drawn(question, rows.take(counts & ~rows.shadow), shares)
    own = rows.take(counts & (rows.arm == question.name))
    if brief.rival is not None:
        return _paired(own, rows.take(counts & (rows.arm == question.against)))
    swing = own.worth - own.fallback if question.against == "fallback" else own.worth
    return Rows(own.ids, swing - own.cost, swing)


def _paired(challenger: Matured, champion: Matured) -> Rows:
    """Predictions that both were asked for, whoever answered."""
    ids, mine, theirs = np.intersect1d(challenger.ids, champion.ids, assume_unique=True, return_indices=True)
    one, other = challenger.take(mine), champion.take(theirs)
    swing = one.worth - other.worth
    return Rows(ids, swing - (one.cost - other.cost), swing)


def _drawn(question: Question, rows: Matured, shares: Mapping[int, Shares]) -> Rows:
    """The rows of either side, weighted by the chance with which each came to it: inverse propensities."""
    mine, theirs = (np.zeros(len(rows)) for _ in range(2))
    for number in np.unique(rows.revision).tolist():
        found = shares.get(number, Shares({}))
        mine[rows.revision == number] = found.own(question.name)
        theirs[rows.revision == number] = found.own(question.against)
    own, other = rows.side == question.name, rows.side == question.against
    compared = (own | other) & (mine > 0) & (theirs > 0)
    rows, own, p, q = rows.take(compared), own[compared], mine[compared], theirs[compared]
    weight = np.where(own, (p + q) / p, -(p + q) / q)
    return Rows(rows.ids, rows.worth - rows.cost, rows.worth, weight, (p + q) / np.minimum(p, q))
