"""Who is told of every batch after its callers: the log of slow calls, traces. Most workers have none, or one."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from payoff.serving.line import Call
from payoff.serving.reply import Answered


class Lap(NamedTuple):
    """What the stages of a batch took, and when it was through; the wait of each call is what comes before."""

    read_ns: int
    run_ns: int
    journal_ns: int
    write_ns: int
    ended_us: int  # since 1970

    @property
    def began_us(self) -> int:
        """When the wait of its calls was over."""
        return self.ended_us - (self.read_ns + self.run_ns + self.journal_ns + self.write_ns) // 1_000

    def stages_ns(self, call: Call) -> dict[str, int]:
        """What each stage took of one of the calls, in their order."""
        queue_ns = max(0, self.began_us - call.arrived_us) * 1_000
        return {
            "queue": queue_ns, "read": self.read_ns, "run": self.run_ns, "journal": self.journal_ns,
            "write": self.write_ns,
        }  # fmt: skip


class Onlooker(Protocol):
    """Sees batches go by. Callers have their answers already; what fails here is logged and no more."""

    def saw(self, batch: Sequence[Call], whole: Answered, lap: Lap) -> None:
        """A batch was answered; `whole` is the table of all its rows."""

    def missed(self, batch: Sequence[Call], error: Exception, ended_us: int) -> None:
        """These calls got no answer."""


def arms(whole: Answered, rows: slice) -> list[str]:
    """The arms that answered some of the rows, each once."""
    return list(dict.fromkeys(whole.arms[rows]))
