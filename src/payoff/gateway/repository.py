"""The model repository of the Open Inference Protocol: which endpoints there are; to load one is to wake and warm it.

On payoff an endpoint moves only by orders, whose author, time and reason are recorded. So to unload one, or to load it
with another configuration, is refused with the order that would do it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn

from payoff.codecs.checks import shorten
from payoff.errors import BadInput, Conflict
from payoff.serving import Desk, Live, Seat

Heat = Callable[[Sequence[Seat]], Awaitable[None]]


class Repository:
    """The endpoints of one worker. `heat` loads the models of seats and proves them, where they are cold."""

    def __init__(self, desk: Desk, heat: Heat) -> None:
        self._desk = desk
        self._heat = heat

    def index(self, ready_only: bool = False) -> list[dict[str, Any]]:
        """Every endpoint with its revision, and why it cannot answer, if it cannot."""
        found = [self._entry(name) for name in self._desk.names()]
        return [entry for entry in found if not ready_only or entry["state"] == "READY"]

    async def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        """The endpoint answers without having to load anything first; ModelFailed if it cannot be loaded."""
        if parameters:
            raise BadInput(
                f"load takes no {shorten(next(iter(parameters)))} here: an endpoint moves only by orders; "
                f"`payoff deploy PATH --endpoint {name[:80]}` puts another model there"
            )
        await self._heat(self._desk.find(name).seats)

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
