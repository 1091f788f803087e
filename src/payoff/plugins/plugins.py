"""Swappable parts by name: imported when taken, and a wrong name is answered with the right ones.

Other packages add a part with an entry point in the group `payoff.<room>`.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, cast

from payoff.errors import NotFound

Part = TypeVar("Part")


class Plugins(Generic[Part]):
    """The parts of one room: `own` maps a name to "module:object"."""

    def __init__(self, room: str, own: Mapping[str, str]) -> None:
        self.room = room
        self._own = dict(own)

    def names(self) -> list[str]:
        """Every name there is, ours and strangers'."""
        return sorted({*self._own, *(point.name for point in self._strangers())})

    def take(self, name: str) -> Part:
        """The part of that name, imported now if it was not before."""
        if name in self._own:
            module, _, attribute = self._own[name].partition(":")
            return cast(Part, getattr(import_module(module), attribute))
        for point in self._strangers():
            if point.name == name:
                return cast(Part, point.load())
        raise NotFound(f"no {self.room} called {name!r}; there are: {', '.join(self.names())}")

    def _strangers(self) -> Any:
        return entry_points(group=f"payoff.{self.room}")
