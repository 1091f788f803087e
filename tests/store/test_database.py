"""The metadata database: transactions that hold, schemas that move whole, refusals in words."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from payoff.errors import BadInput, Conflict, Unavailable
from payoff.store import database
from payoff.store.database import reading, writing
from tests.shared import PATIENCE_S

AtOnce = Callable[[list[list[str]]], list[str]]

ENV = """
from alembic import context
context.configure(target_metadata=None, **context.config.attributes["options"])
with context.begin_transaction():
    context.run_migrations()
"""

FIRST = """
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.execute("create table parent (id integer primary key, name text)")
    op.execute("create table child (id integer primary key, parent integer references parent(id) on delete cascade)")
def downgrade():
    op.execute("drop table child")
    op.execute("drop table parent")
"""

REBUILD = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    with op.batch_alter_table("parent", recreate="always") as table:
        table.alter_column("name", type_=sa.String(10), nullable=False)
def downgrade(): ...
"""

BROKEN = """
from alembic import op
revision, down_revision = "0003", "0002"
def upgrade():
    op.execute("create table half (id integer)")
    op.execute("insert into parent values (7, 'seven')")
    op.execute("this is no SQL")
def downgrade(): ...
"""

ORPHAN = """
from alembic import op
revision, down_revision = "0003", "0002"
def upgrade(): op.execute("delete from parent")
def downgrade(): ...
"""


def scripts(folder: Path, *versions: str) -> Path:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    for number, text in enumerate(versions):
        (folder / "versions" / f"v{number}.py").write_text(text)
    return folder


def opened(home: Path, **options: float) -> sa.Engine:
    return database.open(f"sqlite:///{home}/payoff.db", **options)  # type: ignore[arg-type]


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    engine = opened(tmp_path, busy_s=PATIENCE_S)
    with writing(engine) as db:
        db.exec_driver_sql("create table n (value integer primary key)")
    return engine


def values(engine: sa.Engine) -> list[int]:
    with reading(engine) as db:
        return list(db.exec_driver_sql("select value from n order by value").scalars())


def test_sqlite_runs_in_wal_mode_with_foreign_keys_for_its_owner_only(tmp_path: Path) -> None:
    engine = opened(tmp_path / "home" / "deep", sync=True)
    with writing(engine) as db:
        db.exec_driver_sql("create table t (x integer)")
        found = [
            db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
    assert found == ["wal", 1, 2]
    files = list((tmp_path / "home" / "deep").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {(tmp_path / "home").stat().st_mode & 0o777, files[0].parent.stat().st_mode & 0o777} == {0o700}


def test_what_the_body_raises_takes_the_whole_transaction_back(engine: sa.Engine) -> None:
    def half() -> None:
        with writing(engine) as db:
            db.exec_driver_sql("insert into n values (1)")
            db.exec_driver_sql("create table half (x integer)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert values(engine) == []
    assert tables(engine) == {"n"}


def test_what_a_writer_reads_stays_true_until_it_commits(engine: sa.Engine) -> None:
    def add_next(_: int) -> None:
        with writing(engine) as db:
            last = db.exec_driver_sql("select coalesce(max(value), 0) from n").scalar_one()
            db.exec_driver_sql("insert into n values (?)", (last + 1,))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add_next, range(100)))
    assert values(engine) == list(range(1, 101))


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_its_work(engine: sa.Engine) -> None:
    with writing(engine) as db:
        db.exec_driver_sql("insert into n values (1)")
        assert values(engine) == []
    assert values(engine) == [1]


def test_a_writer_that_waits_too_long_is_told_why(engine: sa.Engine, tmp_path: Path) -> None:
    impatient = opened(tmp_path, busy_s=0.02)
    said = r"locked.*another process has been writing"
    with writing(engine), pytest.raises(Unavailable, match=said), writing(impatient):
        pass


def test_a_value_that_fits_no_column_is_bad_input(engine: sa.Engine) -> None:
    with pytest.raises(BadInput, match="does not fit"), writing(engine) as db:
        db.exec_driver_sql("insert into n values (?)", (2**63,))


@pytest.mark.parametrize("url", ["", "payoff.db", "no://such", "sqlite:/", "postgresql+nodriver://h/d"])
def test_a_url_that_is_none_is_answered_with_one_that_is(url: str) -> None:
    with pytest.raises(BadInput, match="expected sqlite:////path"):
        database.open(url)


@pytest.mark.parametrize("url", ["sqlite://me:secret@/x", "postgres//me:secret@h", "no://me:secret@h/d", "x:secret@h"])
def test_a_password_is_never_repeated(url: str) -> None:
    with pytest.raises(BadInput) as refusal:
        database.open(url)
    assert "secret" not in str(refusal.value)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "payoff.db").write_bytes(b"a picture of a cat, not a database" * 100)
    with pytest.raises(Unavailable, match="the file is no SQLite database"):
        database.schema(opened(tmp_path))


def test_a_path_that_cannot_be_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "payoff.db").mkdir()
    with pytest.raises(Unavailable, match="making the database"):
        opened(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="a file stands where a folder should be"):
        opened(tmp_path / "file" / "home")


def test_migrating_makes_the_schema_and_migrating_again_does_nothing(tmp_path: Path) -> None:
    engine, folder = opened(tmp_path), scripts(tmp_path / "scripts", FIRST)
    database.migrate(engine, folder)
    before = (tmp_path / "payoff.db-wal").stat().st_size
    database.migrate(engine, folder)
    assert tables(engine) == {"parent", "child", database.SCHEMA_TABLE}
    assert database.schema(engine) == {"0001"}
    assert (tmp_path / "payoff.db-wal").stat().st_size == before


