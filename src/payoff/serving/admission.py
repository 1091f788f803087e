"""How much may wait. Who comes when there is no room is refused at once, and told when to try again."""

from dataclasses import dataclass
from typing import NoReturn

from payoff.clock import now_us
from payoff.errors import Busy
from payoff.serving.line import Call, Line
from payoff.serving.watching import Counters

_RETRY_S_MIN = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, and how much runs at once."""

    rows_max: int = 2_048  # of one model call
    waiting_rows_max: int = 4_000_000
    line_rows_max: int = 400_000  # of those, for the same models: one that hangs leaves room for the others
    shadow_rows_max: int = 200_000  # rows that wait for arms which only watch; more are left out and counted
    wait_s_max: float = 30.0  # while the first of a queue waits for longer, nobody may join it


class Admission:
    """Says Busy to calls for which there is no room."""

    def __init__(self, limits: Limits, counters: Counters) -> None:
        self._limits = limits
        self._counters = counters

    def to_desk(self, count: int, waiting: int, first: Call | None, wait_s: float) -> None:
        """Among `waiting` rows, the call `first` before all others, that will take `wait_s` as far as is known."""
        most = self._limits.waiting_rows_max
        if waiting + count > most:
            self._refuse(f"{waiting:,} rows are waiting; the limit is {most:,}", wait_s)
        if first is not None:
            self._refuse_age(first, "", wait_s)

    def fits(self, count: int, line: Line) -> bool:
        """Whether a line has room for so many rows more."""
        return line.rows + count <= self._limits.line_rows_max

    def to_line(self, count: int, line: Line) -> None:
        """The same for the line of some models."""
        most, where, wait_s = self._limits.line_rows_max, f" for {line.live.name}", line.rate.wait_s(line.rows)
        if not self.fits(count, line):
            self._refuse(f"{line.rows:,} rows are waiting{where}; the limit is {most:,}", wait_s)
        if line.calls:
            self._refuse_age(line.calls[0], where, wait_s)

    def _refuse_age(self, first: Call, where: str, wait_s: float) -> None:
        age_s = (now_us() - first.arrived_us) / 1e6
        if age_s > self._limits.wait_s_max:
            most = f"nobody may join while that is more than {self._limits.wait_s_max:g} s"
            self._refuse(f"the first call has waited {age_s:.0f} s{where}; {most}", wait_s)

    def _refuse(self, words: str, wait_s: float) -> NoReturn:
        self._counters.refused += 1
        retry_s = min(max(wait_s, _RETRY_S_MIN), self._limits.wait_s_max)
        raise Busy(f"{words}; try again in {retry_s:.1f} s", retry_s)
