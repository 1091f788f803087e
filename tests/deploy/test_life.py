"""Any sequence of orders leaves an endpoint that makes sense."""

from dataclasses import replace
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from payoff.deploy import plan
from payoff.deploy.file import FileArm, parse, render
from payoff.deploy.plan import By
from payoff.deploy.which import seat
from payoff.errors import BadInput, Conflict, NotFound
from payoff.records import Arm, Field, Policy, Revision, Role, Served, Signature, Type, Version

SIGNATURE = Signature((Field("x", Type.FLOAT64),), (Field("prediction", Type.FLOAT64),))
VERSIONS = [
    Version("m", n, f"{n:064x}", "onnx", Served("onnx", f"{n:064x}", SIGNATURE), 1, 0, "a") for n in range(1, 7)
]
ARMS = st.sampled_from([None, "champion", "challenger", "shadow", 1, 2, 3, "m:4", "v5"])
SHARES = st.sampled_from([0.0, 0.1, 0.3, 0.35, 0.7, 1.0])


class Life(RuleBasedStateMachine):
    """One endpoint, from its first version on."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Revision] = []
        self.at_us = 0

    @property
    def now(self) -> Revision:
        return self.history[-1]

    def by(self, reason: str = "because") -> By:
        self.at_us += 1
        return By("anna", reason, self.at_us)

    def order(self, make: partial[Revision]) -> Revision | None:
        """The order's revision, if it was legal; what it refuses must be refused in words."""
        try:
            after = make()
        except (Conflict, BadInput, NotFound):
            return None
        if not self.history or after is not self.now:
            assert after.number == (self.now.number if self.history else 0) + 1
            if self.history:
                assert (after.arms, after.policy) != (self.now.arms, self.now.policy)
            self.history.append(after)
        return after

    @rule(version=st.sampled_from(VERSIONS), role=st.sampled_from([None, "champion", "challenger", "shadow"]))
    def deploy(self, version: Version, role: str | None) -> None:
        current = self.now if self.history else None
        after = self.order(partial(plan.deploy_as, current, "e", version, self.by(), role))
        if after is not None:
            arm = next(arm for arm in after.arms if arm.version == version.number)
            assert arm.role == (role or "champion")

    @precondition(lambda self: self.history)
    @rule(arm=ARMS)
    def promote(self, arm: str | int | None) -> None:
        before = {one.version for one in self.now.arms}
        after = self.order(partial(plan.promote, self.now, self.by(), arm))
        assert after is None or len(before - {one.version for one in after.arms}) == 1

    @precondition(lambda self: self.history)
    @rule(arm=ARMS, traffic=SHARES)
    def ramp(self, arm: str | int | None, traffic: float) -> None:
        self.order(partial(plan.ramp, self.now, self.by(), traffic, arm))

    @precondition(lambda self: self.history)
    @rule(arm=ARMS)
    def kill_and_sometimes_revive(self, arm: str | int | None) -> None:
        before = self.now
        after = self.order(partial(plan.kill, before, self.by(), arm))
        gone = [one for one in before.arms if after and one.version not in {kept.version for kept in after.arms}]
        assert all(one.role is Role.SHADOW for one in gone)
        if after is None or gone:
            return
        dead = next(new for new, old in zip(after.arms, before.arms, strict=True) if new != old)
        assert plan.revive(after, self.by(), dead.name).arms == before.arms

    @precondition(lambda self: self.history)
    @rule(arm=ARMS)
    def revive(self, arm: str | int | None) -> None:
        self.order(partial(plan.revive, self.now, self.by(), arm))

    @precondition(lambda self: self.history)
    @rule(arm=ARMS)
    def retire(self, arm: str | int | None) -> None:
        self.order(partial(plan.retire, self.now, self.by(), arm))

    @precondition(lambda self: self.history)
    @rule(currency=st.sampled_from(["EUR", "USD", "CHF"]))
    def change_the_policy(self, currency: str) -> None:
        policy = replace(self.now.policy, currency=currency)
        self.order(partial(plan.apply, self.now, "e", self.now.arms, policy, self.by()))

    @precondition(lambda self: self.history)
    @rule(data=st.data())
    def rollback_to(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.history))
        after = self.order(partial(plan.rollback, list(self.history), self.by(), old.number))
        assert after is not None
        assert (after.arms, after.policy) == (old.arms, old.policy)

    @precondition(lambda self: self.history)
    @rule()
    def rollback(self) -> None:
        dead = {arm.version for arm in self.now.arms if arm.role is Role.KILLED}
        after = self.order(partial(plan.rollback, list(self.history), self.by("")))
        if after is not None:
            assert any((old.arms, old.policy) == (after.arms, after.policy) for old in self.history[:-2])
            assert not dead & {arm.version for arm in after.arms if arm.role in (Role.CHAMPION, Role.CHALLENGER)}

    @invariant()
    def there_is_one_champions_seat(self) -> None:
        if self.history:
            assert [seat(arm) for arm in self.now.arms].count(Role.CHAMPION) == 1
            assert [arm.role for arm in self.now.arms].count(Role.CHAMPION) <= 1

    @invariant()
    def the_shares_fit(self) -> None:
        if self.history:
            assert sum(arm.traffic for arm in self.now.arms) <= 1 + 1e-9
            assert all(arm.traffic == 0 for arm in self.now.arms if seat(arm) is not Role.CHALLENGER)

    @invariant()
    def names_and_versions_are_there_once(self) -> None:
        if self.history:
            arms = self.now.arms
            assert len({arm.name for arm in arms}) == len({arm.version for arm in arms}) == len(arms)
            assert all((arm.was is not None) == (arm.role is Role.KILLED) for arm in arms)

    @invariant()
    def the_file_says_what_runs(self) -> None:
        if self.history:
            told = parse(render(self.now))
            arms = [_resolved(arm) for arm in told.arms]
            assert plan.apply(self.now, "e", arms, told.policy, self.by()) is self.now


def _resolved(arm: FileArm) -> Arm:
    version = VERSIONS[int(arm.version) - 1]
    role, was = (Role.KILLED, arm.role) if arm.killed else (arm.role, None)
    return Arm(arm.name, role, arm.model, version.number, version.served, arm.traffic, was)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_the_default_policy_is_not_written_down_as_something() -> None:
    first = plan.deploy_as(None, "e", VERSIONS[0], By("anna", "", 1))
    assert first.policy == Policy() == parse(render(first)).policy
