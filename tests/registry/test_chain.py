"""The audit trail is a chain: an entry that was changed, removed or swapped breaks it, and the first such is named."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from payoff.records import Arm, Policy, Revision, Role, Served, Signature
from payoff.registry import Registry, connect
from payoff.registry.schema import MIGRATIONS
from payoff.store import database
from tests.registry.conftest import patient

ARM = Arm("champion", Role.CHAMPION, "fraud", 1, Served("onnx", "a" * 64, Signature((), ())))


def revision(number: int, endpoint: str = "fraud") -> Revision:
    return Revision(endpoint, number, number * 10, "Zoë", f"reason {number}", (ARM,), Policy(currency="NOK"))


@pytest.fixture
def trail(registry: Registry) -> Registry:
    """Six orders on two endpoints, by turns."""
    for number in (1, 2, 3):
        registry.record(revision(number), "apply", {"e_value": 12.5, "änderung": None})
        registry.record(revision(number, "price"), "kill")
    return registry


def tamper(url: str, *statements: str) -> None:
    engine = database.open(url)
    with database.writing(engine) as db:
        db.exec_driver_sql("pragma defer_foreign_keys = on")
        for statement in statements:
            db.exec_driver_sql(statement)
    engine.dispose()


def test_an_honest_trail_holds(trail: Registry) -> None:
    assert trail.verify_chain() is None
    assert trail.verify_chain(latest=2) is None
    orders = trail.orders()
    assert trail.chain_end() == orders[0].chain
    assert len({order.chain for order in orders}) == 6
    assert all(len(order.chain) == 64 for order in orders)


def test_a_trail_without_orders_holds(registry: Registry) -> None:
    assert registry.verify_chain() is None
    assert registry.chain_end() == ""


@pytest.mark.parametrize(
    ("statement", "id"),
    [
        ("update orders set reason = 'a better one' where id = 3", 3),
        ("update orders set author = 'nobody' where id = 1", 1),
        ("update orders set at_us = at_us + 1 where id = 6", 6),
        ("update orders set verb = 'promote' where id = 2", 2),
        ("update orders set evidence = '{}' where id = 3", 3),
        ("update orders set chain = (select chain from orders where id = 4) where id = 5", 5),
        ("update revisions set policy = '{}' where endpoint = 'fraud' and number = 2", 3),
        ("update revisions set arms = '[]' where endpoint = 'price' and number = 3", 6),
        ("update revisions set author = 'nobody' where endpoint = 'price' and number = 1", 2),
        ("delete from orders where id = 4", 5),
    ],
)
def test_the_first_order_that_was_changed_is_named(trail: Registry, url: str, statement: str, id: int) -> None:
    tamper(url, statement)
    broken = trail.verify_chain()
    assert broken is not None
    assert broken.order.id == id
    assert f"order {id} (" in broken.text
    assert "is not what was recorded, or the one before it is missing" in broken.text


def test_orders_that_changed_places_are_found(trail: Registry, url: str) -> None:
    tamper(url, "update orders set id = 99 where id = 3", "update orders set id = 3 where id = 4",
           "update orders set id = 4 where id = 99")  # fmt: skip
    broken = trail.verify_chain()
    assert broken is not None
    assert broken.order.id == 3


def test_a_last_order_that_was_removed_shows_in_its_endpoint(trail: Registry, url: str) -> None:
    tamper(url, "delete from orders where id = 6")
    broken = trail.verify_chain()
    assert broken is not None
    assert broken.text == (
        "after order 4 (kill of price by Zoë, revision 2) an order is missing: price is at revision 3"
    )


def test_looking_at_the_latest_only_leaves_the_older_ones_alone(trail: Registry, url: str) -> None:
    tamper(url, "update orders set reason = 'a better one' where id = 2")
    assert trail.verify_chain(latest=3) is None
    assert trail.verify_chain() is not None


def test_a_trail_longer_than_a_page_holds_and_breaks(registry: Registry, url: str) -> None:
    for number in range(1, 451):
        registry.record(revision(number), "apply")
    assert registry.verify_chain() is None
    tamper(url, "update orders set reason = '' where id = 333")
    broken = registry.verify_chain()
    assert broken is not None
    assert broken.order == replace(registry.orders(limit=1, before=334)[0])
    assert broken.order.after == 333


def test_orders_given_at_once_make_one_chain(url: str) -> None:
    registries = [patient(url) for _ in range(4)]

    def give(n: int) -> None:
        for number in range(1, 11):
            registries[n].record(revision(number, f"endpoint-{n}"), "apply")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(give, range(4)))
    assert len(registries[0].orders()) == 40
    assert registries[0].verify_chain() is None


def test_a_trail_from_before_there_was_a_chain_gets_one(trail: Registry, url: str) -> None:
    before = trail.orders()
    engine = database.open(url)
    database.downgrade(engine, MIGRATIONS, "0002")
    assert "chain" not in {column["name"] for column in sa.inspect(engine).get_columns("orders")}
    later = connect(url)
    assert later.verify_chain() is None
    assert later.orders() == before
    later.record(revision(4), "apply")
    assert later.verify_chain() is None
