"""The one door through which anything moves: people and guards give their orders here.

plan -> prepare in the workers -> record -> publish -> wait for the workers. The database is the truth: whatever dies in
between, `republish` makes the workers' files say again what it says.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from payoff.clock import Clock, now_us
from payoff.deploy import verbs
from payoff.deploy.file import diff, parse
from payoff.deploy.plan import By
from payoff.deploy.steps import Steps
from payoff.deploy.verbs import Planned, Situation
from payoff.deploy.workers import Overtaken, Workers
from payoff.errors import BadInput, Busy, NotFound, Unavailable
from payoff.records.endpoint import Revision
from payoff.records.events import Order
from payoff.records.names import check, is_drill
from payoff.registry import Registry
from payoff.store import live

NONE_UP = "workers: none is up; they load it when they start"
_TRIES = 10
_WORDS_MAX = 2_000
_EVIDENCE_BYTES_MAX = 64 << 10
_EVIDENCE_DEPTH_MAX = 32


@dataclass(frozen=True, slots=True)
class Done:
    """What an order did: nothing, if `order` is None. `steps` are what it took, in seconds; `notes` are for people."""

    order: Order | None
    revision: Revision
    steps: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ask:
    """An order as it was given."""

    endpoint: str
    verb: str
    arguments: Mapping[str, Any]
    author: str
    reason: str
    evidence: Mapping[str, Any]


@dataclass(slots=True, weakref_slot=True)
class _Turn:
    """Whose turn it is on one endpoint. Loading a model takes long, moving does not: a kill never waits for a load."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    moving: threading.Lock = field(default_factory=threading.Lock)
    moves: int = 0  # how often the endpoint has moved; changes under `moving` only


class Desk:
    """Gives orders on one home. May be shared between threads."""

    def __init__(
        self,
        home: Path,
        registry: Registry,
        clock: Clock = now_us,
        *,
        workers_timeout_s: float = 300.0,
        serving_timeout_s: float = 10.0,
        poll_s: float = 0.004,
    ) -> None:
        self._home = home
        self._registry = registry
        self._clock = clock
        self._timeout_s = workers_timeout_s
        self._workers = Workers(home, workers_timeout_s, serving_timeout_s, poll_s)
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
        self._taking_turns = threading.Lock()

    def give(
        self,
        endpoint: str,
        verb: str,
        *,
        author: str,
        reason: str = "",
        evidence: Mapping[str, Any] | None = None,
        steps: Steps | None = None,
        **arguments: Any,
    ) -> Done:
        """Carry out an order; when it returns, every living worker serves the new revision, or `steps` say who is late.

        deploy(model, version, role, traffic), apply(file), promote | kill | revive | retire(arm), ramp(traffic, arm),
        allocate(shares), rollback(to). BadInput, NotFound, Conflict: refused; ModelFailed: a worker cannot run it;
        Busy: the endpoint is still busy with another deployment; Unavailable: disk, database or a worker does not
        answer. Then nothing has changed. `steps` hears of every step as it begins and ends.
        """
        check(endpoint, "endpoint")
        told = _evidence(evidence or {})
        ask = _Ask(endpoint, verb, arguments, _words(author, "author"), _words(reason, "reason"), told)
        if not author.strip():
            raise BadInput("an order needs an author: say who gives it")
        turn, steps = self._turn(endpoint), steps or Steps()
        for _ in range(_TRIES):
            try:
                return self._carry_out(ask, turn, steps)
            except Overtaken:
                continue  # a kill, say, was faster than the loading: plan anew on what it left
        raise Busy(f"{endpoint} is moved by others faster than this {verb} can be prepared; try again")

    def preview(self, file: str | bytes) -> str:
        """What applying the file would change, as a unified diff; empty if nothing. Refuses what apply refuses."""
        told = parse(file)
        ask = _Ask(told.endpoint, "apply", {"file": told}, "", "", {})
        situation = self._situation(ask)
        return diff(situation.current, verbs.read(situation, "apply", ask.arguments).revision)

    def republish(self) -> None:
        """Make what the workers are told equal to the database; for the start of the control plane."""
        live.publish_all(self._home, [one for one in self._registry.endpoints() if not is_drill(one.endpoint)])

    def _carry_out(self, ask: _Ask, turn: _Turn, steps: Steps) -> Done:
        with turn.moving:
            planned, current = self._plan(ask, steps)
            brings = _brings(current, planned.revision)
            order = None if brings else self._move(ask, turn, planned.revision, current, steps)
        if brings:
            with self._loading(ask, turn):
                planned, order = self._load_and_move(ask, turn, steps)
        if order is not None:
            self._await_serving(planned.revision, steps)
        return Done(order, planned.revision, steps.all(), planned.notes)

    def _load_and_move(self, ask: _Ask, turn: _Turn, steps: Steps) -> tuple[Planned, Order | None]:
        """The workers load first; only what all of them can run is recorded."""
        moves = turn.moves
        planned, current = self._plan(ask, steps)
        if planned.revision is current:  # who was here before has done the same
            return planned, None
        try:
            with steps.step("prepare"):
                self._workers.prepare(current, planned.revision, lambda: turn.moves != moves)
            with turn.moving:
                if turn.moves != moves:
                    raise Overtaken
                return planned, self._move(ask, turn, planned.revision, current, steps)
        except BaseException:
            with suppress(Unavailable):  # then the workers keep what they made ready; it does not hurt
                live.withdraw(self._home, ask.endpoint)
            raise

    def _move(self, ask: _Ask, turn: _Turn, revision: Revision, current: Revision | None, steps: Steps) -> Order | None:
        """Record and publish. From the record on it holds, whatever happens to this process."""
        if revision is current:
            return None
        with steps.step("record"):
            order = self._registry.record(revision, ask.verb, {**_moved(current, revision), **ask.evidence})
        turn.moves += 1
        with steps.step("publish"):
            self._publish(revision)
        return order

    def _publish(self, revision: Revision) -> None:
        try:
            live.publish(self._home, revision)
        except Unavailable as error:
            raise Unavailable(
                f"revision {revision.number} of {revision.endpoint} is recorded, but the workers could not be told and "
                f"go on as before: {error}; then restart the control plane, which tells them"
            ) from error

    def _await_serving(self, revision: Revision, steps: Steps) -> None:
        if not self._workers.any_up():
            steps.say(NONE_UP)
            return
        with steps.step("workers"):
            late = self._workers.await_serving(revision)
        for words in late:
            steps.say(words)

    def _plan(self, ask: _Ask, steps: Steps) -> tuple[Planned, Revision | None]:
        with steps.step("plan"):
            situation = self._situation(ask)
            return verbs.read(situation, ask.verb, ask.arguments), situation.current

    def _situation(self, ask: _Ask) -> Situation:
        try:
            current = self._registry.current(ask.endpoint)
        except NotFound:
            current = None
        return Situation(ask.endpoint, current, self._registry, By(ask.author, ask.reason, self._clock()))

    def _turn(self, endpoint: str) -> _Turn:
        with self._taking_turns:
            turn = self._turns.get(endpoint)
            if turn is None:
                turn = self._turns[endpoint] = _Turn()
            return turn

    @contextmanager
    def _loading(self, ask: _Ask, turn: _Turn) -> Iterator[None]:
        if not turn.loading.acquire(timeout=self._timeout_s):
            raise Busy(f"another order is still loading on {ask.endpoint}; try this {ask.verb} again when it is done")
        try:
            yield
        finally:
            turn.loading.release()


