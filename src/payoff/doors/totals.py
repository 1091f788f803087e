"""What an endpoint did, over all workers: the counts of their sheets added up and named."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add
from pathlib import Path

from payoff.records.counts import (
    ANSWERED,
    BATCH,
    BATCH_BITS,
    CALLS,
    FAILED,
    FAILURES,
    REQUEST_NS,
    ROWS,
    STAGE_BITS,
    STAGES,
    TOOK,
)
from payoff.store import sheets
from payoff.store.sheets import Counts


@dataclass(frozen=True, slots=True)
class Total:
    """One endpoint's calls, rows and model calls since `payoff up` started.

    `stage_ns` is what each stage took of all answered calls together, in the order of STAGES; a stage of a batch counts
    once for each of its calls. `failed` is by kind.
    """

    endpoint: str
    cells: Sequence[int]
    rows: int

    @property
    def answered(self) -> int:
        """Calls."""
        return answered(self.cells)

    @property
    def batches(self) -> int:
        """Times that the endpoint's models were asked."""
        return sum(self.batch_sizes)

    @property
    def batch_sizes(self) -> Sequence[int]:
        """Batches of 1 row, of 2, of 3 and 4, of 5 to 8, and so on."""
        return self.cells[BATCH : BATCH + BATCH_BITS + 1]

    @property
    def failed(self) -> dict[str, int]:
        """Calls without an answer."""
        return {kind: count for kind, count in zip(FAILURES, self.cells[FAILED:], strict=False) if count}

    @property
    def stage_ns(self) -> dict[str, int]:
        """Nanoseconds by stage."""
        return dict(zip(STAGES, self.cells, strict=False))

    def stage_sizes(self, stage: str) -> Sequence[int]:
        """Calls by the bits of the nanoseconds that this stage took of them."""
        start = TOOK + len(REQUEST_NS) + 1 + STAGES.index(stage) * (STAGE_BITS + 1)
        return self.cells[start : start + STAGE_BITS + 1]


def answered(cells: Sequence[int]) -> int:
    """Calls with an answer, of a line of calls."""
    return sum(request_sizes(cells))


def request_sizes(cells: Sequence[int]) -> Sequence[int]:
    """Calls by what they took: up to each of REQUEST_NS, and more."""
    return cells[TOOK : TOOK + len(REQUEST_NS) + 1]


def totals(counts: Counts) -> list[Total]:
    """By endpoint; without calls that named no endpoint there is."""
    cells: dict[str, list[int]] = {}
    for (endpoint, _), found in lines(counts, CALLS):
        if endpoint:
            cells[endpoint] = list(map(add, cells[endpoint], found)) if endpoint in cells else found
    rows: Counter[str] = Counter()
    for (endpoint, *_), found in lines(counts, ROWS):
        rows[endpoint] += found[ANSWERED]
    return [Total(endpoint, found, rows[endpoint]) for endpoint, found in sorted(cells.items())]


def total(home: Path, endpoint: str) -> Total:
    """Of one endpoint, as all workers counted it up to now."""
    counts = sheets.read(home)
    nothing = Total(endpoint, [0] * sheets.CELLS, 0)
    return next((one for one in totals(counts) if one.endpoint == endpoint), nothing)


def lines(counts: Counts, kind: str) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """The labels and cells of one kind of line, in the order of the labels."""
    return ((labels[1:], cells) for labels, cells in sorted(counts.lines.items()) if labels[0] == kind)
