"""A worker's view of what is published: asleep at the start, proven before it is new, anew after it was out."""

import asyncio
import gc
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnxruntime import InferenceSession

from payoff.errors import NotFound
from payoff.flavors import FLAVORS
from payoff.gateway.follow import Follower
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.records import Arm, Column, Policy, Revision, Role, Served
from payoff.serving import Answered, Desk, Heat, Live
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.serving.elsewhere import MADE, Behaviour
from tests.serving.house import FALLBACK, SIGNATURE, until
from tests.shared import PATIENCE_S
from tests.walks import models as onnx

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    MADE.clear()
    monkeypatch.setitem(FLAVORS._own, "elsewhere", "tests.serving.elsewhere:FLAVOR")


def away(home: Path, factor: float, poison: float | None = None) -> Served:
    content = msgspec.json.encode(Behaviour(factor=factor, poison=poison))
    return Served("elsewhere", Blobs(home / "artifacts").put(content), SIGNATURE)


def revision(served: Served, number: int = 1, role: Role = Role.CHAMPION, name: str = "times") -> Revision:
    arm = Arm("champion", role, "times", 1, served, was=Role.CHAMPION)
    return Revision(name, number, 0, "me", "", (arm,), FALLBACK)


async def following(home: Path, heat: Heat) -> tuple[Follower, Desk]:
    desk = Desk(Writer(home / "journal", "worker-0"), Ids(0))
    follower = Follower(home, 0, desk, heat)
    await follower.start()
    return follower, desk


async def call(desk: Desk, x: float, name: str = "times") -> Answered:
    heard: asyncio.Future[Answered | Exception] = asyncio.get_running_loop().create_future()
    desk.submit(desk.find(name), {"x": Column(np.array([x], np.float32))}, heard.set_result)
    answered = await asyncio.wait_for(heard, PATIENCE_S)
    assert isinstance(answered, Answered), answered
    return answered


async def test_what_is_asleep_is_served_at_once_and_woken_without_being_asked(tmp_path: Path) -> None:
    for number in range(20):
        live.publish(tmp_path, revision(away(tmp_path, number + 2), name=f"times-{number}"))
    follower, desk = await following(tmp_path, Heat(hot_max=3))
    assert (len(desk.lives), len(desk.names())) == (0, 20)
    assert len(live.statuses(tmp_path)[0].serving) == 20
    answered = await call(desk, 1, "times-7")
    assert answered.outputs["y"].values.tolist() == [9]
    await until(lambda: len(desk.lives) == 20 and follower.models.hot == 3)
    assert not desk.asleep
    with pytest.raises(NotFound, match="there are: times-0, times-1"):
        desk.find("nothing")
    follower.models.close()


async def test_a_revision_that_cannot_be_compiled_is_told_when_it_is_woken(tmp_path: Path) -> None:
    live.publish(tmp_path, replace(revision(away(tmp_path, 2)), policy=Policy(decision="outputs.nothing > 1")))
    follower, desk = await following(tmp_path, Heat())
    await until(lambda: not desk.asleep)
    follower.report()
    assert "nothing" in live.statuses(tmp_path)[0].failed["times"][1]
    with pytest.raises(NotFound):
        desk.find("times")
    follower.models.close()


async def test_a_version_that_was_out_begins_anew_when_it_is_revived_and_not_when_it_is_killed(tmp_path: Path) -> None:
    served = away(tmp_path, 2, poison=13)
    live.publish(tmp_path, revision(served))
    follower, desk = await following(tmp_path, Heat())
    for _ in range(3):
        assert (await call(desk, 13)).arms == ["fallback"]
    assert (await call(desk, 1)).arms == ["fallback"]
    follower.report()
    assert live.statuses(tmp_path)[0].out == {"times": {"champion": "it crashed three times in a row"}}
    live.publish(tmp_path, revision(served, 2, Role.KILLED))
    follower.look()
    assert desk.find("times").revision.number == 2
    assert len(MADE[served.digest]) == 1
    live.publish(tmp_path, revision(served, 3))
    follower.look()
    assert desk.find("times").revision.number == 2  # it answers when it is loaded, not before
    await until(lambda: desk.find("times").revision.number == 3)
    assert (await call(desk, 1)).outputs["y"].values.tolist() == [2]
    assert live.statuses(tmp_path)[0].out == {}
    follower.models.close()


