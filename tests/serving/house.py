"""A desk with its models and a journal, all real; tests make revisions, ask, and read the journal."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from payoff.environments.environments import Environments
from payoff.journal.ids import Ids
from payoff.journal.query import Journal
from payoff.journal.writer import Writer
from payoff.records import Arm, Column, Field, Policy, Revision, Role, Served, Signature, Type
from payoff.serving import Answered, Desk, Heat, Limits, Live, Models, prepare
from payoff.store.blobs import Blobs
from payoff.store.files import folder
from payoff.store.folders import Unpacked
from tests.serving.elsewhere import MADE, Behaviour, Model
from tests.shared import PATIENCE_S
from tests.walks import models as onnx

SIGNATURE = Signature((Field("x", Type.FLOAT32),), (Field("y", Type.FLOAT32),))
PLAIN = Policy()
FALLBACK = Policy(decision="outputs.y > 4", fallback={"decision": False})


Way = tuple[Role, Served] | tuple[Role, Served, float]


class House:
    """Lives on one event loop."""

    def __init__(self, home: Path, limits: Limits, heat: Heat) -> None:
        self.home = home
        self.blobs = Blobs(home / "artifacts")
        self.models = Models(
            self.blobs, Unpacked(home / "unpacked"), Environments(home / "environments"), folder(home / "run"), heat
        )
        self.desk = Desk(Writer(home / "journal", "worker-0"), Ids(0), limits, np.random.default_rng(0))
        self._versions: dict[str, int] = {}
        self._number = 0
        self._factors: dict[str, float] = {}

    def away(self, **how: Any) -> Served:
        """A version that computes elsewhere."""
        behaviour = Behaviour(**how)
        digest = self.blobs.put(msgspec.json.encode(behaviour))
        self._factors[digest] = behaviour.factor
        return Served("elsewhere", digest, SIGNATURE)

    def here(self, factor: float) -> Served:
        """A version that runs in the worker."""
        digest = self.blobs.put(onnx.times(factor))
        self._factors[digest] = factor
        return Served("onnx", digest, SIGNATURE)

    def slow(self, factor: float, rounds: int = 5_000) -> Served:
        """A version that runs in the worker and takes far longer for a row."""
        digest = self.blobs.put(onnx.slow(factor, rounds))
        self._factors[digest] = factor
        return Served("onnx", digest, SIGNATURE)

    def factor(self, served: Served) -> float:
        """What a version multiplies by."""
        return self._factors[served.digest]

    def made(self, served: Served) -> Model:
        """The model that was loaded last for a version."""
        return MADE[served.digest][-1]

    def revision(self, *arms: Way, policy: Policy = PLAIN) -> Revision:
        self._number += 1
        made = [
            Arm(f"{arm[0]}-{place}", arm[0], "times", self._number_of(arm[1]), arm[1], arm[2] if len(arm) == 3 else 0.0)
            for place, arm in enumerate(arms)
        ]
        return Revision("times", self._number, 0, "me", "", tuple(made), policy)

    def _number_of(self, served: Served) -> int:
        """The same wherever it serves."""
        return self._versions.setdefault(repr(served), len(self._versions) + 1)

    def serve(self, *arms: Way, policy: Policy = PLAIN) -> Live:
        """A live revision whose seats are as hot or cold as they were."""
        live = prepare(self.revision(*arms, policy=policy), self.models)
        self.desk.lives["times"] = live
        return live

    async def hot(self, *arms: Way, policy: Policy = PLAIN) -> Live:
        """A live revision with everything loaded."""
        return await self.hot_revision(self.revision(*arms, policy=policy))

    async def hot_revision(self, revision: Revision) -> Live:
        """The same of a revision that a test made."""
        live = self.desk.lives["times"] = prepare(revision, self.models)
        await self.models.heat_all(live.seats)
        return live

    def call(self, live: Live, *xs: float) -> "asyncio.Future[Answered]":
        """Rows of one caller; what it hears."""
        heard: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()

        def done(result: Answered | Exception) -> None:
            assert not heard.done(), "told twice"
            if isinstance(result, Exception):
                heard.set_exception(result)
            else:
                heard.set_result(result)

        self.desk.submit(live, {"x": Column(np.array(xs, np.float32))}, done)
        return heard

    def journal(self, what: str = "predictions") -> list[dict[str, Any]]:
        """Everything recorded."""
        with closing(Journal(self.home)) as journal:
            found: list[dict[str, Any]] = journal.connect().sql(f"select * from {what}").to_arrow_table().to_pylist()
        return found


def y(answered: Answered) -> list[float]:
    """The answers."""
    found: list[float] = answered.outputs["y"].values.tolist()
    return found


async def until(true: Callable[[], object]) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"it did not come true within {PATIENCE_S:g} s"
        await asyncio.sleep(0.001)


async def all_of(calls: Sequence["asyncio.Future[Answered]"]) -> list[Answered | BaseException]:
    """What every caller heard, errors too."""
    return list(await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE_S))
