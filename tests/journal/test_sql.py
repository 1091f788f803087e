"""Anybody may ask; nobody gets out of the cell."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from payoff.errors import BadInput, Busy, TooLarge
from payoff.journal import guard
from payoff.journal.cell import locked_down
from payoff.journal.compact import compact
from payoff.journal.sandbox import Answer
from payoff.journal.snapshot import Snapshots
from tests.journal.conftest import ENDPOINT, House
from tests.shared import PATIENCE_S

SECRET = pa.table({"key": ["the caller's own variable"]})


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("home"))
    writer = house.writer()
    made = house.answer(writer, range(10))
    house.learn(writer, made[:4], [True] * 4, [2.5] * 4)
    writer.close()
    compact(house.home)
    house.answer(house.writer(), range(10, 15))
    yield house
    house.writers[-1].close()
    house.journal.close()


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as database:
        yield database


def ask(house: House, text: str, rows_max: int = 10_000) -> Answer:
    """With all the time that this machine may take to start a process."""
    return house.journal.sql(text, rows_max, PATIENCE_S)


def test_a_question_over_tables_and_fresh_segments_is_answered(filled: House) -> None:
    answer = ask(
        filled,
        """
        select count(*) as n, avg(outputs.probability) as p, sum(o."value") as money,
               min(predictions.time) is not null as dated
        from predictions left join outcomes o on o.prediction_id = predictions.id""",
    )
    assert answer.table.to_pylist() == [{"n": 15, "p": pytest.approx(0.07), "money": 10.0, "dated": True}]
    assert not answer.truncated


def test_more_rows_than_the_limit_are_cut_and_it_is_said(filled: House) -> None:
    answer = ask(filled, "select id from predictions order by id", 7)
    assert (answer.table.num_rows, answer.truncated) == (7, True)


@pytest.mark.parametrize("text", [
    "describe predictions", "show tables", "summarize outcomes", "table outcomes", f'from "{ENDPOINT}".shadows',
    "with recent as (select * from predictions limit 1) select count(*) from recent",
    "select unnest([1, 2])", "select * from range(3)", "select decision, count(*) from predictions group by all;",
    "select list_transform(violations, x -> upper(x)) from predictions",
    "select inputs.job, row_number() over (order by id) from predictions qualify row_number() over (order by id) < 3",
])  # fmt: skip
def test_plain_questions_pass_the_guard(database: duckdb.DuckDBPyConnection, text: str) -> None:
    assert guard.check(database, text) == text


@pytest.mark.parametrize("text", [
    "", ";", "selec 1", "select 1; select 2", "insert into predictions select * from predictions",
    "create table x as select 1", "create view x as select 1", "drop view predictions", "update x set y = 1",
    "delete from predictions", "copy (select 1) to '/tmp/x'", "copy predictions to 'x.parquet'",
    "export database 'x'", "import database 'x'", "attach 'x.db'", "detach x", "use x", "install httpfs", "load httpfs",
    "set threads = 1", "set enable_external_access = true", "reset threads", "pragma version",
    "pragma enable_profiling",
    "call pragma_version()", "checkpoint", "vacuum", "analyze", "begin", "prepare v as select 1", "execute v",
    "explain select 1", "explain analyze copy (select 1) to 'x'", "pivot predictions on model using count(*)",
    "select * from read_csv('/etc/passwd')", "select * from read_text('/etc/passwd')", "from read_blob('/etc/passwd')",
    "from read_parquet('/etc/passwd')", "from parquet_metadata('x')", "from glob('/etc/*')", "from sniff_csv('x')",
    "from read_json('/etc/passwd')", "from READ_TEXT('/etc/passwd')", "from \"read_text\"('/etc/passwd')",
    "select (select count(*) from read_text('/etc/passwd'))", "summarize select * from read_csv('/etc/passwd')",
    "with x as (from read_text('/etc/passwd')) select * from x",
    "select * from predictions, lateral (from glob(model))",
    "select 1 where exists (from read_text('/etc/passwd'))",
    "select 1 order by (select min(content) from read_text('x'))",
    "from query('select 42')", "from query('from read' || '_text(''/etc/passwd'')')", "from query_table('predictions')",
    "from arrow_scan(1::pointer, 2::pointer, 3::pointer)", "from arrow_scan_dumb(1, 2, 3)", "from pandas_scan(1)",
    "from python_map_function(1)", "from json_execute_serialized_sql('{}')", "from duckdb_settings()",
    "from duckdb_secrets()", "from enable_logging()", "from which_secret('s3://x', 's3')", "from read_duckdb('x')",
    "select " + "(" * 5000 + "1" + ")" * 5000, "select " + "1 + " * 50_000 + "1", "select '" + "x" * 200_000 + "'",
])  # fmt: skip
def test_anything_else_is_refused_in_words(database: duckdb.DuckDBPyConnection, text: str) -> None:
    with pytest.raises(BadInput) as refused:
        guard.check(database, text)
    assert len(str(refused.value)) < 800


@pytest.mark.parametrize("text", [
    "select * from read_csv('/etc/passwd')", "select * from read_text('{home}/payoff.db')", "from '/etc/passwd'",
    "from '{home}/payoff.db'", "from glob('/etc/*')", "from read_parquet('{home}/journal/*')", "from SECRET",
    "from query_table('SECRET')", "copy (select 1) to '{home}/x'", "copy (select 1) to '{file}'",
    "export database '{home}/x'", "attach '{home}/x.db'", "install httpfs", "load httpfs", "from 'https://example.com/x.csv'",
    "set enable_external_access = true", "set lock_configuration = false", "set allowed_paths = ['/etc/passwd']",
    "set memory_limit = '100GB'", "set temp_directory = '/tmp'", "set python_enable_replacements = true",
    "reset enable_external_access", "pragma enable_profiling = 'json'", "from enable_logging()",
    "select getenv('HOME')", "create secret (type s3)",
])  # fmt: skip
def test_the_engine_refuses_by_itself_what_the_guard_would_stop(filled: House, text: str) -> None:
    database = locked_down(Snapshots(filled.home).take(), 2.0, 256 << 20)
    file = next((filled.home / "tables").rglob("date=2*/*.parquet"))
    before = file.read_bytes()
    with pytest.raises(duckdb.Error):
        database.execute(text.format(home=filled.home, file=file)).fetchall()
    assert file.read_bytes() == before
    assert not (filled.home / "x").exists()
    assert not (filled.home / "x.db").exists()
    database.close()


@pytest.mark.parametrize(("text", "kind"), [
    ("select sum(hash(range)) from range(100000000000)", Busy),
    ("with recursive r as (select 1 as x union all select x + 1 from r) select count(*) from r", Busy),
    ("select repeat('x', 100000000) || range from range(1000)", (TooLarge, Busy)),
    ("select list(range) from range(1000000000)", (TooLarge, Busy)),
])  # fmt: skip
def test_what_would_exhaust_the_machine_is_stopped(filled: House, text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        filled.journal.sql(text, seconds_max=1.0)
    assert filled.journal.count(ENDPOINT)["predictions"] == 15


@pytest.mark.parametrize("text", [
    "from 'tables/x.parquet'", "select nothing from predictions", "select cast('x' as integer)", "from nowhere",
    "select cast(model as integer) from predictions",
])  # fmt: skip
def test_errors_help_and_do_not_name_the_home(filled: House, text: str) -> None:
    with pytest.raises(BadInput) as refused:
        ask(filled, text)
    assert str(filled.home) not in str(refused.value)
    assert str(refused.value)


def test_a_question_leaves_nothing_behind(filled: House) -> None:
    ask(filled, "select 1")
    assert [path for path in (filled.home / "run").rglob("*") if path.is_file()] == []
    assert Path(filled.home / "run").exists()


FULL = """
import resource, sys
from pathlib import Path
from payoff.errors import Unavailable
from payoff.journal.sandbox import ask
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    ask(Path(sys.argv[1]), "select count(*) from predictions", 10, 300.0)
except Unavailable as error:
    print(error)
"""


def test_a_full_disk_is_named_and_leaves_nothing(house: House) -> None:
    """The limit on the file's size stops the copy of the fresh rows, as a full disk does."""
    house.answer(house.writer(), [1, 2, 3])
    done = subprocess.run([sys.executable, "-c", FULL, str(house.home)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("copying the fresh rows for the query failed: ")
    assert "File too large; nothing was kept; raise the limit on file sizes" in done.stdout
    assert list((house.home / "run").glob("sql-*")) == []
    assert ask(house, "select count(*) as n from predictions", 10).table.to_pylist() == [{"n": 3}]
