"""Answers as callers see them: the parts of a batch put back into the callers' order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from payoff.records import Column, concat
from payoff.serving.live import Live
from payoff.serving.part import Part
from payoff.serving.streams import FALLBACK_ARM


class Same(NamedTuple):
    """Who answered, and why, where that is the same for all rows and no rule was broken."""

    arm: str
    version: int | None
    why: str


@dataclass(slots=True)
class Answered:
    """One table of answers: for each row its id, outputs, decision, and why."""

    live: Live
    ids: list[str]
    outputs: dict[str, Column]
    decision: Column | None
    arms: list[str]
    versions: list[int | None]
    whys: list[str]
    violations: list[str]
    same: Same | None = None

    def slice(self, start: int, stop: int) -> "Answered":
        """The answers from `start` up to `stop`."""
        rows = slice(start, stop)
        return Answered(
            live=self.live,
            ids=self.ids[rows],
            outputs={name: column.take(rows) for name, column in self.outputs.items()},
            decision=None if self.decision is None else self.decision.take(rows),
            arms=self.arms[rows],
            versions=self.versions[rows],
            whys=self.whys[rows],
            violations=self.violations[rows],
            same=self.same,
        )


def join(pieces: Sequence[Answered]) -> Answered:
    """Several tables of one call, one after the other."""
    first = pieces[0]
    decisions = [{"decision": piece.decision} for piece in pieces if piece.decision is not None]
    return Answered(
        live=first.live,
        ids=[id_ for piece in pieces for id_ in piece.ids],
        outputs=concat([piece.outputs for piece in pieces]),
        decision=concat(decisions)["decision"] if decisions else None,
        arms=[arm for piece in pieces for arm in piece.arms],
        versions=[version for piece in pieces for version in piece.versions],
        whys=[why for piece in pieces for why in piece.whys],
        violations=[text for piece in pieces for text in piece.violations],
    )


def assemble(live: Live, parts: Sequence[Part], ids: list[str]) -> Answered:
    """The parts of a batch as one table, in the order the rows came."""
    tables = [_table(live, part) for part in parts]
    if len(parts) == 1:
        whole, part = tables[0], parts[0]
        if len(part) and part.violations is None and part.blocked is None:
            whole.same = Same(whole.arms[0], whole.versions[0], part.why)
    else:
        order = np.argsort(np.concatenate([part.index for part in parts if part.index is not None]))
        whole = _reorder(join(tables), order.tolist())
    whole.ids = ids
    return whole


def _table(live: Live, part: Part) -> Answered:
    arm, count = live.arm_of(part.lane), len(part)
    table = Answered(
        live=live,
        ids=[],
        outputs=part.outputs,
        decision=part.decision,
        arms=[arm.name if arm else FALLBACK_ARM] * count,
        versions=[arm.version if arm else None] * count,
        whys=[part.why] * count,
        violations=["; ".join(broken) for broken in part.violations] if part.violations else [""] * count,
    )
    if part.blocked is not None and part.blocked.any():
        _block(table, part.blocked)
    return table


def _block(table: Answered, blocked: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    """A blocked row is answered with nulls and the rule that blocked it."""
    table.outputs = {name: _blank(column, blocked) for name, column in table.outputs.items()}
    table.decision = None if table.decision is None else _blank(table.decision, blocked)
    table.whys = ["blocked by a rule" if gone else why for gone, why in zip(blocked, table.whys, strict=True)]


def _blank(column: Column, gone: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Column:
    valid = np.ones(len(column), bool) if column.valid is None else column.valid
    return Column(column.values, valid & ~gone)


def _reorder(table: Answered, order: list[int]) -> Answered:
    return Answered(
        live=table.live,
        ids=[],
        outputs={name: column.take(order) for name, column in table.outputs.items()},
        decision=None if table.decision is None else table.decision.take(order),
        arms=[table.arms[row] for row in order],
        versions=[table.versions[row] for row in order],
        whys=[table.whys[row] for row in order],
        violations=[table.violations[row] for row in order],
    )
