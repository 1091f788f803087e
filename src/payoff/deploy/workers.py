"""What an order waits for: that every living worker has a revision ready, then that every one serves it.

Workers are known by what they report (store.live). One that dies is not waited for; one that starts loads what is
published by itself.
"""

import time
from collections.abc import Callable
from pathlib import Path

from payoff.errors import ModelFailed, Unavailable
from payoff.records.endpoint import Revision
from payoff.store import live
from payoff.store.live import Status

_FORGET_S = 2.0


class Overtaken(Exception):
    """Another order moved the endpoint while this one was in preparation; it is planned anew."""


class Workers:
    """The workers of one home, as their reports show them."""

    def __init__(self, home: Path, timeout_s: float, serving_timeout_s: float, poll_s: float) -> None:
        self._home = home
        self._timeout_s = timeout_s
        self._serving_timeout_s = serving_timeout_s
        self._poll_s = poll_s

    def prepare(self, current: Revision | None, planned: Revision, overtaken: Callable[[], bool]) -> None:
        """Have every living worker load and prove the planned revision, if any is up.

        Raises ModelFailed in a worker's words, Unavailable if one does not come to an end, Overtaken; the caller then
        withdraws it.
        """
        if not self.any_up():
            return
        self._await_forgotten(planned)
        if not live.publish(self._home, current, planned):
            raise Overtaken
        self._await_ready(planned, overtaken)

    def await_serving(self, revision: Revision) -> list[str]:
        """Wait until every living worker serves this revision, or a later one; what is late is told, not raised."""
        until = time.monotonic() + self._serving_timeout_s
        while late := [status for status in self._statuses() if not _serves(status, revision)]:
            told = [_told(status, revision) for status in late]
            if all(_failed(status, revision) for status in late) or time.monotonic() > until:
                return told
            time.sleep(self._poll_s)
        return []

    def any_up(self) -> bool:
        """Whether there is anybody to wait for."""
        return bool(self._statuses())

    def _await_ready(self, planned: Revision, overtaken: Callable[[], bool]) -> None:
        until = time.monotonic() + self._timeout_s
        while True:
            alive = self._statuses()
            if not alive:
                raise ModelFailed(
                    f"every worker died while it loaded {_called(planned)}; nothing was changed: the model may have "
                    "crashed them, look at their log before you try again"
                )
            for status in alive:
                if words := _failed(status, planned):
                    raise ModelFailed(
                        f"{words} (worker {status.worker} said so of {_called(planned)}; nothing was changed)"
                    )
            waiting = [status.worker for status in alive if status.ready.get(planned.endpoint) != planned.number]
            if not waiting:
                return
            if overtaken():
                raise Overtaken
            if time.monotonic() > until:
                raise Unavailable(
                    f"worker {', '.join(map(str, waiting))} did not load {_called(planned)} within "
                    f"{self._timeout_s:g} s; nothing was changed; see `payoff doctor`"
                )
            time.sleep(self._poll_s)

    def _await_forgotten(self, planned: Revision) -> None:
        """An earlier try may have had this number: what workers say of it must not be taken for news."""
        until = time.monotonic() + _FORGET_S
        while stale := [status.worker for status in self._statuses() if _mentions(status, planned)]:
            if time.monotonic() > until:
                raise Unavailable(
                    f"worker {', '.join(map(str, stale))} has not let go of an order that was taken back; "
                    "nothing was changed; try again, or restart it"
                )
            time.sleep(self._poll_s)

    def _statuses(self) -> list[Status]:
        return live.statuses(self._home)


def _called(revision: Revision) -> str:
    return f"revision {revision.number} of {revision.endpoint}"


def _serves(status: Status, revision: Revision) -> bool:
    return status.serving.get(revision.endpoint, 0) >= revision.number


def _failed(status: Status, revision: Revision) -> str | None:
    number, words = status.failed.get(revision.endpoint, (0, ""))
    return words if number == revision.number else None


def _mentions(status: Status, revision: Revision) -> bool:
    return _failed(status, revision) is not None or status.ready.get(revision.endpoint) == revision.number


def _told(status: Status, revision: Revision) -> str:
    words = _failed(status, revision)
    if words is not None:
        return f"worker {status.worker} could not load {_called(revision)}: {words}"
    return f"worker {status.worker} does not serve {_called(revision)} yet"
