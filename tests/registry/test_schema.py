"""The schema and the migrations that lead to it and back."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from payoff.errors import Conflict
from payoff.registry import connect
from payoff.registry.schema import MIGRATIONS, metadata
from payoff.store import database


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return database.open(f"sqlite:///{tmp_path}/payoff.db")


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names())


def test_the_migrations_lead_to_the_tables_that_the_code_knows(engine: sa.Engine) -> None:
    database.migrate(engine, MIGRATIONS)
    with engine.connect() as connection:
        options = {"version_table": database.SCHEMA_TABLE, "compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_constraints_have_the_names_that_later_migrations_will_look_for(engine: sa.Engine, tmp_path: Path) -> None:
    database.migrate(engine, MIGRATIONS)
    fresh = database.open(f"sqlite:///{tmp_path}/fresh.db")
    metadata.create_all(fresh)
    assert _constraints(engine) == _constraints(fresh)


def _constraints(engine: sa.Engine) -> dict[str, list[str | None]]:
    look = sa.inspect(engine)
    return {
        table: [
            *sorted(str(key["name"]) for key in look.get_foreign_keys(table)),
            *sorted(str(key["name"]) for key in look.get_unique_constraints(table)),
            *sorted(str(index["name"]) for index in look.get_indexes(table)),
            look.get_pk_constraint(table)["name"],
        ]
        for table in metadata.tables
    }


def test_every_migration_can_be_taken_back_and_made_again(engine: sa.Engine) -> None:
    database.migrate(engine, MIGRATIONS)
    full = tables(engine)
    database.downgrade(engine, MIGRATIONS, "base")
    assert tables(engine) == {database.SCHEMA_TABLE}
    database.migrate(engine, MIGRATIONS)
    assert tables(engine) == full == {*metadata.tables, database.SCHEMA_TABLE}


def test_connecting_twice_finds_what_was_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/payoff.db"
    connect(url).add_finding("fraud", at_us=1, monitor="drift", severity="info", text="moved")
    assert len(connect(url).findings()) == 1


def test_a_database_from_a_newer_payoff_is_refused(engine: sa.Engine, tmp_path: Path) -> None:
    database.migrate(engine, MIGRATIONS)
    with database.writing(engine) as db:
        db.exec_driver_sql(f"update {database.SCHEMA_TABLE} set version_num = '9999'")
    with pytest.raises(Conflict, match=r"newer payoff: its schema is 9999.*use another --home"):
        connect(f"sqlite:///{tmp_path}/payoff.db")


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_every_table_can_be_made_in_postgresql_too(table: sa.Table) -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    made = str(CreateTable(table).compile(dialect=dialect))
    assert "AUTOINCREMENT" not in made
    assert ("id BIGSERIAL" in made) == ("id" in table.c)
    for index in table.indexes:
        assert str(CreateIndex(index).compile(dialect=dialect))


def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    registry = connect(f"sqlite:///{tmp_path}/payoff.db")
    last = registry.add_finding("fraud", at_us=1, monitor="drift", severity="info", text="moved").id
    with database.writing(database.open(f"sqlite:///{tmp_path}/payoff.db")) as db:
        db.exec_driver_sql("delete from findings")
    assert registry.add_finding("fraud", at_us=1, monitor="drift", severity="info", text="again").id > last
