"""The model repository of the Open Inference Protocol: which endpoints there are; to load one is to wake and warm it,
in all workers.

On payoff an endpoint moves only by orders, whose author, time and reason are recorded. So to unload one, or to load it
with another configuration, is refused with the order that would do it.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from payoff.codecs.checks import shorten
from payoff.errors import BadInput, Conflict, ModelFailed, Unavailable
from payoff.gateway.follow import LOOK_S, WISH_S_MAX
from payoff.serving import Desk, Live
from payoff.store import live as exchange


class Repository:
    """The endpoints of one worker, of those that follow a home."""

    def __init__(self, desk: Desk, home: Path) -> None:
        self._desk = desk
        self._home = home

    def index(self, ready_only: bool = False) -> list[dict[str, Any]]:
        """Every endpoint with its revision, and why it cannot answer, if it cannot."""
        found = [self._entry(name) for name in self._desk.names()]
        return [entry for entry in found if not ready_only or entry["state"] == "READY"]

    async def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        """The endpoint answers without having to load anything first, whichever worker is asked.

        ModelFailed if it cannot be loaded in one of them, Unavailable if it takes one of them too long to say so.
        """
        if parameters:
            raise BadInput(
                f"load takes no {shorten(next(iter(parameters)))} here: an endpoint moves only by orders; "
                f"`payoff deploy PATH --endpoint {name[:80]}` puts another model there"
            )
        number = exchange.want_warm(self._home, self._desk.find(name).name)
        until_s = asyncio.get_running_loop().time() + WISH_S_MAX
        while silent := self._silent(name, number):
            if asyncio.get_running_loop().time() > until_s:
                raise Unavailable(f"worker {silent[0]} goes on loading {name}, after {WISH_S_MAX:g} s; ask again")
            await asyncio.sleep(LOOK_S)

    def _silent(self, name: str, number: int) -> list[int]:
        """The workers that do not say yet that they have met a wish; ModelFailed if one says that it cannot."""
        silent = []
        for status in exchange.statuses(self._home):
            met, said = status.warmed.get(name, (0, ""))
            if met < number:
                silent.append(status.worker)
            elif said:
                raise ModelFailed(said)
        return silent

    def unload(self, name: str) -> NoReturn:
        """Refused, with what can be done instead."""
        self._desk.find(name)
        raise Conflict(
            f"{name} is not unloaded from here: an endpoint moves only by orders, and what nobody asks takes no memory "
            f"after a while; `payoff kill {name}` stops its version at once, and the fallback answers"
        )

    def _entry(self, name: str) -> dict[str, Any]:
        live = self._desk.lives.get(name)
        if live is None:  # asleep: it answers as soon as it is asked
            return {"name": name, "state": "READY", "reason": ""}
        reason = trouble(live)
        state = "UNAVAILABLE" if reason else "READY"
        return {"name": name, "version": str(live.revision.number), "state": state, "reason": reason}


def trouble(live: Live) -> str:
    """Why not all of an endpoint's arms answer in this worker; empty if they do."""
    return next((said for seat in live.answering if (said := seat.trouble or seat.out)), "")
