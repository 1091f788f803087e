"""What a model takes of a worker's own memory, as far as that can be told from outside of it."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace

from payoff.flavors import Loaded
from payoff.runner.process import rss_bytes


class Scale:
    """Weighs models while they are loaded; may be used by several threads.

    A model takes what its loading added to the process, if nothing else was loaded meanwhile and it is not the first of
    its flavor, which brings a library along; and never less than its file.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._begun = 0
        self._known: set[str] = set()

    def weigh(self, flavor: str, load: Callable[[], Loaded]) -> Loaded:
        """The model, with what it takes."""
        with self._lock:
            self._under_way += 1
            self._begun += 1
            mine, alone = self._begun, self._under_way == 1 and flavor in self._known
        before_bytes = rss_bytes(os.getpid())
        try:
            loaded = load()
        finally:
            added_bytes = rss_bytes(os.getpid()) - before_bytes
            with self._lock:
                self._under_way -= 1
                alone = alone and mine == self._begun
                self._known.add(flavor)
        if alone and loaded.in_process:
            return replace(loaded, held_bytes=max(loaded.held_bytes, added_bytes))
        return loaded