async def test_what_no_revision_needs_is_let_go_of(tmp_path: Path) -> None:
    old, new = away(tmp_path, 2), away(tmp_path, 3)
    live.publish(tmp_path, revision(old))
    follower, desk = await following(tmp_path, Heat())
    await call(desk, 1)
    live.publish(tmp_path, revision(new, 2))
    follower.look()
    await until(lambda: desk.find("times").revision.number == 2)
    follower.let_go()
    await until(lambda: MADE[old.digest][0].closed)
    assert (await call(desk, 1)).outputs["y"].values.tolist() == [3]
    live.remove(tmp_path, "times")
    follower.look()
    with pytest.raises(NotFound):
        desk.find("times")
    follower.let_go()
    await until(lambda: MADE[new.digest][0].closed)
    follower.models.close()


@pytest.mark.parametrize("here", [True, False])
async def test_what_is_loaded_is_told_with_what_it_holds_and_what_is_let_go_of_no_more(
    tmp_path: Path, here: bool
) -> None:
    content = msgspec.json.encode(Behaviour(factor=3, here=here))
    live.publish(tmp_path, revision(Served("elsewhere", Blobs(tmp_path / "artifacts").put(content), SIGNATURE)))
    follower, desk = await following(tmp_path, Heat())
    await call(desk, 1)
    follower.report()
    (one,) = live.statuses(tmp_path)[0].resident
    held_bytes = len(content) if here else 0  # the first of its kind counts as its file
    assert (one.model, one.version, one.held_bytes, one.pids) == ("times", 1, held_bytes, ())
    follower.models.close()
    follower.report()
    assert live.statuses(tmp_path)[0].resident == ()


async def test_replaced_revisions_and_their_models_go_though_calls_never_cease(tmp_path: Path) -> None:
    """Arms that only watch get no turn then; what they have yet to see keeps nothing that is no more."""
    gc.collect()  # what earlier tests left
    alive = _alive()
    _publish(tmp_path, 1)
    follower, desk = await following(tmp_path, Heat())
    await call(desk, 1)
    over = False

    def ask(heard: Answered | Exception | None = None) -> None:
        assert not isinstance(heard, Exception), heard
        if not over:
            desk.submit(desk.find("times"), {"x": Column(np.array([1], np.float32))}, ask)

    ask()
    for number in range(2, 42):
        _publish(tmp_path, number)
        follower.look()
        await until(lambda n=number: desk.find("times").revision.number == n)  # type: ignore[misc]
    assert desk.counters.shadowed < 40
    await until(lambda: follower.let_go() or _alive() <= alive + 3)  # type: ignore[func-returns-value]
    over = True
    follower.models.close()


def _publish(home: Path, number: int) -> None:
    """Every other time there is a new version; the one before it is killed, and watches."""
    arms = [
        Arm(f"v{version}", role, "times", version, here(home, version), was=Role.CHAMPION)
        for version, role in ((number // 2 + 2, Role.CHAMPION), (number // 2 + 1, Role.KILLED))
    ]
    live.publish(home, Revision("times", number, 0, "me", "", tuple(arms), FALLBACK))


def here(home: Path, factor: float) -> Served:
    return Served("onnx", Blobs(home / "artifacts").put(onnx.times(factor)), SIGNATURE)


def _alive() -> int:
    """Revisions that are live, or kept as if they were; and loaded models."""
    return sum(isinstance(one, (Live, InferenceSession)) for one in gc.get_objects())
