"""An inference worker whose journal forgets: what recording costs is the difference to the real one.

Nothing is put together for the journal either; ids are still drawn, for the answers carry them.
"""

import sys
from typing import Any

import uvloop

from payoff.gateway import worker
from payoff.gateway.settings import parse
from payoff.journal.writer import Writer
from payoff.serving import ending


class Unrecorded(Writer):
    """Takes what the journal takes and drops it."""

    def note(self, *_: Any) -> None: ...

    def flush(self) -> None: ...


def forget() -> None:
    """From now on this process records nothing."""
    worker.Writer = Unrecorded  # type: ignore[misc]
    ending.note = lambda *_: None


if __name__ == "__main__":
    forget()
    uvloop.run(worker.work(parse(sys.argv[1:])))
