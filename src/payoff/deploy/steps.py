"""How long each step of an order took: what people read, and what the hundred milliseconds of a kill are made of."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Steps:
    """Seconds by step, in the order in which the steps first happened. One thread writes, others may look."""

    def __init__(self) -> None:
        self._taken: dict[str, float] = {}
        self._doing: tuple[str, float] | None = None  # what goes on now, and since when

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is inside; the same name again adds up."""
        began, around = time.perf_counter(), self._doing
        self._doing = (name, began)
        try:
            yield
        finally:
            self._doing = around
        self._taken[name] = self._taken.get(name, 0.0) + time.perf_counter() - began

    def say(self, words: str) -> None:
        """Something to know that took no time."""
        self._taken.setdefault(words, 0.0)

    def all(self) -> tuple[tuple[str, float], ...]:
        """What happened so far."""
        return tuple(self._taken.items())

    def doing(self) -> tuple[str, float] | None:
        """The step that goes on now, and for how long it has, in seconds."""
        doing = self._doing
        return None if doing is None else (doing[0], time.perf_counter() - doing[1])
