"""Several people, processes and guards at the same registry at the same time."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from payoff.errors import Conflict
from payoff.records import Revision, Served, Signature
from payoff.registry import Registry, connect
from payoff.registry.schema import endpoints, revisions
from payoff.store import database

AtOnce = Callable[[list[list[str]]], list[str]]

SERVED = Served("onnx", "c" * 64, Signature((), ()))


def revision(number: int, author: str = "me") -> Revision:
    return Revision("fraud", number, 1, author, "because", ())


def test_of_many_threads_that_record_the_same_number_one_wins_and_the_others_are_told(registry: Registry) -> None:
    def try_to(author: str) -> str:
        try:
            return f"revision {registry.record(revision(1, author), 'apply').after}"
        except Conflict as conflict:
            return str(conflict)

    with ThreadPoolExecutor(8) as threads:
        said = Counter(threads.map(try_to, [f"thread {number}" for number in range(16)]))
    assert said.pop("revision 1") == 1
    assert len(said) == 1
    assert "it is now at revision 1, and this change would make revision 1" in next(iter(said))
    assert len(registry.orders()) == 1


RECORD = """
import sys
from payoff.errors import Conflict
from payoff.records import Revision
from tests.registry.conftest import patient
registry, won = patient(sys.argv[1]), 0
print("ready", flush=True)
sys.stdin.readline()
while won < 20:
    now = registry.endpoints()
    number = now[0].number + 1 if now else 1
    try:
        registry.record(Revision("fraud", number, number, sys.argv[2], "because", ()), "apply")
        won += 1
    except Conflict:
        pass
"""


def test_processes_that_record_at_once_never_lose_or_repeat_a_revision(
    registry: Registry, url: str, at_once: AtOnce
) -> None:
    commands = [[sys.executable, "-c", RECORD, url, f"process {number}"] for number in range(3)]
    assert at_once(commands) == [""] * 3
    made = registry.revisions("fraud", limit=1000)
    assert [one.number for one in made] == list(range(60, 0, -1))
    assert Counter(one.author for one in made) == {f"process {number}": 20 for number in range(3)}
    orders = registry.orders(limit=1000)
    assert [(order.before, order.after) for order in orders] == [(n - 1 or None, n) for n in range(60, 0, -1)]


def test_the_same_artefact_registered_by_many_at_once_is_one_version(registry: Registry) -> None:
    def register(digest: str) -> int:
        return registry.register(
            "fraud", digest=digest * 64, flavor="onnx", served=SERVED, size_bytes=1, author="me", now_us=1
        ).number

    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(register, "abcd" * 10))
    assert sorted(set(numbers)) == [1, 2, 3, 4]
    assert all(numbers[place] == numbers[place % 4] for place in range(40))
    assert len(registry.versions("fraud")) == 4


def test_the_constraint_has_the_last_word_where_several_may_write(registry: Registry, url: str) -> None:
    """What PostgreSQL does to the slower of two: its revision is there already when it comes to write its own."""
    registry.record(revision(1), "deploy")
    with database.writing(database.open(url)) as db:
        row = {"endpoint": "fraud", "number": 2, "created_at_us": 1, "author": "faster", "reason": ""}
        db.execute(revisions.insert().values(**row, arms="[]", policy="{}"))
    with pytest.raises(Conflict, match="someone changed endpoint 'fraud' meanwhile"):
        registry.record(revision(2), "apply")
    assert len(registry.orders()) == 1


CRASH = """
import sys
from payoff.records import Revision
from payoff.registry import connect
registry, number = connect(sys.argv[1]), 0
while True:
    number += 1
    registry.record(Revision("fraud", number, 1, "me", "because", ()), "apply")
    print(number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 9])
def test_a_kill_at_any_moment_leaves_revision_order_and_pointer_together(
    registry: Registry, url: str, lines: int
) -> None:
    with subprocess.Popen([sys.executable, "-c", CRASH, url], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        last = [int(child.stdout.readline()) for _ in range(lines)][-1]
        child.kill()
    now = registry.current("fraud").number
    assert now >= last
    assert len(registry.revisions("fraud", limit=1000)) == len(registry.orders(limit=1000)) == now
    registry.record(revision(now + 1), "apply")


def test_a_pointer_never_points_at_nothing(registry: Registry, url: str) -> None:
    registry.record(revision(1), "deploy")
    with pytest.raises(Exception, match=r"(?i)foreign key"), database.writing(database.open(url)) as db:
        db.execute(endpoints.update().values(current=7))
    assert registry.current("fraud") == revision(1)


def test_a_registry_of_its_own_in_every_process_sees_the_others_at_once(url: str) -> None:
    one, other = connect(url), connect(url)
    one.record(revision(1), "deploy")
    assert other.current("fraud") == revision(1)


def test_a_new_home_is_made_by_connecting(tmp_path: Path) -> None:
    assert connect(f"sqlite:///{tmp_path}/deep/home/payoff.db").endpoints() == []
