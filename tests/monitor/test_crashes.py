"""A version that crashed out of a worker is killed once, with the worker's words, where a fallback can answer."""

import os

import pyarrow.parquet as pq
import pytest

from payoff.deploy import Desk
from payoff.records import Role
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.monitor.home import CHALLENGER, Home

WORDS = "its process ended three times in a row: signal SIGSEGV"
NO_FALLBACK = """
endpoint: bank
arms:
  champion: {model: m, version: 1}
"""
SHADOW = "  shadow: {model: m, version: 3}"


@pytest.fixture
def crashing(home: Home) -> Home:
    """A home whose orders do not wait long for a worker that only a test speaks for."""
    home.desk = Desk(home.path, home.registry, home.clock, serving_timeout_s=0.02)
    home.watch = home.another_watch()
    return home


def say(home: Home, *arms: str, number: int | None = None) -> None:
    """What worker 0 reports: it serves the current revision (or that one), and these arms are out."""
    number = home.registry.current("bank").number if number is None else number
    out = {"bank": dict.fromkeys(arms, WORDS)}
    live.report(home.path, 0, live.Status(0, os.getpid(), live.boot_id(), 1, {"bank": number}, out=out))


def roles(home: Home) -> dict[int, Role]:
    return {arm.version: arm.role for arm in home.registry.current("bank").arms}


def test_a_champion_that_is_out_is_killed_once_with_the_words_of_the_worker(crashing: Home) -> None:
    crashing.apply()
    say(crashing, "champion")
    for watch in (crashing.watch, crashing.watch, crashing.another_watch()):
        watch.look()
    (order,) = crashing.orders()
    assert (order.verb, order.author, order.reason) == ("kill", "guard: keeps crashing", WORDS)
    assert order.evidence["worker"] == 0
    assert roles(crashing) == {1: Role.KILLED}
    (text,) = crashing.findings()
    assert text.startswith(f"m v1 is out on bank: worker 0 says '{WORDS}'. It is killed and the fallback answers")


def test_the_newest_predictions_are_frozen_with_the_kill(crashing: Home) -> None:
    crashing.apply()
    ids = crashing.answer([True] * 5)
    say(crashing, "champion")
    crashing.look()
    (order,) = crashing.orders()
    table = pq.read_table(Blobs(crashing.path / "artifacts").path(order.evidence["rows"]))
    assert sorted(map(str, table["id"].to_pylist())) == ids
    assert [one["verb"] for one in order.evidence["changed"]["orders"]] == ["apply"]


def test_a_challenger_that_is_out_is_killed_and_the_champion_stays(crashing: Home) -> None:
    crashing.apply(more=CHALLENGER)
    say(crashing, "challenger")
    crashing.look()
    assert roles(crashing) == {1: Role.CHAMPION, 2: Role.KILLED}


def test_where_there_is_no_fallback_it_is_only_told(crashing: Home) -> None:
    crashing.desk.give("bank", "apply", author="me", file=NO_FALLBACK)
    say(crashing, "champion")
    crashing.look()
    crashing.look()
    assert crashing.orders() == []
    (text,) = crashing.findings()
    assert "There is no fallback to answer instead" in text


def test_a_shadow_that_is_out_is_only_told(crashing: Home) -> None:
    crashing.apply(more=SHADOW)
    say(crashing, "shadow")
    crashing.look()
    assert crashing.orders() == []
    assert "It only watched" in crashing.findings()[0]


def test_a_revived_version_is_not_judged_by_what_was_said_of_its_life_before(crashing: Home) -> None:
    crashing.apply()
    say(crashing, "champion")
    crashing.look()
    killed = crashing.registry.current("bank").number
    crashing.give("revive")
    say(crashing, "champion", number=killed)
    crashing.look()
    assert roles(crashing) == {1: Role.CHAMPION}
    say(crashing, "champion")
    crashing.look()
    assert roles(crashing) == {1: Role.KILLED}
    assert len(crashing.orders()) == len(crashing.findings()) == 2
