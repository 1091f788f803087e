"""Endpoints, revisions, and the orders that made them."""

import math
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from payoff.errors import BadInput, Conflict, NotFound
from payoff.records import Arm, Order, Policy, Revision, Role, Served, Signature
from payoff.registry import Registry

ARM = Arm("champion", Role.CHAMPION, "fraud", 1, Served("onnx", "a" * 64, Signature((), ())))


def revision(number: int, endpoint: str = "fraud", **more: Any) -> Revision:
    return Revision(endpoint, number, number * 10, "Zoë", f"reason {number}", (ARM,), **more)


def test_recording_makes_the_revision_current_and_leaves_an_order(registry: Registry) -> None:
    first = registry.record(revision(1), "deploy")
    evidence = {"e_value": 120.5, "looks": [1, 2], "an": {"änderung": None}}
    second = registry.record(revision(2), "promote", evidence)
    assert registry.current("fraud") == revision(2)
    assert first == Order(first.id, "fraud", "deploy", 10, "Zoë", "reason 1", None, 1, {}, first.chain)
    assert second == Order(second.id, "fraud", "promote", 20, "Zoë", "reason 2", 1, 2, evidence, second.chain)
    assert registry.orders("fraud") == [second, first]
    assert second.id > first.id


def test_every_revision_stays(registry: Registry) -> None:
    for number in range(1, 6):
        registry.record(revision(number), "apply")
    assert registry.revision("fraud", 2) == revision(2)
    assert registry.revisions("fraud") == [revision(number) for number in (5, 4, 3, 2, 1)]
    assert registry.revisions("fraud", limit=2, before=4) == [revision(3), revision(2)]
    assert registry.revisions("fraud", before=1) == []


def test_endpoints_are_their_current_revisions_by_name(registry: Registry) -> None:
    assert registry.endpoints() == []
    registry.record(revision(1, "price"), "deploy")
    registry.record(revision(1), "deploy")
    registry.record(revision(2), "kill")
    assert registry.endpoints() == [revision(2), revision(1, "price")]


@pytest.mark.parametrize("number", [1, 2, 4, 0, -1])
def test_a_revision_that_does_not_follow_the_current_one_is_refused_and_nothing_changes(
    registry: Registry, number: int
) -> None:
    registry.record(revision(1), "deploy")
    registry.record(revision(2), "apply")
    with pytest.raises(Conflict, match="someone changed endpoint 'fraud' meanwhile: it is now at revision 2"):
        registry.record(replace(revision(number), reason="late"), "apply")
    assert registry.revisions("fraud") == [revision(2), revision(1)]
    assert len(registry.orders()) == 2


def test_the_first_revision_is_number_one(registry: Registry) -> None:
    with pytest.raises(Conflict, match="it does not exist"):
        registry.record(revision(2), "apply")
    assert registry.endpoints() == []


def test_orders_of_all_endpoints_come_newest_first_page_by_page(registry: Registry) -> None:
    for number in (1, 2, 3):
        registry.record(revision(number), "apply")
        registry.record(revision(number, "price"), "apply")
    everything = registry.orders()
    assert [order.id for order in everything] == sorted((order.id for order in everything), reverse=True)
    assert registry.orders(limit=2) + registry.orders(limit=4, before=everything[1].id) == everything
    assert [order.after for order in registry.orders("price", limit=2)] == [3, 2]
    assert registry.orders("price", before=everything[-1].id) == []


def test_a_wrong_endpoint_is_answered_with_the_right_ones(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no endpoint called 'fraud'; there is none yet"):
        registry.current("fraud")
    registry.record(revision(1), "deploy")
    registry.record(revision(1, "price"), "deploy")
    for ask in (registry.current, registry.revisions, registry.orders):
        with pytest.raises(
            NotFound, match=r"no endpoint called 'fruad'; did you mean 'fraud'\? there are: fraud, price"
        ):
            ask("fruad")
    with pytest.raises(NotFound, match="no endpoint called 'fruad'"):
        registry.revision("fruad", 1)
    with pytest.raises(NotFound, match="endpoint 'fraud' has no revision 2; it has only 1"):
        registry.revision("fraud", 2)


def test_an_endpoint_name_is_checked(registry: Registry) -> None:
    with pytest.raises(BadInput, match="cannot name an endpoint"):
        registry.record(revision(1, "Fraud/../.."), "deploy")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (replace(revision(1), policy=Policy(outcome_window_s=math.nan)), "policy cannot be kept"),
        (replace(revision(1), policy=Policy(fallback={"decision": math.inf})), "policy cannot be kept"),
        (replace(revision(1), policy=Policy(fallback={"since": date(2008, 5, 5)})), "policy cannot be kept as it is"),
        (replace(revision(1), policy=Policy(fallback={"decision": object()})), "policy cannot be kept"),
        (replace(revision(1), arms=(replace(ARM, traffic=math.inf),)), "arms cannot be kept"),
        (replace(revision(1), reason="\0"), "reason holds a zero character"),
        (replace(revision(1), author="\udc00"), "author is no valid Unicode text"),
    ],
)
def test_a_revision_that_would_not_read_back_equal_is_refused(registry: Registry, bad: Revision, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        registry.record(bad, "deploy")
    assert registry.endpoints() == []
    assert registry.orders() == []


def test_evidence_that_cannot_be_kept_refuses_the_whole_order(registry: Registry) -> None:
    with pytest.raises(BadInput, match="evidence cannot be kept"):
        registry.record(revision(1), "deploy", {"model": object()})
    assert registry.endpoints() == []


def test_findings_are_kept_with_growing_ids_and_come_newest_first(registry: Registry) -> None:
    kept = [
        registry.add_finding("fraud", at_us=n, monitor="drift", severity="alarm", text="größer", data={"psi": n / 3})
        for n in range(5)
    ]
    other = registry.add_finding("price", at_us=9, monitor="drift", severity="info", text="still")
    assert registry.findings("fraud") == kept[::-1]
    assert registry.findings() == [other, *kept[::-1]]
    assert registry.findings("fraud", limit=2, before=kept[3].id) == [kept[2], kept[1]]
    assert registry.findings("nothing-found") == []


def test_a_severity_is_one_of_three(registry: Registry) -> None:
    with pytest.raises(BadInput, match="severity is 'bad'; expected one of info, warning, alarm"):
        registry.add_finding("fraud", at_us=1, monitor="drift", severity="bad", text="")
