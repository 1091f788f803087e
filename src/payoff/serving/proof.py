"""From a version to a model that may answer: loaded, proven on its sample rows, warmed up and measured.

Where it is large, and this machine has more than one engine for it, each is tried, and the quickest that reproduces the
sample rows is taken.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from payoff.errors import BadInput, PayoffError
from payoff.flavors import FLAVORS, Loaded, Servable, check
from payoff.flavors.flavor import Choosing, Surroundings
from payoff.flavors.pace import blank, measure, quicker
from payoff.flavors.rowfile import read_rows
from payoff.records import Columns, Served

WORTH_S = 0.002  # of a call with 32 rows: below it no other engine is tried
log = logging.getLogger("payoff.serving")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a version has to show before it answers. `golden` are its sample rows with their answers, if it has some."""

    served: Served
    around: Surroundings
    golden: Path | None
    threads_max: int = 1
    asked: Sequence[str] = ()  # engines that are only used if asked for

    def load(self) -> Loaded:
        """The model on the engine that suits it; ModelFailed says why it cannot be. It is the caller's to close."""
        flavor = cast(Servable, FLAVORS.take(self.served.flavor))
        best = self._proven(lambda: flavor.load(self.served, self.around))
        if best.pace is None or not isinstance(flavor, Choosing) or self.golden is None or best.pace.of(32) < WORTH_S:
            return best
        for engine in flavor.engines(self.threads_max, self.asked):
            try:
                other = self._proven(lambda: flavor.load_on(self.served, self.around, engine))  # noqa: B023 - called now
            except PayoffError as error:
                log.warning("%s is not used for %s: %s", engine, self.served.digest[:12], error)
                continue
            best = _better(best, other)
        return best

    def _proven(self, load: Callable[[], Loaded]) -> Loaded:
        loaded = load()
        try:
            if self.golden is not None:
                check(loaded.run, self.golden, self.served.signature)
            return self._measured(loaded)
        except BaseException:
            loaded.close()
            raise

    def _measured(self, loaded: Loaded) -> Loaded:
        """With its pace, if it computes in this process: what is elsewhere may cost money, or others their turn."""
        if loaded.ask is not None:
            return loaded
        with suppress(PayoffError):  # rows of zeros may be none that it can answer
            clock = time.thread_time if loaded.threads == 1 else time.perf_counter
            return replace(loaded, pace=measure(loaded.run, self._rows(), clock))
        return loaded

    def _rows(self) -> Columns:
        if self.golden is None:
            return blank(self.served.signature.inputs)
        groups, _ = read_rows(self.golden)
        if not len(groups["inputs"]):
            raise BadInput("there are no sample rows")
        return groups["inputs"].columns


def _better(old: Loaded, new: Loaded) -> Loaded:
    """The quicker one; the other is closed."""
    wins = old.pace is not None and new.pace is not None and quicker(new.pace, old.pace)
    (old if wins else new).close()
    return new if wins else old
