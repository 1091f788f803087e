"""Orders as a whole: a real registry, real files, and workers that are played by threads."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from payoff.deploy import workers as waiting
from payoff.deploy.file import render
from payoff.deploy.orders import NONE_UP, Desk, Done
from payoff.errors import BadInput, Busy, Conflict, ModelFailed, NotFound, Unavailable
from payoff.records import Explore, Order, Revision, Role, Version
from payoff.registry import Registry
from payoff.store import live
from tests.shared import PATIENCE_S

Workers = Callable[[int], list[Any]]
Make = Callable[..., Version]


@pytest.fixture
def desk(home: Path, registry: Registry, version: Make, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """With all the patience in the world: what it waits for comes."""
    monkeypatch.setattr(waiting, "_FORGET_S", PATIENCE_S)
    for number in range(1, 6):
        one = version(number)
        registry.register(
            one.model, digest=one.digest, flavor="onnx", served=one.served, size_bytes=1, author="anna", now_us=1
        )
    return Desk(home, registry, workers_timeout_s=PATIENCE_S, serving_timeout_s=PATIENCE_S, poll_s=0.003)


def deploy(desk: Desk, version: int, **more: Any) -> Done:
    return desk.give("bank", "deploy", author="anna", model="term-deposit", version=version, **more)


def published(home: Path) -> live.Live:
    found = live.read_all(home)["bank"]
    assert isinstance(found, live.Live)
    return found


def names(done: Done) -> list[str]:
    return [name for name, _ in done.steps]


def test_a_deployment_is_prepared_recorded_published_and_served(
    desk: Desk, home: Path, registry: Registry, workers: Workers
) -> None:
    players = workers(2)
    done = deploy(desk, 1, reason="the first", evidence={"ticket": 7})
    assert names(done) == ["plan", "prepare", "record", "publish", "workers"]
    assert all(seconds >= 0 for _, seconds in done.steps)
    assert done.revision == registry.current("bank") == published(home).current
    assert isinstance(done.order, Order)
    assert (done.order.verb, done.order.author, done.order.reason) == ("deploy", "anna", "the first")
    assert (done.order.before, done.order.after) == (None, 1)
    assert done.order.evidence == {"model": "term-deposit", "version": 1, "ticket": 7}
    assert [player.serving for player in players] == [{"bank": 1}, {"bank": 1}]
    assert published(home).prepare is None


def test_nothing_is_recorded_before_every_worker_is_ready(
    desk: Desk, home: Path, registry: Registry, workers: Workers, version: Make
) -> None:
    deploy(desk, 1)
    quick, slow = workers(2)
    slow.slow = {version(2).digest}
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(deploy, desk, 2)
        assert slow.asked.wait(PATIENCE_S)
        assert registry.current("bank").number == 1
        assert published(home).current == registry.current("bank")
        assert published(home).prepare is not None
        slow.finish_loading()
        assert order.result(PATIENCE_S).revision.number == 2
    assert (quick.serving, slow.serving) == ({"bank": 2}, {"bank": 2})


def test_a_model_that_a_worker_cannot_run_changes_nothing(
    desk: Desk, home: Path, registry: Registry, workers: Workers, version: Make
) -> None:
    _, picky = workers(2)
    deploy(desk, 1)
    picky.fails = {version(2).digest: "row 3 of the sample: expected 0.5, got 0.7"}
    for _ in range(2):
        with pytest.raises(
            ModelFailed, match=r"row 3 of the sample: expected 0.5, got 0.7 \(worker 1 .* nothing was ch"
        ):
            deploy(desk, 2)
        assert registry.current("bank").number == 1
        assert published(home) == live.Live(registry.current("bank"))
    after = deploy(desk, 3)  # with the number that failed before
    assert (after.revision.number, after.revision.arms[0].version) == (2, 3)
    assert [order.verb for order in registry.orders("bank")] == ["deploy", "deploy"]


def test_a_first_version_that_fails_leaves_no_endpoint(desk: Desk, home: Path, workers: Workers, version: Make) -> None:
    (picky,) = workers(1)
    picky.fails = {version(1).digest: "no"}
    with pytest.raises(ModelFailed, match=r"^no \(worker 0"):
        deploy(desk, 1)
    assert live.read_all(home) == {}
    with pytest.raises(NotFound, match="no endpoint called 'bank'"):
        desk.give("bank", "kill", author="anna")


def test_a_worker_that_dies_meanwhile_is_not_waited_for(desk: Desk, workers: Workers, version: Make) -> None:
    sound, mortal = workers(2)
    deploy(desk, 1)
    mortal.deadly = {version(2).digest}
    assert deploy(desk, 2).revision.number == 2
    assert (sound.serving, mortal.serving) == ({"bank": 2}, {"bank": 1})


def test_a_model_that_kills_every_worker_is_not_recorded(
    desk: Desk, home: Path, registry: Registry, workers: Workers, version: Make
) -> None:
    players = workers(2)
    deploy(desk, 1)
    for player in players:
        player.deadly = {version(2).digest}
    with pytest.raises(ModelFailed, match="every worker died while it loaded revision 2 of bank; nothing was changed"):
        deploy(desk, 2)
    assert published(home) == live.Live(registry.current("bank"))
    assert registry.current("bank").number == 1


def test_without_workers_an_order_holds_and_says_so(desk: Desk, home: Path, registry: Registry) -> None:
    done = deploy(desk, 1)
    assert names(done) == ["plan", "prepare", "record", "publish", NONE_UP]
    assert published(home).current == registry.current("bank")


def test_a_worker_that_never_gets_ready_is_named(home: Path, registry: Registry, desk: Desk, workers: Workers) -> None:
    deploy(desk, 1)
    (slow,) = workers(1)
    slow.slow = {f"{2:064x}"}
    hasty = Desk(home, registry, workers_timeout_s=0.2)
    with pytest.raises(
        Unavailable, match=r"worker 0 did not load revision 2 of bank within 0.2 s; nothing was changed"
    ):
        deploy(hasty, 2)
    assert published(home) == live.Live(registry.current("bank"))


def test_a_worker_that_is_late_to_serve_is_told_not_raised(
    home: Path, registry: Registry, desk: Desk, workers: Workers
) -> None:
    deploy(desk, 1)
    (slow,) = workers(1)
    slow.slow = {f"{1:064x}"}
    done = Desk(home, registry, serving_timeout_s=0.1).give("bank", "kill", author="anna")
    assert names(done)[-1] == "worker 0 does not serve revision 2 of bank yet"
    slow.slow = set()
    slow.fails = {f"{1:064x}": "no such file"}
    done = desk.give("bank", "revive", author="anna", reason="sorry")
    assert names(done)[-1] == "worker 0 could not load revision 3 of bank: no such file"


def test_a_kill_does_not_wait_for_a_model_that_loads(
    desk: Desk, registry: Registry, workers: Workers, version: Make
) -> None:
    (worker,) = workers(1)
    deploy(desk, 1)
    worker.slow = {version(2).digest}
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(deploy, desk, 2, role="challenger")
        assert worker.asked.wait(PATIENCE_S)
        worker.asked.clear()
        kill = desk.give("bank", "kill", author="guard: loses money")
        assert kill.revision.number == 2
        assert not order.done()
        assert worker.asked.wait(PATIENCE_S)  # planned anew on what the kill left
        worker.finish_loading()
        after = order.result(PATIENCE_S)
    assert after.revision.number == 3
    assert [(arm.role, arm.version) for arm in after.revision.arms] == [(Role.KILLED, 1), (Role.CHALLENGER, 2)]
    assert [order.verb for order in registry.orders("bank")] == ["deploy", "kill", "deploy"]


def test_what_is_killed_while_it_loads_stays_killed(desk: Desk, workers: Workers, version: Make) -> None:
    (worker,) = workers(1)
    deploy(desk, 1)
    text = render(desk.give("bank", "deploy", author="anna", model="term-deposit", version=2, traffic="10%").revision)
    worker.slow = {version(3).digest}
    with ThreadPoolExecutor(1) as pool:
        file = text.replace("arms:\n", "arms:\n  shadow: {model: term-deposit, version: 3}\n")
        order = pool.submit(desk.give, "bank", "apply", author="ci", file=file)
        assert worker.asked.wait(PATIENCE_S)
        desk.give("bank", "kill", author="guard", arm="challenger")
        worker.finish_loading()
        after = order.result(PATIENCE_S)
    assert [arm.role for arm in after.revision.arms] == [Role.CHAMPION, Role.KILLED, Role.SHADOW]
    assert "term-deposit v2 stays killed; revive it if it may answer" in after.notes


def test_two_deployments_at_once_come_one_after_the_other(desk: Desk, registry: Registry, workers: Workers) -> None:
    workers(2)
    deploy(desk, 1)
    with ThreadPoolExecutor(4) as pool:
        orders = [pool.submit(deploy, desk, number, role="shadow") for number in (2, 3, 4, 5)]
        numbers = sorted(order.result(PATIENCE_S).revision.number for order in orders)
    assert numbers == [2, 3, 4, 5]
    assert {arm.version for arm in registry.current("bank").arms} == {1, 2, 3, 4, 5}


def test_the_same_deployment_twice_at_once_is_one_order(desk: Desk, registry: Registry, workers: Workers) -> None:
    workers(1)
    with ThreadPoolExecutor(3) as pool:
        done = [order.result(PATIENCE_S) for order in [pool.submit(deploy, desk, 1) for _ in range(3)]]
    assert sorted(one.order is None for one in done) == [False, True, True]
    assert {one.revision.number for one in done} == {1}
    assert len(registry.orders("bank")) == 1


def test_an_endpoint_that_loads_for_long_is_busy(home: Path, registry: Registry, workers: Workers, desk: Desk) -> None:
    deploy(desk, 1)
    (worker,) = workers(1)
    worker.slow = {f"{2:064x}"}
    impatient = Desk(home, registry, workers_timeout_s=0.3)
    turn = impatient._turn("bank")
    with turn.loading, pytest.raises(Busy, match="another order is still loading on bank; try this deploy again"):
        deploy(impatient, 3)


def test_a_change_by_another_process_is_a_conflict_and_is_taken_back(
    home: Path, registry: Registry, workers: Workers, desk: Desk, version: Make
) -> None:
    (worker,) = workers(1)
    deploy(desk, 1)
    worker.slow = {version(2).digest}
    other = Desk(home, registry, serving_timeout_s=PATIENCE_S)
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(deploy, desk, 2)
        assert worker.asked.wait(PATIENCE_S)
        other.give("bank", "kill", author="someone else")
        publish_again(home, registry, order_number=3)
        worker.finish_loading()
        with pytest.raises((Conflict, ModelFailed), match="meanwhile"):
            order.result(PATIENCE_S)
    assert registry.current("bank").number == 2
    assert published(home) == live.Live(registry.current("bank"))


def publish_again(home: Path, registry: Registry, order_number: int) -> None:
    """Put back the preparation that the other process's kill swept away, so that the workers do get ready."""
    current = registry.current("bank")
    first = registry.revision("bank", 1)
    ready = Revision("bank", order_number - 1, 0, "anna", "", first.arms)
    live.publish(home, current, ready)


