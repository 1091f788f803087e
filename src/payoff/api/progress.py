"""What the deploys of this process are doing, for whoever waits for one: environments may take minutes to build."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from payoff.api import views
from payoff.api.replies import error_body
from payoff.deploy.steps import Steps
from payoff.errors import BadInput, Conflict, NotFound, PayoffError

RUNS_MAX = 1_000
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass
class Run:
    """One deploy: its steps so far, and how it ended."""

    steps: Steps = field(default_factory=Steps)
    state: str = "running"
    reply: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    def view(self, id: str) -> dict[str, Any]:
        """What a caller sees who asks how it goes."""
        doing = self.steps.doing() if self.state == "running" else None
        return {
            "id": id,
            "state": self.state,
            "steps": views.steps(self.steps.all()),
            "doing": None if doing is None else views.steps([doing])[0],
            "reply": self.reply,
            "error": self.error,
        }


class Deploys:
    """The latest RUNS_MAX deploys that came with an id, in memory: they are gone when the process ends."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def running(self, id: str | None) -> Iterator[Run]:
        """A deploy while it runs; how it ends is kept. Without an id nobody can ask for it."""
        run = Run()
        if id is not None:
            self._add(id, run)
        try:
            yield run
            run.state = "done"
        except PayoffError as error:
            run.state, run.error = "failed", error_body(error)["error"]
            raise
        finally:
            if run.state == "running":
                what = "the deploy was cut off; send it again"
                run.state, run.error = "failed", {"kind": "unavailable", "what": what}

    def view(self, id: str) -> dict[str, Any]:
        """How a deploy goes; NotFound if nobody knows it."""
        with self._lock:
            run = self._runs.get(id)
        if run is None:
            raise NotFound(f"there is no deploy {id[:64]!r}; the server may have started anew meanwhile: deploy again")
        return run.view(id)

    def _add(self, id: str, run: Run) -> None:
        if not _ID.fullmatch(id):
            raise BadInput(f"{id[:64]!r} is no id for a deploy; use 8 to 64 letters, digits, - and _")
        with self._lock:
            if id in self._runs:
                raise Conflict(f"there is a deploy {id!r} already; choose another id for each")
            if len(self._runs) >= RUNS_MAX:
                over = next((key for key, one in self._runs.items() if one.state != "running"), None)
                self._runs.pop(over if over is not None else next(iter(self._runs)))
            self._runs[id] = run
