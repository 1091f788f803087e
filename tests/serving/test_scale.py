"""What a model takes of a worker's memory is what loading it added, where that can be told; and at least its file."""

import threading

import numpy as np

from payoff.flavors import Loaded
from payoff.records import Columns
from payoff.serving.scale import Scale

SIZE = 64 << 20


def load(held: list[object], ask: bool = False) -> Loaded:
    """A model of 64 MiB whose file has 1,000 bytes."""
    held.append(np.ones(SIZE // 8))

    async def asked(columns: Columns) -> Columns:  # never called
        return columns

    return Loaded(dict, asked if ask else None, held_bytes=0 if ask else 1_000)  # type: ignore[arg-type]


def test_the_first_of_a_flavor_counts_as_its_file_for_it_brings_a_library_along() -> None:
    assert Scale().weigh("onnx", lambda: load([])).held_bytes == 1_000


def test_the_next_counts_as_what_it_added() -> None:
    scale, held = Scale(), list[object]()
    scale.weigh("onnx", lambda: load([]))
    assert 0.9 * SIZE < scale.weigh("onnx", lambda: load(held)).held_bytes < 2 * SIZE


def test_what_added_less_than_its_file_counts_as_its_file() -> None:
    scale = Scale()
    scale.weigh("onnx", lambda: load([]))
    assert scale.weigh("onnx", lambda: Loaded(dict, held_bytes=SIZE)).held_bytes >= SIZE


def test_two_that_are_loaded_at_once_count_as_their_files() -> None:
    scale, held, both = Scale(), list[object](), threading.Barrier(2)
    scale.weigh("onnx", lambda: load([]))
    found: list[int] = []

    def one() -> None:
        found.append(scale.weigh("onnx", lambda: (both.wait(), load(held))[1]).held_bytes)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1_000, 1_000]


def test_what_computes_elsewhere_takes_nothing_here() -> None:
    scale = Scale()
    scale.weigh("native", lambda: load([], ask=True))
    assert scale.weigh("native", lambda: load([], ask=True)).held_bytes == 0
