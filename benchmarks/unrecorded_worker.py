"""An inference worker whose journal forgets: what recording costs is the difference to the real one."""

import sys
from pathlib import Path
from typing import Any

import uvloop

from payoff.gateway import worker


class Unrecorded:
    """Takes what the journal takes and drops it."""

    def __init__(self, root: Path, name: str, **_: Any) -> None:
        pass

    def note(self, *_: Any) -> None: ...

    def flush(self) -> None: ...

    def rotate_if_due(self) -> None: ...

    def close(self) -> None: ...


if __name__ == "__main__":
    worker.Writer = Unrecorded  # type: ignore[assignment,misc]
    uvloop.run(worker.work(worker.parse(sys.argv[1:])))