def test_a_kill_asks_the_database_little_and_each_worker_for_one_look_however_many_orders_there_were(
    desk: Desk, home: Path, registry: Registry, workers: Workers
) -> None:
    players, asked = workers(2), []
    sa.event.listen(registry._engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    deploy(desk, 1)
    deploy(desk, 2)
    statements = []
    for _ in range(15):
        asked.clear()
        stamp = live.stamp(home)
        done = desk.give("bank", "kill", author="guard: loses money", evidence={"e_value": 21.0})
        statements.append([*asked])
        assert live.stamp(home) == stamp + 1
        assert all(player.serving["bank"] == done.revision.number for player in players)
        assert names(done) == ["plan", "record", "publish", "workers"]
        desk.give("bank", "revive", author="anna", reason="again")
    assert statements == [statements[0]] * 15
    assert len(statements[0]) <= 10


def test_orders_move_a_version_through_its_life(desk: Desk, registry: Registry, workers: Workers) -> None:
    workers(1)
    deploy(desk, 1)
    deploy(desk, 2, traffic="20%")
    desk.give("bank", "ramp", author="anna", traffic=0.5)
    desk.give("bank", "promote", author="guard: challenger beats champion")
    desk.give("bank", "kill", author="guard: loses money")
    back = desk.give("bank", "rollback", author="anna")
    assert [(arm.version, arm.role) for arm in back.revision.arms] == [(1, Role.CHAMPION)]
    assert back.notes == ("passed over 2, 3, 4: a killed version answers there",)
    with pytest.raises(BadInput, match="that needs a reason"):
        desk.give("bank", "rollback", author="anna", to=4)
    desk.give("bank", "rollback", author="anna", to=4, reason="it was the data")
    assert registry.current("bank").arms == registry.revision("bank", 4).arms
    assert [order.verb for order in reversed(registry.orders("bank"))] == [
        "deploy", "deploy", "ramp", "promote", "kill", "rollback", "rollback"
    ]  # fmt: skip


COMPLETE = """\
endpoint: term-deposit
arms:
  champion:   {model: term-deposit, version: 3}
  challenger: {model: term-deposit, version: 4, traffic: 10%}
  next:       {model: term-deposit, version: 5, role: shadow}
route: {by: customer_id}                 # sticky on any key; without it, random
decision: outputs.probability > 0.07     # SQL over inputs.* and outputs.*
value: case when decision then (case when outcome.subscribed then 60 else 0 end)
       - 2 - outcome.duration_s / 3600.0 * 24 else 0 end
currency: EUR
explore: 2%                              # decide at random here, so that outcomes of the road not taken are known
rules:
  - {check: inputs.age between 17 and 110, else: flag}
  - {check: outputs.probability between 0 and 1, else: fallback}
guards:
  - {when: loses money, against: fallback, error: 5%, do: kill}
  - {when: challenger beats champion, error: 5%, do: promote}
fallback: {decision: false}              # what answers after a kill: constants, a rule, or a version
"""
MONEY = """\
holdout: 5%
matures: window
no_outcome: counts
covariate: inputs.age * 1.5
ramp: {steps: [1%, 10%, 100%], loss_budget: 500}
outcome_window: 30d
"""


@pytest.mark.parametrize("file", [COMPLETE, COMPLETE + MONEY])
def test_a_complete_file_is_applied_kept_and_written_back(desk: Desk, registry: Registry, file: str) -> None:
    done = desk.give("term-deposit", "apply", author="anna", file=file)
    kept = registry.current("term-deposit")
    assert kept == done.revision
    assert (kept.policy.explore, kept.policy.route_by) == (Explore(0.02), "customer_id")
    assert [(arm.version, arm.role, arm.traffic) for arm in kept.arms] == [
        (3, Role.CHAMPION, 0.0), (4, Role.CHALLENGER, 0.1), (5, Role.SHADOW, 0.0)
    ]  # fmt: skip
    assert desk.preview(file) == ""
    assert desk.give("term-deposit", "apply", author="ci", file=file).order is None
    assert desk.give("term-deposit", "apply", author="ci", file=render(kept)).order is None
    changed = desk.preview(file.replace("explore: 2%", "explore: 4%")).splitlines()
    assert [line for line in changed if line.startswith(("-e", "+e"))] == ["-explore: 2%", "+explore: 4%"]


def test_a_guard_may_set_shares_and_never_revives(desk: Desk, registry: Registry) -> None:
    deploy(desk, 1)
    deploy(desk, 2, traffic="20%")
    deploy(desk, 3, traffic="20%")
    shares = {"term-deposit:2": 0.05, "term-deposit:3": 0.6}
    done = desk.give("bank", "allocate", author="guard: allocate", reason="v3 earns more", shares=shares)
    assert [arm.traffic for arm in done.revision.arms] == [0.0, 0.05, 0.6]
    with pytest.raises(BadInput, match="allocate needs 'shares'"):
        desk.give("bank", "allocate", author="guard: allocate")
    with pytest.raises(BadInput, match="are no shares; say"):
        desk.give("bank", "allocate", author="guard: allocate", shares=0.5)
    desk.give("bank", "kill", author="guard: loses money")
    with pytest.raises(Conflict, match="a guard never lets it answer again"):
        desk.give("bank", "revive", author="guard: loses money", reason="it may win now")
    desk.give("bank", "revive", author="anna", reason="the data were wrong")
    assert registry.verify_chain() is None


def test_an_order_that_changes_nothing_is_no_order(desk: Desk, registry: Registry) -> None:
    first = deploy(desk, 1)
    again = deploy(desk, 1)
    assert (again.order, again.revision) == (None, first.revision)
    applied = desk.give("bank", "apply", author="ci", file=render(first.revision))
    assert (applied.order, applied.revision) == (None, first.revision)
    assert len(registry.orders("bank")) == 1


FILE = """\
endpoint: bank
arms:
  champion: {model: term-deposit, version: latest}
decision: outputs.probability > 0.07
value: case when decision and outcome.subscribed then 60 else 0 end
fallback: {decision: true}
guards: [{when: loses money, error: 1%}]
"""


def test_a_file_makes_an_endpoint_and_its_preview_says_what_it_would_change(desk: Desk, registry: Registry) -> None:
    assert "+  champion: {model: term-deposit, version: 5}" in desk.preview(FILE).splitlines()
    with pytest.raises(NotFound):
        registry.current("bank")
    done = desk.give("bank", "apply", author="ci", file=FILE)
    assert desk.preview(FILE) == desk.preview(render(done.revision)) == ""
    assert [field.name for field in done.revision.policy.outcome] == ["subscribed"]
    assert "-guards:" in desk.preview(FILE.rsplit("guards", 1)[0]).splitlines()
    newer = deploy(desk, 1)
    assert newer.revision.policy == done.revision.policy


@pytest.mark.parametrize(
    ("verb", "arguments", "words"),
    [
        ("promte", {}, "no order 'promte'; did you mean 'promote'?"),
        ("kill", {"arms": "champion"}, "kill takes no 'arms'; did you mean 'arm'? it takes: arm"),
        ("ramp", {}, "ramp needs 'traffic'"),
        ("deploy", {}, "deploy needs 'model'"),
        ("deploy", {"model": "term-depsoit"}, "no model called 'term-depsoit'; did you mean 'term-deposit'?"),
        ("deploy", {"model": "term-deposit", "version": 99}, "has no version 99; it has 1 to 5"),
        ("deploy", {"model": "../x"}, "cannot name a model"),
        ("deploy", {"model": "term-deposit", "version": True}, "True is no version"),
        ("rollback", {"to": "1"}, "'1' is no revision; say its number"),
        ("rollback", {"to": 99}, "bank has no revision 99; there are 1 to 1"),
        ("rollback", {"to": -1}, "bank has no revision -1"),
        ("apply", {"file": FILE.replace("bank", "other")}, "the file is about endpoint 'other', not 'bank'"),
        ("apply", {"file": FILE.replace("latest", "best")}, "line 3, arms.champion: no alias of model 'term-deposit'"),
        ("apply", {"file": FILE.replace("probability", "probablity")}, "decision: "),
        ("promote", {}, "nothing to promote on bank; champion (term-deposit v1) can: kill"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_words(
    verb: str, arguments: dict[str, Any], words: str, desk: Desk, registry: Registry
) -> None:
    deploy(desk, 1)
    with pytest.raises((BadInput, NotFound, Conflict)) as refused:
        desk.give("bank", verb, author="anna", **arguments)
    assert words in str(refused.value)
    assert registry.current("bank").number == 1


def test_an_order_says_who_gives_it_and_not_a_novel(desk: Desk) -> None:
    with pytest.raises(BadInput, match="an order needs an author"):
        desk.give("bank", "kill", author=" ")
    with pytest.raises(BadInput, match="the reason has 3,000 characters; at most 2,000"):
        desk.give("bank", "kill", author="anna", reason="x" * 3_000)
    with pytest.raises(BadInput, match="cannot name an endpoint"):
        desk.give("../bank", "kill", author="anna")


def test_the_workers_are_told_again_what_the_database_says(desk: Desk, home: Path, registry: Registry) -> None:
    first = deploy(desk, 1).revision
    lost = Revision("bank", 2, 0, "anna", "", first.arms)
    live.publish(home, first, lost)  # the control plane died while it prepared
    live.publish(home, Revision("ghost", 1, 0, "anna", "", first.arms))
    desk.republish()
    assert live.read_all(home) == {"bank": live.Live(first)}
    (home / "live" / "bank.json").unlink()
    Desk(home, registry).republish()
    assert live.read_all(home) == {"bank": live.Live(first)}


def nested(depth: int) -> dict[str, Any]:
    """Evidence of so many levels."""
    inner: list[Any] = []
    for _ in range(depth - 2):
        inner = [inner]
    return {"a": inner}


@pytest.mark.parametrize(("evidence", "words"), [
    pytest.param(nested(33), "nested more than 32 deep", id="just too deep"),
    pytest.param(nested(100_000), "nested more than 32 deep", id="without end"),
    pytest.param({"a": "x" * (64 << 10)}, "at most 65,536", id="too large"),
    pytest.param({"a": object()}, "JSON", id="no JSON"),
])  # fmt: skip
def test_evidence_that_the_audit_trail_cannot_hold_is_refused_before_anything_moves(
    desk: Desk, registry: Registry, evidence: dict[str, Any], words: str
) -> None:
    deploy(desk, 1)
    with pytest.raises(BadInput, match=words):
        desk.give("bank", "kill", author="anna", evidence=evidence)
    assert registry.current("bank").number == 1
    assert len(registry.orders("bank")) == 1


def test_evidence_as_large_and_as_deep_as_it_may_be_is_kept(desk: Desk) -> None:
    deploy(desk, 1)
    evidence = nested(32) | {"b": "x" * 65_000}
    order = desk.give("bank", "kill", author="anna", evidence=evidence).order
    assert order is not None
    assert evidence.items() <= order.evidence.items()


def test_an_order_that_is_recorded_but_not_told_says_so(desk: Desk, home: Path, registry: Registry) -> None:
    deploy(desk, 1)
    (home / "live" / "bank.json").unlink()
    (home / "live" / "bank.json").mkdir()
    with pytest.raises(Unavailable, match="revision 2 of bank is recorded, but the workers could not be told"):
        desk.give("bank", "kill", author="anna")
    assert registry.current("bank").number == 2
    (home / "live" / "bank.json").rmdir()
    desk.republish()
    assert published(home).current == registry.current("bank")


def test_orders_on_different_endpoints_do_not_wait_for_each_other(desk: Desk, workers: Workers, version: Make) -> None:
    (worker,) = workers(1)
    deploy(desk, 1)
    before = threading.active_count()
    worker.slow = {version(2).digest}
    with ThreadPoolExecutor(1) as pool:
        order = pool.submit(deploy, desk, 2)
        assert worker.asked.wait(PATIENCE_S)
        other = desk.give("shop", "deploy", author="anna", model="term-deposit", version=3)
        assert other.revision.number == 1
        worker.finish_loading()
        assert order.result(PATIENCE_S).revision.number == 2
    assert threading.active_count() <= before
