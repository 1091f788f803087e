"""What moves an endpoint without a verdict: hard limits, then a challenger's ramp, then shares by what arms earn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from payoff.deploy.guards import BEATS
from payoff.experiment.verdict import LOSES, facts
from payoff.monitor import allocate, limits, ramp
from payoff.monitor.gauges import Gauges
from payoff.monitor.guards import Held, Known, Move, harm
from payoff.monitor.limits import Breach
from payoff.monitor.lives import Brief, life
from payoff.monitor.matured import Matured
from payoff.monitor.ramp import Climb, Step
from payoff.records.endpoint import Arm, Ramp, Revision, Role
from payoff.stats.intervals import Sums

DAY_S = 86_400.0


@dataclass(slots=True)
class Steer:
    """One endpoint's; everything it knows is derived from the journal and the revisions."""

    gauges: Gauges = field(default_factory=Gauges)

    def ask(self, past: Sequence[Revision]) -> None:
        """The revisions up to the one that runs."""
        self.gauges.ask(past)

    def hear(self, rows: Matured) -> None:
        """Matured rows, in the order of the decisions, each once."""
        self.gauges.hear(rows)

    def look(self, known: Known) -> list[Move | Held]:
        """What is due now."""
        policy = known.past[-1].policy
        found: list[Move | Held] = []
        breaches = self.gauges.look(known.journal, known.outcome_us, known.now_us)
        found += [_over(known, breach, arm) for breach in breaches for arm in _meant(known.past[-1], breach)]
        if found:
            return found  # nothing climbs and no share moves while a limit is overstepped
        if policy.ramp is not None:
            found += _climbs(known, policy.ramp, self.gauges.answered)
        if policy.allocate is not None and not found:
            found += _shares(known)
        return found


def _meant(revision: Revision, breach: Breach) -> list[Arm]:
    """The arms that a breach is about; one of the endpoint as a whole is about all that answer, challengers first."""
    alive = [arm for arm in revision.arms if arm.role in (Role.CHALLENGER, Role.CHAMPION)]
    mine = [arm for arm in alive if breach.who in ("", f"{arm.model} v{arm.version}")]
    return sorted(mine, key=lambda arm: arm.role is Role.CHAMPION)


def _over(known: Known, breach: Breach, arm: Arm) -> Move | Held:
    """What the guard says, once: a share is halved once in the time that the limit is about, while it lasts."""
    guard, current = breach.guard, known.past[-1]
    turn = f"revision {current.number}"
    if guard.do == "halve" and arm.role is Role.CHALLENGER:
        turn = f"turn {int(known.now_us / (guard.over_s or DAY_S) / limits.SECOND_US)}"
    return harm(
        guard.do,
        arm,
        author=f"guard: {guard.when}",
        reason=breach.text,
        evidence=limits.facts(breach),
        key=f"{guard.when} {guard.of or ''}: {arm.model} v{arm.version} in {turn}",
    )


def _climbs(known: Known, policy: Ramp, answered: Mapping[str, int]) -> list[Move | Held]:
    """At most one step of each challenger."""
    found: list[Move | Held] = []
    for brief in known.docket.briefs:
        if brief.question.kind == LOSES and brief.rival is not None and brief.arm.role is Role.CHALLENGER:
            climb = _climb(known, brief, answered.get(brief.question.name, 0))
            if due := ramp.step(policy, climb, known.now_us):
                found.append(_step(climb, due))
    return found


def _climb(known: Known, brief: Brief, answered: int) -> Climb:
    current, who = known.past[-1], brief.question.name
    began = _share_since(known.past, brief.arm)
    tally = known.docket.tally.items()
    matured = sum(sums.n for (number, name), sums in tally if name == who and number >= began.number)
    guarded = any(guard.when == BEATS and guard.do == "promote" for guard in current.policy.guards)
    return Climb(brief.arm, known.docket.case(brief), answered, matured, began.created_at_us, guarded)


def _share_since(past: Sequence[Revision], arm: Arm) -> Revision:
    """The revision that gave the arm its present share and role."""
    found = past[-1]
    for revision in reversed(past):
        own = next((a for a in revision.arms if (a.model, a.version) == (arm.model, arm.version)), None)
        if own is None or (own.role, own.traffic) != (arm.role, arm.traffic):
            break
        found = revision
    return found


def _step(climb: Climb, due: Step) -> Move:
    return Move(
        verb=due.verb,
        arm=f"{climb.arm.model}:{climb.arm.version}",
        author="guard: ramp",
        reason=due.reason,
        evidence={
            "share": climb.arm.traffic, "cost": climb.cost, "answered": climb.answered, "matured": climb.matured,
            **facts(climb.case),
        },
        details={"traffic": due.share} if due.verb == "ramp" else {},
    )  # fmt: skip


def _shares(known: Known) -> list[Move | Held]:
    current = known.past[-1]
    assert current.policy.allocate is not None  # noqa: S101 - the caller has looked
    changed_us = min(_share_since(known.past, arm).created_at_us for arm in current.arms)
    worth = {f"{arm.model} v{arm.version}": _earned(known, arm) for arm in current.arms}
    due = allocate.shares(current.policy.allocate, current.arms, worth, changed_us, known.now_us)
    if due is None:
        return []
    means = ", ".join(f"{who} {sums.mean:,.4g} on {sums.n:,}" for who, sums in worth.items())
    evidence = {who: {"matured": sums.n, "mean": sums.mean, "variance": sums.variance} for who, sums in worth.items()}
    reason = f"Shares follow what the arms earn per decision: {means} {current.policy.currency}."
    return [Move("allocate", "", "guard: allocate", reason, evidence, details={"shares": due})]


def _earned(known: Known, arm: Arm) -> Sums:
    """What an arm made of the decisions it answered in its present life."""
    since, _ = life(known.past, arm)
    own = (
        sums for (number, name), sums in known.docket.tally.items()
        if name == f"{arm.model} v{arm.version}" and number >= (since or 0)
    )  # fmt: skip
    return sum(own, Sums())
