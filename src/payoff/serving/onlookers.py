"""Who is told of every batch after its callers: the log of slow calls, traces. Most workers have none, or one."""

from collections.abc import Sequence
from typing import Protocol

from payoff.serving.line import Call
from payoff.serving.reply import Answered
from payoff.serving.stopwatch import Lap


class Onlooker(Protocol):
    """Sees batches go by. Callers have their answers already; what fails here is logged and no more."""

    def saw(self, batch: Sequence[Call], whole: Answered, lap: Lap) -> None:
        """A batch was answered; `whole` is the table of all its rows."""

    def missed(self, batch: Sequence[Call], error: Exception, ended_us: int) -> None:
        """These calls got no answer."""


def arms(whole: Answered, rows: slice) -> list[str]:
    """The arms that answered some of the rows, each once."""
    return list(dict.fromkeys(whole.arms[rows]))
