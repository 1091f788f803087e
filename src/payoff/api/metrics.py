"""/metrics on the console's door: what the workers counted, as on theirs, and what the control plane knows besides.

Prometheus should ask here: putting the text together then takes nothing from the workers.
"""

import os
import time
from pathlib import Path
from typing import Annotated

from litestar import MediaType, Response, get
from litestar.params import Parameter

from payoff.api import upkeep
from payoff.api.engines import Engines, House
from payoff.doors import exposition, metrics
from payoff.doors.exposition import Family
from payoff.journal import segment
from payoff.records import names
from payoff.runner.process import rss_bytes

Accept = Annotated[str, Parameter(header="accept", description="OpenMetrics if it is named, else Prometheus' text.")]


_CHARSET = "; charset=utf-8"


@get("/metrics", sync_to_thread=True, media_type=MediaType.TEXT)
def scrape(house: House, accept: Accept = "") -> Response[bytes]:
    """Counts, sizes and times of all workers and of the control plane, as text that Prometheus reads."""
    content_type = exposition.negotiate(accept)
    text = exposition.text([*metrics.families(house.home), *_control(house)], content_type)
    media_type = content_type.removesuffix(_CHARSET) if content_type.startswith("text/") else content_type
    return Response(text.encode(), media_type=media_type)  # the framework adds the charset to texts


def _control(house: Engines) -> list[Family]:
    return [_orders(house), *_journal(house), *_process()]


def _orders(house: Engines) -> Family:
    family = Family("payoff_orders_total", "counter", "Orders by verb, and whether a guard or a person gave them.")
    for (endpoint, verb, guard), count in sorted(house.registry.orders_tallied().items()):
        if not names.is_drill(endpoint):
            family.put(count, endpoint=endpoint, order=verb, by="guard" if guard else "person")
    return family


def _journal(house: Engines) -> list[Family]:
    """What is not yet in tables, and since when."""
    waiting = Family("payoff_journal_segment_bytes", "gauge", "Bytes of the journal that are not yet compacted.")
    waiting.put(sum(one.size for one in segment.segments(house.home / "journal")))
    lag = Family("payoff_journal_lag_seconds", "gauge", "The age of the oldest closed segment that is not compacted.")
    lag.put(max((_age_s(path) for path in upkeep.closed(house.home)), default=0.0))
    return [waiting, lag]


def _age_s(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:  # compacted meanwhile
        return 0.0


def _process() -> list[Family]:
    cpu = Family("payoff_control_cpu_seconds_total", "counter", "Processor time of the control plane.")
    cpu.put(time.process_time())
    memory = Family("payoff_control_resident_bytes", "gauge", "Memory of the control plane.")
    memory.put(rss_bytes(os.getpid()))
    return [cpu, memory]
