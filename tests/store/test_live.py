"""The files between the control plane and the workers."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput, Unavailable
from payoff.records import Arm, Field, Guard, Policy, Revision, Role, Rule, Served, Signature, Type
from payoff.store import live
from payoff.store.live import Live
from tests.shared import PATIENCE_S

AtOnce = Callable[[list[list[str]]], list[str]]

SIGNATURE = Signature((Field("age", Type.INT64), Field("when", Type.DATE, (2, 3), True)), (Field("label", Type.TEXT),))
SERVED = Served("onnx", "a" * 64, SIGNATURE, "b" * 64)
FIRST = Revision(
    endpoint="term-deposit",
    number=1,
    created_at_us=1_200_000_000_000_000,
    author="Zoë",
    reason="première",
    arms=(
        Arm("champion", Role.CHAMPION, "term-deposit", 1, SERVED),
        Arm("dead", Role.KILLED, "term-deposit", 2, SERVED, 0.1, Role.CHALLENGER),
    ),
    policy=Policy(decision="outputs.p > 0.07", rules=(Rule("age > 17"),), guards=(Guard("loses money", "kill"),)),
)


def numbered(number: int, endpoint: str = "term-deposit") -> Revision:
    return replace(FIRST, number=number, endpoint=endpoint)


def test_what_is_published_reads_back_equal(tmp_path: Path) -> None:
    assert live.publish(tmp_path, FIRST, numbered(2))
    assert live.publish(tmp_path, None, numbered(1, "other.v2"))
    assert live.read_all(tmp_path) == {
        "term-deposit": Live(FIRST, numbered(2)),
        "other.v2": Live(None, numbered(1, "other.v2")),
    }


@given(
    reason=st.text(), fallback=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-9, 9) | st.text())
)
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, reason: str, fallback: dict[str, object]) -> None:
    home = tmp_path_factory.mktemp("home")
    revision = replace(FIRST, reason=reason, policy=replace(FIRST.policy, fallback=fallback))
    live.publish(home, revision)
    assert live.read_all(home) == {"term-deposit": Live(revision)}


def test_before_anything_is_published_there_is_nothing(tmp_path: Path) -> None:
    assert live.read_all(tmp_path) == {}
    assert live.stamp(tmp_path) == 0
    assert live.statuses(tmp_path) == []


def test_an_older_revision_never_replaces_a_newer_one(tmp_path: Path) -> None:
    live.publish(tmp_path, numbered(8))
    assert not live.publish(tmp_path, numbered(7))
    assert not live.publish(tmp_path, numbered(7), numbered(8))
    assert live.read_all(tmp_path) == {"term-deposit": Live(numbered(8))}
    assert live.publish(tmp_path, numbered(8), numbered(9))


def test_of_orders_given_at_once_the_last_one_holds_whoever_comes_last(tmp_path: Path) -> None:
    numbers = list(range(1, 101))
    random.Random(7).shuffle(numbers)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: live.publish(tmp_path, numbered(number)), numbers))
    assert live.read_all(tmp_path) == {"term-deposit": Live(numbered(100))}


def test_every_change_has_a_stamp_of_its_own_however_fast_they_come(tmp_path: Path) -> None:
    stamps = [live.stamp(tmp_path)]
    for number in range(1, 501):
        live.publish(tmp_path, numbered(number))
        stamps.append(live.stamp(tmp_path))
    live.withdraw(tmp_path, "term-deposit")
    stamps.append(live.stamp(tmp_path))
    live.publish_all(tmp_path, [])
    stamps.append(live.stamp(tmp_path))
    live.remove(tmp_path, "term-deposit")
    stamps.append(live.stamp(tmp_path))
    assert stamps == sorted(set(stamps))


FOLLOW = """
import sys
from pathlib import Path
from payoff.store import live
home, last, seen, stamp = Path(sys.argv[1]), int(sys.argv[2]), {}, -1
print("following", flush=True)
while set(seen.values()) != {last} or len(seen) < 2:
    if (now := live.stamp(home)) == stamp:
        continue
    stamp = now
    for endpoint, found in live.read_all(home).items():
        assert isinstance(found, live.Live), found
        assert found.current.number >= seen.get(endpoint, 0)
        seen[endpoint] = found.current.number
print("seen", flush=True)
"""


def test_a_reader_that_looks_only_at_the_stamp_misses_nothing_and_reads_nothing_half(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FOLLOW, str(tmp_path), "300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "following\n"
        try:
            with ThreadPoolExecutor(2) as threads:
                list(threads.map(lambda endpoint: publish_many(tmp_path, endpoint, 300), ["a", "b"]))
            assert reader.communicate(timeout=PATIENCE_S)[0] == "seen\n"
        finally:
            reader.kill()
    assert reader.returncode == 0


def publish_many(home: Path, endpoint: str, last: int) -> None:
    for number in range(1, last + 1):
        live.publish(home, numbered(number, endpoint))


COUNT = """
import sys
from pathlib import Path
from payoff.records import Revision
from payoff.store import live
print("ready", flush=True)
sys.stdin.readline()
for number in range(1, 501):
    assert live.publish(Path(sys.argv[1]), Revision(sys.argv[2], number, 0, "me", "", ()))
"""


def test_changes_by_several_processes_are_counted_one_by_one(tmp_path: Path, at_once: AtOnce) -> None:
    commands = [[sys.executable, "-c", COUNT, str(tmp_path), endpoint] for endpoint in ("a", "b", "c")]
    assert at_once(commands) == [""] * 3
    assert live.stamp(tmp_path) == 1500


PUBLISH = """
import sys
from dataclasses import replace
from pathlib import Path
from payoff.records import Revision
from payoff.store import live
revision = Revision("e", 1, 0, "me", "x" * 100_000, ())
for number in range(1, 1_000_000):
    live.publish(Path(sys.argv[1]), replace(revision, number=number))
    print(number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 2, 5, 17])
