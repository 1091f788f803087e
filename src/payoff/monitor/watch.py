"""The loop that watches: it wakes when outcomes come in, judges what has matured, and gives the orders that follow.

One thread in the control process. What it knows it derives from the journal and the registry; when it starts it judges
everything again from the beginning, and comes to the same verdicts. A failure on one endpoint becomes a finding about
that endpoint; the loop goes on with the others and comes back to it later.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from payoff.clock import Clock, now_us
from payoff.deploy.orders import Desk
from payoff.errors import Conflict, NotFound
from payoff.experiment.verdict import Case
from payoff.journal import ids
from payoff.journal.query import Journal
from payoff.journal.snapshot import Snapshot
from payoff.ledger import prices
from payoff.ledger.prices import Prices
from payoff.monitor import crashes, freeze, guards
from payoff.monitor.docket import Docket
from payoff.monitor.evidence import SETTLE_US, advance, history, newest_outcome
from payoff.monitor.guards import Held, Known, Move, promotes
from payoff.monitor.lives import Brief, life
from payoff.monitor.steer import Steer
from payoff.monitor.worth import Worth, worth
from payoff.records.endpoint import Revision
from payoff.records.names import is_drill
from payoff.registry.registry import Registry
from payoff.store import live
from payoff.store.blobs import Blobs
from payoff.store.live import Status
from payoff.version import VERSION

LOOK_S = 1.0  # rows also mature by time alone, without anybody posting an outcome
BACKOFF_S_MAX = 60.0
MONITOR = "guards"  # the name under which findings are kept
HOUR_US = 3_600_000_000
_FINDINGS_READ = 200
_ORDERS_READ = 200


@dataclass(frozen=True, slots=True)
class Judged:
    """How far the guards have come on one endpoint, and how its cases stand.

    Every outcome up to `outcome_id` was there when the last pass began, and everything that it let mature is judged.
    `blocks` say what would hold up each promotion now, in words.
    """

    prediction_id: str | None = None
    outcome_id: str | None = None
    cases: tuple[tuple[Brief, Case], ...] = ()
    blocks: tuple[tuple[Brief, tuple[str, ...]], ...] = ()


@dataclass(slots=True)
class _Post:
    """What the watch knows about one endpoint."""

    past: list[Revision] = field(default_factory=list)
    docket: Docket = field(default_factory=Docket)
    steer: Steer = field(default_factory=Steer)
    judged: Judged = field(default_factory=Judged)
    idle_until_us: int = 0  # nothing matures before, unless an outcome or a revision comes
    beyond: int = 0  # predictions left out because their worth is no amount of money
    said: set[str] | None = None  # keys of the findings made so far
    done: set[str] | None = None  # keys of the orders given so far
    failures: int = 0
    again_us: int = 0

    def forget(self) -> None:
        """Judge everything anew: outcomes that were judged have been corrected since."""
        self.docket, self.steer, self.beyond = Docket(), Steer(), 0
        self.steer.ask(self.past)


class Watch:
    """Judges every endpoint of a home. `look` is one pass; `start` makes a thread that looks until `stop`."""

    def __init__(
        self,
        home: Path,
        registry: Registry,
        journal: Journal,
        desk: Desk,
        clock: Clock = now_us,
        look_s: float = LOOK_S,
    ) -> None:
        self._home, self._registry, self._journal, self._desk = home, registry, journal, desk
        self._clock, self._look_s = clock, look_s
        self._blobs = Blobs(home / "artifacts")
        self._posts: dict[str, _Post] = {}
        self._wake = threading.Event()
        self._over = False
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Finish the pass under way and end the thread."""
        self._over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def nudge(self) -> None:
        """Outcomes came in: look now. Never blocks."""
        self._wake.set()

    def judged(self, endpoint: str) -> Judged:
        """How far the guards have come there; nothing yet if they have not looked."""
        post = self._posts.get(endpoint)
        return post.judged if post else Judged()

    def look(self) -> float:
        """One pass over all endpoints, and in how many seconds the next is worth while.

        Raises nothing that an endpoint causes, only what makes every look impossible: a database that is gone.
        """
        with self._looking:
            now_us = self._clock()  # before the registry is read: a younger revision answered no row that is settled
            known = self._registry.endpoints()
            currents = [one for one in known if not is_drill(one.endpoint) or live.serves(self._home, one.endpoint)]
            snapshot = self._journal.snapshot()
            for gone in self._posts.keys() - {current.endpoint for current in currents}:
                del self._posts[gone]
            statuses = live.statuses(self._home)
            for current in currents:
                self._mind_crashes(current, statuses, now_us)
            waits = [self._visit(current, snapshot, now_us) for current in currents]
            return min(waits, default=self._look_s)

    def _run(self) -> None:
        failures = 0
        while not self._over:
            try:
                wait_s, failures = self.look(), 0
            except Exception:  # nowhere to report it: the next look says whether it is over
                failures += 1
                wait_s = _backoff_s(failures)
            self._wake.wait(wait_s)
            self._wake.clear()

    def _mind_crashes(self, current: Revision, statuses: Sequence[Status], now_us: int) -> None:
        """Say of every version that crashed out of a worker that it did, and kill it where the fallback can answer."""
        outs = crashes.outs(current, statuses)
        post = self._posts.setdefault(current.endpoint, _Post())
        if not outs or now_us < post.again_us:
            return
        try:
            past = history(self._registry, current.endpoint, post.past)
            for out in outs:
                since, _ = life(past, out.arm)
                key = f"{out.name} is out, alive since revision {since}"
                self._say(current.endpoint, post, key, "alarm", crashes.tell(current, out))
            due = [move for out in outs if (move := crashes.move(current, out))]
            if due and past[-1].number == current.number:
                post.past = past
                self._carry_out(current.endpoint, post, due[0], now_us)  # the next, if there is one, at the next look
        except Exception as error:
            self._failed(current.endpoint, post, error)

    def _visit(self, current: Revision, snapshot: Snapshot, now_us: int) -> float:
        """Judge one endpoint, if there may be something to judge; in how many seconds there may be more."""
        post = self._posts.setdefault(current.endpoint, _Post())
        if now_us < post.again_us:
            return self._look_s
        outcome_id, fresh = newest_outcome(snapshot, current.endpoint, ids.floor(now_us - SETTLE_US))
        wait_s = SETTLE_US / 1e6 if fresh else self._look_s
        known = bool(post.past) and post.past[-1].number == current.number
        try:
            if known and now_us < post.idle_until_us and outcome_id == post.judged.outcome_id:
                return 0.0 if self._steer(current.endpoint, post, now_us) else wait_s
            more = self._judge(current, post, outcome_id, now_us)
        except Exception as error:
            self._failed(current.endpoint, post, error)
            return self._look_s
        post.failures = 0
        return 0.0 if more else wait_s

    def _judge(self, current: Revision, post: _Post, outcome_id: str | None, now_us: int) -> bool:
        """One batch of one endpoint, and the first of the orders that follow from it; True if there is more to do."""
        if not post.past or post.past[-1].number != current.number:
            post.past = history(self._registry, current.endpoint, post.past)
        post.steer.ask(post.past)
        if current.policy.value is None:
            post.judged = Judged(None, outcome_id)
            post.idle_until_us = now_us + HOUR_US
            return self._steer(current.endpoint, post, now_us)
        terms, docket = (worth(post.past[-1]), prices.read(self._home)), post.docket
        step = advance(post.docket, self._journal, post.past, *terms, now_us)
        post.beyond += step.beyond
        if step.rows is not None:
            post.steer.hear(step.rows)
        moved = self._act(current.endpoint, post, terms, now_us) or self._steer(current.endpoint, post, now_us)
        self._report(current.endpoint, post, terms, now_us)
        cases = tuple((brief, post.docket.case(brief)) for brief in post.docket.briefs)
        busy = step.more or moved or post.docket is not docket
        blocks = tuple(
            (brief, tuple(guards.promotion_blocks(post.docket, brief))) for brief, _ in cases if promotes(brief)
        )
        post.judged = Judged(post.docket.through, post.judged.outcome_id if busy else outcome_id, cases, blocks)
        post.idle_until_us = 0 if busy else step.held_until_us
        return busy

    def _act(self, endpoint: str, post: _Post, terms: tuple[Worth, Prices], now_us: int) -> bool:
        """Give the first order that a verdict asks for; what else is due is seen again with the revision it made."""
        due = self._undone(endpoint, post, guards.moves(post.docket))
        if not due or self._registry.current(endpoint).number != post.past[-1].number:
            return bool(due)
        move = self._frozen(endpoint, post, due[0], terms, now_us)
        return True if move is None else self._carry_out(endpoint, post, move, now_us)

    def _steer(self, endpoint: str, post: _Post, now_us: int) -> bool:
        """What limits, ramp and allocation ask for: the first order, and all that is to be said."""
        outcome_us = ids.time_us(post.judged.outcome_id) if post.judged.outcome_id else None
        found = post.steer.look(Known(endpoint, post.past, post.docket, self._journal, now_us, outcome_us))
        for held in found:
            if isinstance(held, Held):
                self._say(endpoint, post, held.key, held.severity, held.text, held.evidence)
        due = self._undone(endpoint, post, [move for move in found if isinstance(move, Move)])
        if not due or self._registry.current(endpoint).number != post.past[-1].number:
            return bool(due)
        return self._carry_out(endpoint, post, due[0], now_us)

    def _undone(self, endpoint: str, post: _Post, moves: Sequence[Move]) -> list[Move]:
        """Those that were not given before; a restart does not repeat them."""
        if post.done is None and any(move.key for move in moves):
            known = self._registry.orders(endpoint, limit=_ORDERS_READ)
            post.done = {str(order.evidence["key"]) for order in known if "key" in order.evidence}
        return [move for move in moves if not move.key or move.key not in (post.done or ())]

    def _frozen(self, endpoint: str, post: _Post, move: Move, terms: tuple[Worth, Prices], now_us: int) -> Move | None:
        """The order with its verdict on file; None if it does not hold now that its rows were read again."""
        if move.brief is None:
            return move
        case, rows = freeze.reread(post.docket, self._journal, post.past, move.brief, terms, now_us)
        found = guards.follows(post.docket, move.brief)
        if not case.reached or not isinstance(found, Move):
            post.forget()
            return None
        filed = freeze.file(self._registry, self._blobs, endpoint, move.brief, case, rows, now_us)
        return replace(found, evidence={**found.evidence, "verdict": filed.id, "rows": filed.evidence_digest})

    def _carry_out(self, endpoint: str, post: _Post, move: Move, now_us: int) -> bool:
        """Give an order; if somebody was faster, what is still due is seen with the revision they made."""
        evidence = {**move.evidence, "software": VERSION, "changed": freeze.changed(self._registry, endpoint, now_us)}
        if move.brief is None and move.verb == "kill":
            evidence |= freeze.last_rows(self._journal, self._blobs, endpoint)
        if move.key:
            evidence["key"] = move.key
        try:
            self._give(endpoint, replace(move, evidence=evidence))
        except (Conflict, NotFound):
            if self._registry.current(endpoint).number == post.past[-1].number:
                raise
        else:
            post.done = (post.done or set()) | {move.key}
        post.past = history(self._registry, endpoint, post.past)
        post.docket.ask(post.past)
        post.steer.ask(post.past)
        return True

    def _give(self, endpoint: str, move: Move) -> None:
        details: dict[str, Any] = {**({"arm": move.arm} if move.arm else {}), **move.details}
        self._desk.give(endpoint, move.verb, author=move.author, reason=move.reason, evidence=move.evidence, **details)

    def _report(self, endpoint: str, post: _Post, terms: tuple[Worth, Prices], now_us: int) -> None:
        current = post.past[-1]
        for held in guards.held(post.docket):
            if held.brief is not None and not self._said(endpoint, post, held.key):
                case, rows = freeze.reread(post.docket, self._journal, post.past, held.brief, terms, now_us)
                if not case.reached:
                    return post.forget()
                filed = freeze.file(self._registry, self._blobs, endpoint, held.brief, case, rows, now_us)
                told = {**held.evidence, "verdict": filed.id, "rows": filed.evidence_digest}
                self._say(endpoint, post, held.key, held.severity, held.text, told)
        absurd = guards.absurd(endpoint, post.beyond, current.policy.currency)
        for known in (absurd, guards.mismatch(post.docket, current), guards.incomparable(post.docket)):
            if known is not None:
                self._say(endpoint, post, known.key, known.severity, known.text, known.evidence)
        if text := guards.idle(post.docket, current):
            self._say(endpoint, post, f"idle since revision {current.number}", "alarm", text)
        if text := guards.blind(post.docket.briefs, terms[0].fallback is not None):
            self._say(endpoint, post, f"blind since revision {current.number}", "warning", text)

    def _failed(self, endpoint: str, post: _Post, error: Exception) -> None:
        post.failures += 1
        post.again_us = self._clock() + int(_backoff_s(post.failures) * 1e6)
        text = f"the guards of {endpoint} could not judge: {str(error)[:500] or type(error).__name__}; they try again"
        try:
            self._say(endpoint, post, text, "alarm", text, {"failure": type(error).__name__})
        except Exception:
            post.said = None  # the registry is down too: said when it is back and the failure is still there

    def _say(
        self, endpoint: str, post: _Post, key: str, severity: str, text: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Make a finding, once; a restart does not repeat it."""
        if not self._said(endpoint, post, key):
            self._registry.add_finding(
                endpoint,
                at_us=self._clock(),
                monitor=MONITOR,
                severity=severity,
                text=text,
                data={"key": key, **(data or {})},
            )
            post.said = (post.said or set()) | {key}

    def _said(self, endpoint: str, post: _Post, key: str) -> bool:
        if post.said is None:
            known = self._registry.findings(endpoint, limit=_FINDINGS_READ)
            post.said = {str(finding.data.get("key")) for finding in known if finding.monitor == MONITOR}
        return key in post.said


def _backoff_s(failures: int) -> float:
    return min(BACKOFF_S_MAX, 2.0 ** min(failures, 10) / 2)
