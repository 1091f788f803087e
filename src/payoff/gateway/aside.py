"""Large bodies, which are unpacked and read aside: on a thread, one at a time.

On the event loop, a body of megabytes would hold up the calls beside it; and what one takes while it is read, several
at once would take several times. What has been unpacked is read before the next is unpacked.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from payoff.errors import Abandoned, Busy
from payoff.gateway.request import Request

_RETRY_S = 1.0


class _Job(NamedTuple):
    request: Request
    work: Callable[[], Any]
    then: Callable[[Any], None]


class Aside:
    """The large bodies of one worker, `bytes_max` of them at most. `fail` hears what went wrong with which request."""

    def __init__(self, fail: Callable[[Exception, Request], None], bytes_max: int) -> None:
        self._fail = fail
        self._bytes_max = bytes_max
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "large-bodies")
        self._jobs: deque[_Job] = deque()
        self._busy = self._ending = False

    def do(self, request: Request, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Give `then` what `work` gives, when it is the request's turn; not if its caller has gone by then.

        `work` runs on the thread, `then` on the loop. What a `then` asks for goes before all others: it has been begun.
        Busy if too many bytes wait already.
        """
        job = _Job(request, work, then)
        if self._ending:
            self._jobs.appendleft(job)
        else:
            self._admit(len(request.body))
            self._jobs.append(job)
            self._next()

    def _admit(self, size: int) -> None:
        waiting = sum(len(job.request.body) for job in self._jobs)
        if waiting + size > self._bytes_max:
            limit = f"{waiting:,} bytes of large bodies are waiting; the limit is {self._bytes_max:,}"
            raise Busy(f"{limit}; try again in {_RETRY_S:.1f} s, or send fewer rows at a time", _RETRY_S)

    def _next(self) -> None:
        while self._jobs and not self._busy:
            job = self._jobs.popleft()
            if job.request.gone:
                self._fail(Abandoned("the caller has gone; nothing was done"), job.request)
                continue
            self._busy = True
            coming = self._loop.run_in_executor(self._thread, job.work)
            coming.add_done_callback(lambda done, job=job: self._done(job, done))  # type: ignore[misc]

    def _done(self, job: _Job, done: "asyncio.Future[Any]") -> None:
        self._ending = True
        try:
            job.then(done.result())
        except Exception as error:
            self._fail(error, job.request)
        self._busy = self._ending = False
        self._next()
