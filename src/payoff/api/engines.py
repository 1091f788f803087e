"""The engines that the API is a face of, put together once per process."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from litestar.di import Provide
from litestar.params import SkipValidation

from payoff.api.progress import Deploys
from payoff.api.refused import Refused
from payoff.clock import Clock, now_us
from payoff.deploy import Desk, Intake
from payoff.journal.ids import Ids
from payoff.journal.query import Journal
from payoff.journal.writer import Writer
from payoff.monitor.watch import Watch
from payoff.registry import Registry
from payoff.store.blobs import Blobs


@dataclass(frozen=True)
class Engines:
    """`http_url` is where workers answer. The outcome writer is not for several threads: hold `writing` around it."""

    home: Path
    registry: Registry
    blobs: Blobs
    desk: Desk
    intake: Intake
    journal: Journal
    watch: Watch
    outcomes: Writer
    refused: Refused
    ids: Ids
    http_url: str
    key: str | None = None  # what every request must bring
    clock: Clock = now_us
    writing: threading.Lock = field(default_factory=threading.Lock)
    deploys: Deploys = field(default_factory=Deploys)

    @property
    def asks_for_key(self) -> bool:
        return self.key is not None

    def provide(self) -> Provide:
        """For the handlers' parameter `house`."""
        return Provide(lambda: self, sync_to_thread=False)


House = SkipValidation[Engines]