def test_a_publisher_killed_at_any_moment_leaves_whole_files_and_no_lock(tmp_path: Path, lines: int) -> None:
    command = [sys.executable, "-c", PUBLISH, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdout is not None
        last = [int(publisher.stdout.readline()) for _ in range(lines)][-1]
        publisher.kill()
    found = live.read_all(tmp_path)["e"]
    assert isinstance(found, Live)
    assert found.current is not None
    assert found.current.number >= last
    assert live.publish(tmp_path, numbered(1_000_000, "e"))
    live.publish_all(tmp_path, [numbered(1, "e")])
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == [".changes", "e.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"current": 1}', b'{"current": null}', b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path: Path, content: bytes) -> None:
    live.publish(tmp_path, FIRST)
    (tmp_path / "live" / "torn.json").write_bytes(content)
    (tmp_path / "live" / ".half.json.tmp").write_bytes(content)
    found = live.read_all(tmp_path)
    assert found["term-deposit"] == Live(FIRST)
    assert isinstance(found["torn"], str)
    assert "torn.json cannot be read" in found["torn"]
    assert sorted(found) == ["term-deposit", "torn"]


def test_a_file_that_cannot_be_read_is_replaced_by_the_next_publish(tmp_path: Path) -> None:
    live.publish(tmp_path, numbered(9))
    (tmp_path / "live" / "term-deposit.json").write_bytes(b"{")
    assert live.publish(tmp_path, FIRST)
    assert live.read_all(tmp_path) == {"term-deposit": Live(FIRST)}


def test_a_file_renamed_by_hand_is_not_another_endpoint(tmp_path: Path) -> None:
    live.publish(tmp_path, FIRST)
    (tmp_path / "live" / "term-deposit.json").rename(tmp_path / "live" / "other.json")
    assert live.read_all(tmp_path) == {"other": "other.json is about 'term-deposit'; it was renamed by hand"}


def test_at_the_start_the_files_say_what_the_database_says(tmp_path: Path) -> None:
    live.publish(tmp_path, numbered(9), numbered(10))
    live.publish(tmp_path, numbered(1, "gone"))
    (tmp_path / "live" / ".gone.json.1.1.tmp").write_bytes(b"half")
    live.publish_all(tmp_path, [numbered(5), numbered(1, "new")])
    assert live.read_all(tmp_path) == {"term-deposit": Live(numbered(5)), "new": Live(numbered(1, "new"))}
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == [".changes", "new.json", "term-deposit.json"]


def test_withdrawing_what_was_to_be_made_ready_leaves_what_is_served(tmp_path: Path) -> None:
    live.publish(tmp_path, FIRST, numbered(2))
    live.publish(tmp_path, None, numbered(1, "new"))
    live.withdraw(tmp_path, "term-deposit")
    live.withdraw(tmp_path, "new")
    live.withdraw(tmp_path, "never-there")
    assert live.read_all(tmp_path) == {"term-deposit": Live(FIRST)}


def test_a_removed_endpoint_is_gone_and_may_start_again_at_one(tmp_path: Path) -> None:
    live.publish(tmp_path, numbered(9))
    live.remove(tmp_path, "term-deposit")
    live.remove(tmp_path, "term-deposit")
    assert live.read_all(tmp_path) == {}
    assert live.publish(tmp_path, FIRST)


def test_no_name_becomes_a_path_elsewhere(tmp_path: Path) -> None:
    for name in ("../evil", ".changes", "a/b", ""):
        with pytest.raises(BadInput):
            live.publish(tmp_path, numbered(1, name))
        with pytest.raises(BadInput):
            live.remove(tmp_path, name)


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    live.publish(tmp_path / "home", FIRST)
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "home" / "live").iterdir()} == {0o600}


FULL = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from payoff.errors import Unavailable
from payoff.records import Revision
from payoff.store import live
home, revision = Path(sys.argv[1]), Revision("e", 1, 0, "me", "small", ())
live.publish(home, revision)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    live.publish(home, replace(revision, number=2, reason="x" * 100_000))
except Unavailable as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_is_told_and_the_old_revision_stays(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert live.read_all(tmp_path) == {"e": Live(Revision("e", 1, 0, "me", "small", ()))}
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == [".changes", "e.json"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "live").write_bytes(b"")
    with pytest.raises(Unavailable, match="a file stands where a folder should be"):
        live.publish(tmp_path, FIRST)


HEAVY = """
import sys
import payoff.store.blobs, payoff.store.live
print(sorted({"sqlalchemy", "alembic", "pyarrow", "duckdb", "asyncio"} & set(sys.modules)))
"""


def test_a_worker_that_takes_live_and_blobs_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_reader_sees_every_change_and_reads_what_is_unchanged_only_once(tmp_path: Path) -> None:
    live.publish(tmp_path, numbered(1, "a"))
    live.publish(tmp_path, numbered(1, "b"))
    old = time.time() - 60
    for path in (tmp_path / "live").glob("*.json"):
        os.utime(path, (old, old))
    reader = live.Reader(tmp_path)
    before = reader.read()
    for number in range(2, 30):  # many within one tick of the file system's clock
        live.publish(tmp_path, numbered(number, "b"))
        now = reader.read()
        assert now["a"] is before["a"]
        assert now["b"] == live.Live(numbered(number, "b"))
    live.remove(tmp_path, "b")
    assert reader.read() == {"a": before["a"]}