def test_a_table_that_others_refer_to_is_rebuilt_without_losing_a_row(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    database.migrate(engine, scripts(tmp_path / "old", FIRST))
    with writing(engine) as db:
        db.exec_driver_sql("insert into parent values (1, 'one')")
        db.exec_driver_sql("insert into child values (1, 1)")
    database.migrate(engine, scripts(tmp_path / "new", FIRST, REBUILD))
    with reading(engine) as db:
        assert db.exec_driver_sql("select * from child join parent on parent.id = parent").all() == [(1, 1, 1, "one")]
        assert db.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize(("bad", "said"), [(BROKEN, "syntax error"), (ORPHAN, "1 rows that refer to nothing")])
def test_a_migration_that_fails_changes_nothing(tmp_path: Path, bad: str, said: str) -> None:
    engine = opened(tmp_path)
    database.migrate(engine, scripts(tmp_path / "old", FIRST))
    with writing(engine) as db:
        db.exec_driver_sql("insert into parent values (1, 'one')")
        db.exec_driver_sql("insert into child values (1, 1)")
    with pytest.raises(Unavailable, match=said):
        database.migrate(engine, scripts(tmp_path / "new", FIRST, REBUILD, bad))
    assert database.schema(engine) == {"0001"}
    assert tables(engine) == {"parent", "child", database.SCHEMA_TABLE}
    with reading(engine) as db:
        assert db.exec_driver_sql("select count(*) from parent").scalar() == 1


def test_a_database_from_a_newer_payoff_is_refused_and_left_alone(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    database.migrate(engine, scripts(tmp_path / "new", FIRST, REBUILD))
    with pytest.raises(Conflict, match=r"newer payoff: its schema is 0002, this payoff knows up to 0001"):
        database.migrate(engine, scripts(tmp_path / "old", FIRST))
    assert database.schema(engine) == {"0002"}


MIGRATE = """
import sys
from pathlib import Path
from payoff.store import database
import alembic.command
print("ready", flush=True)
sys.stdin.readline()
database.migrate(database.open(sys.argv[1], busy_s=300), Path(sys.argv[2]))
"""


def test_many_that_start_at_once_migrate_once(tmp_path: Path, at_once: AtOnce) -> None:
    folder, url = scripts(tmp_path / "scripts", FIRST), f"sqlite:///{tmp_path}/payoff.db"
    command = [sys.executable, "-c", MIGRATE, url, str(folder)]
    assert at_once([command] * 4) == [""] * 4
    assert tables(database.open(url)) == {"parent", "child", database.SCHEMA_TABLE}


NEW = """
import sys
from payoff.store import database
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    with database.reading(database.open(f"sqlite:///{sys.argv[1]}/{number}.db", busy_s=300)) as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
"""


def test_many_that_open_a_new_database_at_once_all_get_it(tmp_path: Path, at_once: AtOnce) -> None:
    assert at_once([[sys.executable, "-c", NEW, str(tmp_path)]] * 6) == [""] * 6


FULL = """
import resource, sys
from payoff.errors import Unavailable
from payoff.store import database
engine = database.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for number in range(1, 1000):
    try:
        with database.writing(engine) as db:
            db.exec_driver_sql("insert into n values (?)", (2 * number,))
            db.exec_driver_sql("insert into n values (?)", (2 * number + 1,))
            db.exec_driver_sql("create table t%d as select zeroblob(5000) as filler" % number)
    except Unavailable as error:
        print(number, error)
        break
"""


def test_a_disk_that_takes_no_more_is_told_and_no_transaction_is_kept_half(engine: sa.Engine, tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, f"sqlite:///{tmp_path}/payoff.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    number, told = done.stdout.split(" ", 1)
    assert "nothing was changed" in told
    assert "make room" in told
    assert values(engine) == list(range(2, 2 * int(number)))


CRASH = """
import sys
from payoff.store import database
engine, number = database.open(sys.argv[1]), 0
while True:
    with database.writing(engine) as db:
        db.exec_driver_sql("insert into n values (?)", (2 * number,))
        db.exec_driver_sql("insert into n values (?)", (2 * number + 1,))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("lines", [1, 3, 20])
def test_what_was_committed_survives_a_kill_and_the_rest_is_not_there(
    engine: sa.Engine, tmp_path: Path, lines: int
) -> None:
    command = [sys.executable, "-c", CRASH, f"sqlite:///{tmp_path}/payoff.db"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        last = [int(child.stdout.readline()) for _ in range(lines)][-1]
        child.kill()
    found = values(engine)
    assert found == list(range(len(found)))
    assert len(found) % 2 == 0
    assert len(found) >= 2 * (last + 1)


def test_a_database_in_memory_works_for_a_quick_look() -> None:
    engine = database.open("sqlite://")
    with writing(engine) as db:
        db.exec_driver_sql("create table t (x integer)")
    assert tables(engine) == {"t"}


def test_the_file_is_plain_sqlite_that_any_tool_opens(engine: sa.Engine, tmp_path: Path) -> None:
    with writing(engine) as db:
        db.exec_driver_sql("insert into n values (1)")
    with sqlite3.connect(os.fspath(tmp_path / "payoff.db")) as plain:
        assert plain.execute("select * from n").fetchall() == [(1,)]
    plain.close()
