"""How many connections each worker has at each door, in shared memory: the supervisor makes it, all of them read it."""

import mmap
import os
import tempfile

DOORS_MAX = 4
_WORDS = 8  # numbers in a cache line: a worker writes only to its own


def make_board(workers: int) -> int:
    """An open file for `workers` to write on how many connections they have; it has no name and ends with them."""
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), DOORS_MAX * workers * _WORDS * 8)
        return os.dup(file.fileno())


class Board:
    """How many connections each worker has at each door. A worker that is not there has no number."""

    def __init__(self, fd: int | None, workers: int) -> None:
        """`fd` None is a board of its own: for a worker that is alone."""
        size = DOORS_MAX * workers * _WORDS * 8
        self._numbers = memoryview(mmap.mmap(-1 if fd is None else fd, size)).cast("Q")[::_WORDS]
        self._workers = workers

    def put(self, door: int, worker: int, connections: int | None) -> None:
        """What a worker has now; None if it takes none."""
        self._numbers[door * self._workers + worker] = 0 if connections is None else connections + 1

    def wipe(self, worker: int) -> None:
        """The worker is gone: nobody waits for it."""
        for door in range(DOORS_MAX):
            self.put(door, worker, None)

    def least(self, door: int) -> int:
        """The fewest that any worker has; those that are not there do not count."""
        row = self._numbers[door * self._workers : (door + 1) * self._workers]
        return min((number - 1 for number in row if number), default=0)


class Turns:
    """One worker's line on the board, for one door."""

    def __init__(self, board: Board, door: int, worker: int) -> None:
        self._board, self._door, self._worker = board, door, worker

    def say(self, connections: int) -> None:
        """How many it has."""
        self._board.put(self._door, self._worker, connections)

    def leave(self) -> None:
        """The others wait for it no more."""
        self._board.put(self._door, self._worker, None)

    def least(self) -> int:
        """The fewest that any worker has."""
        return self._board.least(self._door)

    def mine(self, connections: int) -> bool:
        """Whether the next connection is this worker's: nobody has fewer, or where there are many, much fewer."""
        self.say(connections)
        least = self.least()
        return connections <= least + least // 8
