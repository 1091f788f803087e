"""Versions that crash: what follows when a worker says that one is out. Decided here, without doing anything."""

from collections.abc import Sequence
from dataclasses import dataclass

from payoff.monitor.guards import Move
from payoff.monitor.lives import ACTIVE
from payoff.records.endpoint import Arm, Revision, Role
from payoff.store.live import Status

AUTHOR = "guard: keeps crashing"


@dataclass(frozen=True, slots=True)
class Out:
    """An arm that a worker asks no more, and its words."""

    arm: Arm
    worker: int
    words: str

    @property
    def name(self) -> str:
        return f"{self.arm.model} v{self.arm.version}"


def outs(current: Revision, statuses: Sequence[Status]) -> list[Out]:
    """The arms of a revision that are out in a worker which serves it, each once. Killed ones are no news."""
    found: dict[str, Out] = {}
    for status in statuses:
        said = status.out.get(current.endpoint, {})
        if status.serving.get(current.endpoint) == current.number:
            for arm in current.arms:
                if arm.name in said and arm.role is not Role.KILLED:
                    found.setdefault(arm.name, Out(arm, status.worker, said[arm.name]))
    return list(found.values())


def move(current: Revision, out: Out) -> Move | None:
    """The kill that is due; None where there is no fallback to answer instead, or the arm answers nobody."""
    if out.arm.role not in ACTIVE or not current.policy.fallback:
        return None
    return Move(
        verb="kill",
        arm=f"{out.arm.model}:{out.arm.version}",
        author=AUTHOR,
        reason=out.words,
        evidence={"worker": out.worker, "said": out.words, "revision": current.number},
    )


def tell(current: Revision, out: Out) -> str:
    """What people are told."""
    told = f"{out.name} is out on {current.endpoint}: worker {out.worker} says {out.words!r}. "
    if out.arm.role not in ACTIVE:
        return told + "It only watched, so no caller is without an answer; deploy it again, or retire it"
    if not current.policy.fallback:
        return told + (
            "There is no fallback to answer instead, so it is not killed and its calls fail: roll back, deploy a "
            "version that works, or give the endpoint a fallback. It is tried again after a while"
        )
    return told + "It is killed and the fallback answers; when it is mended, `payoff revive` starts it anew"
