"""What both sketches share: requests of one turn of the event loop share one model call."""

import asyncio

import models
import numpy as np

ROWS_MAX = 1_024


class Turns:
    """One model and who waits for it; `answer(caller, result)` is told what became of each caller's rows."""

    def __init__(self, name, answer):
        self.name, self._answer, self._run = name, answer, models.load(name)
        self._waiting = []

    def ask(self, caller, rows):
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        self._waiting.append((caller, rows))

    def _turn(self):
        waiting, self._waiting = self._waiting, []
        while waiting:
            count = size = 0
            while count < len(waiting) and (not count or size + len(waiting[count][1]) <= ROWS_MAX):
                size += len(waiting[count][1])
                count += 1
            self._together(waiting[:count])
            waiting = waiting[count:]

    def _together(self, batch):
        found = self._run(np.concatenate([rows for _, rows in batch]) if len(batch) > 1 else batch[0][1])
        at = 0
        for caller, rows in batch:
            self._answer(caller, found[at : at + len(rows)])
            at += len(rows)
