"""What the hard limits of one endpoint are read from, kept up to date from the journal as rows come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payoff.deploy.check import decision_type
from payoff.deploy.guards import LIMITS
from payoff.expressions import Scope, parse
from payoff.expressions.render import identifier
from payoff.journal import ids
from payoff.journal.query import Journal
from payoff.monitor import limits
from payoff.monitor.limits import Breach, Money, Seconds
from payoff.monitor.lives import life
from payoff.monitor.matured import Matured
from payoff.records import merge
from payoff.records.endpoint import Guard, Revision, Role
from payoff.records.signature import Field

SETTLE_US = 200_000  # another worker may still be writing smaller ids
KEYS_EVERY = 60  # times per window are keys counted, since that cannot be kept as sums


@dataclass(slots=True)
class Gauges:
    """Sums per second of every arm that may answer, since its present life began.

    `answered` counts all rows of an arm, in flight or matured. `through` is the id up to which answered rows are in;
    `counted_us` when keys were counted last.
    """

    past: Sequence[Revision] = ()
    guards: tuple[Guard, ...] = ()
    since: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, Seconds] = field(default_factory=dict)
    money: dict[str, Money] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    through: str | None = None
    counted_us: int = 0

    def ask(self, past: Sequence[Revision]) -> None:
        """What is watched under the last of these revisions; an arm that was revived starts afresh."""
        if self.past and self.past[-1] is past[-1]:
            return
        current = past[-1]
        guards = tuple(guard for guard in current.policy.guards if guard.when in LIMITS)
        if guards != self.guards or not self.past:
            self.guards, self.through = guards, None
        alive = [arm for arm in current.arms if arm.role in (Role.CHAMPION, Role.CHALLENGER)]
        since = {f"{arm.model} v{arm.version}": life(past, arm)[0] or current.number for arm in alive}
        anew = {who for who, first in since.items() if self.since.get(who) != first}
        if self.through is None:  # what was answered is read anew; what has matured is heard only once
            self.seconds, self.answered = {}, {}
        for kept in (self.seconds, self.money, self.answered):
            for who in [who for who in kept if who not in since or who in anew]:
                del kept[who]
        self.past, self.since = past, since

    def hear(self, rows: Matured) -> None:
        """Matured rows in the order of the decisions."""
        keep_s = limits.look_back_s(self.guards)
        for who, since in self.since.items():
            own = rows.take((rows.arm == who) & ~rows.shadow & (rows.revision >= since))
            self.money.setdefault(who, Money()).hear(own.time_us, own.worth - own.cost, keep_s)

    def look(self, journal: Journal, outcome_us: int | None, now_us: int) -> list[Breach]:
        """Every limit that is overstepped now; `outcome_us` is when the newest outcome came."""
        if not self.guards and self.past[-1].policy.ramp is None:
            return []
        if self.past[-1].policy.ramp is not None or any(guard.when in limits.SUMS for guard in self.guards):
            self._read(journal, now_us)
        found = limits.matured(self.guards, self.money)
        found += limits.answered(self.guards, self.seconds, now_us / limits.SECOND_US)
        found += self._keys(journal, now_us)
        if any(guard.when == limits.SILENCE for guard in self.guards):
            ends = journal.answered_between(self.past[-1].endpoint)
            found += limits.silence(self.guards, ends[1], outcome_us or ends[0], now_us) if ends else []
        return found

    def _read(self, journal: Journal, now_us: int) -> None:
        """Rows answered since the last look; at first all of the present lives, for they are counted too."""
        until, begin = ids.floor(now_us - SETTLE_US), self.through or self._begin()
        if until <= begin:
            return
        measures, declared = self._measures()
        table = journal.recent(self.past[-1].endpoint, begin, until, measures, declared)
        self.through = until
        names = self._names(table)
        keep_from_s = int(now_us / limits.SECOND_US - limits.look_back_s(self.guards))
        for who in self.since:
            mine = table.take(np.flatnonzero(names == who))
            if mine.num_rows:
                self.answered[who] = self.answered.get(who, 0) + int(np.asarray(mine["rows"], np.int64).sum())
                self._add(who, mine, len(measures), keep_from_s)

    def _begin(self) -> str:
        first = min(self.since.values(), default=self.past[-1].number)
        began_us = next(one.created_at_us for one in self.past if one.number >= first)
        return ids.floor(began_us - SETTLE_US)

    def _add(self, who: str, table: pa.Table, measures: int, keep_from_s: int) -> None:
        at_s, rows = (np.asarray(table[name], np.int64) for name in ("second", "rows"))
        sums = np.empty((len(rows), measures))
        for n in range(measures):
            sums[:, n] = np.asarray(table[f"m{n}"], np.float64)
        late = at_s >= keep_from_s
        at_s, rows, sums = at_s[late], rows[late], sums[late]
        self.seconds.setdefault(who, Seconds()).add(at_s, rows, sums, keep_from_s)

    def _names(self, table: pa.Table) -> NDArray[Any]:
        """Which version each line is about; "" for one that does not count (any more)."""
        known = self._arms()
        revisions, arms = np.asarray(table["revision"], np.int64), table["arm"].to_pylist()
        return np.array([known.get((int(r), str(a)), "") for r, a in zip(revisions, arms, strict=True)], np.object_)

    def _arms(self) -> dict[tuple[int, str], str]:
        named = {
            (revision.number, arm.name): f"{arm.model} v{arm.version}"
            for revision in self.past
            for arm in revision.arms
        }
        return {key: who for key, who in named.items() if key[0] >= self.since.get(who, key[0] + 1)}

    def _measures(self) -> tuple[list[str], Mapping[str, Sequence[Field]]]:
        revision = self.past[-1]
        inputs, outputs, decision = merge.inputs(revision), merge.outputs(revision), decision_type(revision)
        scope = Scope(inputs=inputs, outputs=outputs, decision=decision)
        columns = [f"inputs.{identifier(one.name)}" for one in inputs if not one.shape]
        sums = [guard for guard in self.guards if guard.when in limits.SUMS]
        told = [limits.measure(guard, parse(guard.of, scope).duckdb() if guard.of else None, columns) for guard in sums]
        decides = [Field("decision", decision)] if decision else []
        return told, {"inputs": inputs, "outputs": outputs, "decision": decides}

    def _keys(self, journal: Journal, now_us: int) -> list[Breach]:
        over_s = max((guard.over_s or 0.0 for guard in self.guards if guard.when == "same key"), default=0.0)
        if not over_s or now_us - self.counted_us < over_s / KEYS_EVERY * limits.SECOND_US:
            return []
        self.counted_us = now_us
        after = ids.floor(int(now_us - over_s * limits.SECOND_US))
        known, found = self._arms(), []
        for revision, arm, key, rows in journal.busiest(self.past[-1].endpoint, after, ids.floor(now_us - SETTLE_US)):
            if who := known.get((revision, arm)):
                found.append((who, key, rows))
        return limits.keys(self.guards, found)
