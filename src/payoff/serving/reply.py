"""Answers as callers see them: the parts of a batch put back into the callers' order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from payoff.records import Column, concat
from payoff.serving.live import Live
from payoff.serving.part import Part, Rows
from payoff.serving.streams import FALLBACK_ARM


class Same(NamedTuple):
    """Who answered, and why, where that is the same for all rows and no rule was broken."""

    arm: str
    version: int | None
    why: str


class Said(NamedTuple):
    """Who answered each row, why, and which rules it broke."""

    arm: str
    version: int | None
    why: str
    violations: str


@dataclass(slots=True)
class Answered:
    """One table of answers: for each row its id, outputs, decision, and why.

    Who answered and why is kept once where it is the `same`, as it is in most batches, and else by row in `each`.
    """

    live: Live
    ids: Sequence[str]
    outputs: Rows
    decision: Column | None
    same: Same | None
    each: list[Said] | None = None

    @property
    def arms(self) -> list[str]:
        return [self.same.arm] * len(self.ids) if self.same else [said.arm for said in self.each or ()]

    @property
    def versions(self) -> list[int | None]:
        return [self.same.version] * len(self.ids) if self.same else [said.version for said in self.each or ()]

    @property
    def whys(self) -> list[str]:
        return [self.same.why] * len(self.ids) if self.same else [said.why for said in self.each or ()]

    @property
    def violations(self) -> list[str]:
        return [""] * len(self.ids) if self.same else [said.violations for said in self.each or ()]

    def slice(self, start: int, stop: int) -> "Answered":
        """The answers from `start` up to `stop`."""
        rows = slice(start, stop)
        return Answered(
            self.live,
            self.ids[rows],
            {name: column.take(rows) for name, column in self.outputs.items()},
            None if self.decision is None else self.decision.take(rows),
            self.same,
            None if self.each is None else self.each[rows],
        )


def assemble(live: Live, parts: Sequence[Part], ids: Sequence[str]) -> Answered:
    """The parts of a batch as one table, in the order the rows came."""
    part = parts[0]
    if len(parts) == 1 and part.violations is None and part.blocked is None:
        return Answered(live, ids, part.outputs, part.decision, _same(live, part))
    if len(parts) == 1:
        return replace(_table(live, part), ids=ids)
    order = np.argsort(np.concatenate([part.index for part in parts if part.index is not None]))
    return _joined([_table(live, part) for part in parts], order.tolist(), ids)


def _same(live: Live, part: Part) -> Same:
    arm = live.arm_of(part.lane)
    return Same(arm.name, arm.version, part.why) if arm else Same(FALLBACK_ARM, None, part.why)


def _table(live: Live, part: Part) -> Answered:
    same, count = _same(live, part), len(part)
    broken = ["; ".join(rules) for rules in part.violations] if part.violations else [""] * count
    table = Answered(live, [], part.outputs, part.decision, None, [Said(*same, rules) for rules in broken])
    if part.blocked is not None and part.blocked.any():
        _block(table, part.blocked)
    return table


def _block(table: Answered, blocked: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    """A blocked row is answered with nulls and the rule that blocked it."""
    table.outputs = {name: _blank(column, blocked) for name, column in table.outputs.items()}
    table.decision = None if table.decision is None else _blank(table.decision, blocked)
    told = zip(blocked, table.each or (), strict=True)
    table.each = [said._replace(why="blocked by a rule") if gone else said for gone, said in told]


def _blank(column: Column, gone: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Column:
    valid = np.ones(len(column), bool) if column.valid is None else column.valid
    return Column(column.values, valid & ~gone)


def _joined(pieces: Sequence[Answered], order: list[int], ids: Sequence[str]) -> Answered:
    """Several tables as one, its rows in an order of their own."""
    decisions = [{"decision": piece.decision} for piece in pieces if piece.decision is not None]
    outputs = concat([piece.outputs for piece in pieces])
    each = [said for piece in pieces for said in piece.each or ()]
    return Answered(
        pieces[0].live,
        ids,
        {name: column.take(order) for name, column in outputs.items()},
        concat(decisions)["decision"].take(order) if decisions else None,
        None,
        [each[row] for row in order],
    )
