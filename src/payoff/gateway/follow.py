"""Keeps a worker's live revisions equal to HOME/live, and tells the control plane what is ready.

Loading a model may take long and happens on a thread of its own. A change that needs no loading, a kill above all,
never waits for one that does: it takes effect at the next look, which comes every 20 ms.
"""

import asyncio
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from payoff.clock import now_us
from payoff.errors import PayoffError
from payoff.records import Revision
from payoff.serving import Desk, Live, Models, prepare
from payoff.store import live as exchange
from payoff.store.blobs import Blobs

LOOK_S = 0.02
AGAIN_S = 0.5  # after a failure
log = logging.getLogger("payoff.gateway")
_WORDS_MAX = 4_000


class Follower:
    """One worker's view of what is published."""

    def __init__(self, home: Path, index: int, desk: Desk) -> None:
        self._home = home
        self._index = index
        self._desk = desk
        self._models = Models(Blobs(home / "artifacts"))
        self._published: dict[str, exchange.Live | str] = {}
        self._prepared: dict[str, Live] = {}
        self._failed: dict[str, tuple[Revision, str]] = {}
        self._loading: dict[str, tuple[Revision, asyncio.Task[None]]] = {}
        self._thread = ThreadPoolExecutor(1, "load")
        self._stamp = -1
        self._boot_id = exchange.boot_id()

    async def start(self) -> None:
        """Serve what is published now, as far as it can be loaded."""
        self.look()
        while self._loading:
            await asyncio.wait([task for _, task in self._loading.values()])
        self.report()

    async def follow(self) -> None:
        """Look for news for ever; what goes wrong once, a full disk say, is told and tried again."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
            except (PayoffError, OSError) as error:
                self._stamp = -1  # whatever was missed is seen at the next look
                log.error("worker %d cannot follow the live revisions: %s", self._index, error)
                await asyncio.sleep(AGAIN_S)

    def look(self) -> None:
        """Take over what was published since the last look."""
        stamp = exchange.stamp(self._home)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._published = exchange.read_all(self._home)
        for name in self._desk.lives.keys() - self._published.keys():
            del self._desk.lives[name]
        for name in self._published:
            self._settle(name)
        self._let_go()
        self.report()

    def _settle(self, name: str) -> None:
        found = self._published.get(name)
        if not isinstance(found, exchange.Live):
            return  # the file cannot be read: what is served stays
        current = self._desk.lives.get(name)
        if found.current is not None and (current is None or current.revision != found.current):
            ready = self._ready(name, found.current)
            if ready is not None:
                self._desk.lives[name] = ready
        if found.prepare is not None and self._ready(name, found.prepare) is not None:
            return
        if found.prepare is None:
            self._prepared.pop(name, None)
            self._forget_failure(name, found.current)

    def _ready(self, name: str, revision: Revision) -> Live | None:
        """The revision if it can answer now; otherwise it is being loaded, or has failed."""
        prepared = self._prepared.get(name)
        if prepared is not None and prepared.revision == revision:
            return prepared
        if name in self._failed and self._failed[name][0] == revision:
            return None
        if self._models.have(revision):
            return self._prepare_now(name, revision)
        if name not in self._loading:
            task = asyncio.get_running_loop().create_task(self._load(name, revision))
            self._loading[name] = (revision, task)
        return None

    def _prepare_now(self, name: str, revision: Revision) -> Live | None:
        try:
            self._prepared[name] = prepare(revision, self._models)
        except Exception as error:
            self._failed[name] = (revision, words(error))
            return None
        self._failed.pop(name, None)
        return self._prepared[name]

    async def _load(self, name: str, revision: Revision) -> None:
        """Load the models of a revision on the side; whatever comes of it, settle again."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._models.load_all, revision)
        except Exception as error:
            self._failed[name] = (revision, words(error))
        finally:
            del self._loading[name]
        self._settle(name)
        self.report()

    def _forget_failure(self, name: str, current: Revision | None) -> None:
        if name in self._failed and self._failed[name][0] != current:
            del self._failed[name]

    def _let_go(self) -> None:
        """Free models that nothing needs; not while something is being loaded, which may need them next."""
        if self._loading:
            return
        kept = [*self._desk.lives.values(), *self._prepared.values()]
        self._models.keep_only({arm.served.digest for live in kept for arm in live.revision.arms})

    def report(self) -> None:
        """Write this worker's status for the control plane."""
        unread = {name: (0, found) for name, found in self._published.items() if isinstance(found, str)}
        failed = {name: (revision.number, text) for name, (revision, text) in self._failed.items()}
        status = exchange.Status(
            worker=self._index,
            pid=os.getpid(),
            boot_id=self._boot_id,
            at_us=now_us(),
            serving={name: live.revision.number for name, live in self._desk.lives.items()},
            ready={name: live.revision.number for name, live in self._prepared.items()},
            failed=unread | failed,
            counters=self._desk.counters.as_dict(),
        )
        exchange.report(self._home, self._index, status)


def words(error: Exception) -> str:
    """What went wrong, for the one who gave the order."""
    text = str(error) if isinstance(error, PayoffError) else f"{type(error).__name__}: {error}"
    return text[:_WORDS_MAX]
