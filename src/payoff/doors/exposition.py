"""Metrics as text that Prometheus reads: its own format 0.0.4, and OpenMetrics 1.0 for whoever asks for that."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = dict[str, str]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(slots=True)
class Family:
    """All samples of one metric. `kind` is counter, gauge or histogram; samples are (suffix and labels, value)."""

    name: str
    kind: str
    about: str
    samples: list[tuple[str, float]] = field(default_factory=list)

    def put(self, value: float, **labels: str) -> None:
        """The value of a counter or a gauge with these labels."""
        self.samples.append((_braced(labels), value))

    def put_histogram(self, bounds: Sequence[float], counts: Sequence[int], total: float, **labels: str) -> None:
        """Counts of what is at most each bound, and, as the last, of what is larger; and the sum of it all."""
        own, put = _braced(labels), self.samples.append
        start = f"_bucket{own[:-1]}," if own else "_bucket{"
        for ending, below in zip(_endings(tuple(bounds)), accumulate(counts), strict=True):
            put((start + ending, below))
        put((f"_sum{own}", total))
        put((f"_count{own}", sum(counts)))


def negotiate(accept: str) -> str:
    """The format that a scraper asked for: OpenMetrics if it is named at all, as Prometheus does."""
    return OPEN_METRICS if "application/openmetrics-text" in accept else PROMETHEUS


def text(families: Iterable[Family], content_type: str = PROMETHEUS) -> str:
    """The families that have samples, in the order they come."""
    open_metrics = content_type == OPEN_METRICS
    lines = [line for family in families if family.samples for line in _lines(family, open_metrics)]
    return "\n".join([*lines, "# EOF"] if open_metrics else lines) + "\n"


def number(value: float) -> str:
    """As both formats write it: 3, 0.25, 1e-06, +Inf."""
    if value == float("inf"):
        return "+Inf"
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value == int(value) else repr(float(value))


def _lines(family: Family, open_metrics: bool) -> Iterator[str]:
    name, kind = family.name, family.kind
    if open_metrics and kind == "counter":
        # There, a counter is named without the _total of its samples; a name without it cannot be a counter's.
        name, kind = (name.removesuffix("_total"), kind) if name.endswith("_total") else (name, "unknown")
    yield f"# HELP {name} {family.about.translate(_ESCAPES)}"
    yield f"# TYPE {name} {kind}"
    for labels, value in family.samples:
        yield f"{family.name}{labels} {number(value)}"


@lru_cache(maxsize=64)
def _endings(bounds: tuple[float, ...]) -> list[str]:
    """The last label of each bucket, and the closing brace."""
    return [f'le="{number(bound)}"}}' for bound in (*bounds, float("inf"))]


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()]) + "}"
