"""Several requests at once, answers in the order of the questions."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

AT_ONCE = 4  # enough to keep a server busy while frames are made and read

Asked = TypeVar("Asked")
Said = TypeVar("Said")


def in_order(work: Callable[[Asked], Said], items: Iterable[Asked], at_once: int = AT_ONCE) -> Iterator[Said]:
    """What `work` makes of each item; so many are on their way at a time, however many there are.

    A lone item costs no thread. After an error nothing more is begun.
    """
    rest = iter(items)
    first = list(islice(rest, 2))
    if len(first) < 2:
        yield from map(work, first)
        return
    waiting: deque[Future[Said]] = deque()
    with ThreadPoolExecutor(at_once, "payoff") as pool:
        try:
            for item in chain(first, rest):
                waiting.append(pool.submit(work, item))
                if len(waiting) >= at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