def _brings(current: Revision | None, planned: Revision) -> bool:
    """Whether the workers have something to load or compile that they may fail at."""
    if planned is current:
        return False
    if current is None or planned.policy != current.policy:
        return True
    known = [arm.served for arm in current.arms]  # all of it: the same file may run elsewhere, or with other bounds
    return any(arm.served not in known for arm in planned.arms)


def _moved(before: Revision | None, after: Revision) -> dict[str, Any]:
    """Which version an order was about, where it was about one."""
    arms = [arm for arm in after.arms if before is None or arm not in before.arms]
    return {"model": arms[0].model, "version": arms[0].version} if len(arms) == 1 else {}


def _words(text: str, what: str) -> str:
    if len(text) > _WORDS_MAX:
        raise BadInput(f"the {what} has {len(text):,} characters; at most {_WORDS_MAX:,} are kept")
    return text


def _evidence(told: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence that the audit trail can keep and show; BadInput for what it cannot."""
    _check_depth(told)
    try:
        size = len(msgspec.json.encode(told))
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(
            f"the evidence cannot be written as JSON: {error}; send texts, numbers and lists of them"
        ) from error
    if size > _EVIDENCE_BYTES_MAX:
        raise BadInput(
            f"the evidence has {size:,} bytes as JSON; at most {_EVIDENCE_BYTES_MAX:,} are kept: say where it is"
        )
    return dict(told)


def _check_depth(told: Mapping[str, Any]) -> None:
    """Level by level: what is nested without end would break whatever follows it down."""
    level: list[Any] = [told]
    for _ in range(_EVIDENCE_DEPTH_MAX):
        inner = (one for each in level for one in (each.values() if isinstance(each, Mapping) else each))
        level = [one for one in inner if isinstance(one, Mapping | list | tuple)]
        if not level:
            return
    raise BadInput(f"the evidence is nested more than {_EVIDENCE_DEPTH_MAX} deep; send it flatter, or as a text")
