"""The metadata database: how it is opened, how a transaction runs on it, how its schema moves. Knows no tables.

SQLite now, PostgreSQL by another URL: what is particular to one of them stays in this file.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from payoff.errors import BadInput, Busy, Conflict, Unavailable
from payoff.store.files import folder, told

SCHEMA_TABLE = "payoff_schema"  # where Alembic notes the schema's revision
_WRITES = "payoff_writes"

_ADVICE = {
    "SQLITE_BUSY": "another process has been writing all the while; repeat, and look for a second `payoff up`",
    "SQLITE_LOCKED": "another process has been writing all the while; repeat, and look for a second `payoff up`",
    "SQLITE_FULL": "the disk is full: make room and repeat",
    "SQLITE_READONLY": "give this account the right to write the file and its folder, or use another --home",
    "SQLITE_CANTOPEN": "give this account the right to write the file and its folder, or use another --home",
    "SQLITE_NOTADB": "the file is no SQLite database: move it away or use another --home",
    "SQLITE_CORRUPT": "the file is damaged: bring back a backup, or use another --home",
    "SQLITE_IOERR": "the disk is full or fails: make room, look at the system log, repeat",
}


def open(url: str, *, sync: bool = False, busy_s: float = 5.0) -> sa.Engine:
    """An engine for `sqlite:////path/payoff.db` or `postgresql://...`; connects when first used.

    SQLite runs in WAL mode, with foreign keys. A commit survives the death of any process; with `sync` also a loss of
    power. A writer waits up to `busy_s` for another one. Raises BadInput for a URL that is none.
    """
    engine = _engine(url)
    if engine.dialect.name == "sqlite":
        _make_private(engine.url)
        _tune_sqlite(engine, sync, busy_s)
    return engine


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads: one state of the database from first to last, and no waiting for writers."""
    with _told(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes; what the body raises takes all of it back.

    On SQLite it is the only writer from its first statement on (BEGIN IMMEDIATE), so what it reads stays true until it
    commits. Elsewhere rows that decide are read `with_for_update`, and unique constraints have the last word:
    IntegrityError passes through, for the caller knows what it means.
    """
    with _told(engine), engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


def alone(connection: sa.Connection, what: str) -> None:
    """Until this transaction ends, no other one passes here for the same `what`; on SQLite a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(what))))


def migrate(engine: sa.Engine, scripts: Path) -> None:
    """Bring the schema up to date with the Alembic scripts in this folder: all of it or, on an error, nothing.

    Does nothing if it is up to date. Raises Conflict for a database that a newer payoff has written.
    """
    from alembic.script import ScriptDirectory  # alembic takes 0.2 s to import, and only the start needs it

    known = ScriptDirectory(str(scripts))
    found = schema(engine)
    if found == set(known.get_heads()):
        return
    if newer := found - {script.revision for script in known.walk_revisions()}:
        raise Conflict(
            f"{_name(engine)} was written by a newer payoff: its schema is {', '.join(sorted(newer))}, this payoff "
            f"knows up to {', '.join(known.get_heads())}; install the newer payoff again, or use another --home"
        )
    _run(engine, scripts, "upgrade", "head")


def downgrade(engine: sa.Engine, scripts: Path, to: str) -> None:
    """Bring the schema back to an older revision, "base" for none: all the way or, on an error, not at all."""
    _run(engine, scripts, "downgrade", to)


def schema(engine: sa.Engine) -> set[str]:
    """The schema revisions the database is at; empty for a new one."""
    from alembic.runtime.migration import MigrationContext

    with reading(engine) as connection:
        return set(MigrationContext.configure(connection, opts={"version_table": SCHEMA_TABLE}).get_current_heads())


def _run(engine: sa.Engine, scripts: Path, command: str, to: str) -> None:
    import alembic.command
    from alembic.config import Config

    config = Config(attributes={"options": {"version_table": SCHEMA_TABLE, "render_as_batch": True}})
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    with _loose_references(engine) as loose, writing(loose) as connection:
        alone(connection, SCHEMA_TABLE)  # two that start at once: the second waits, then finds it done
        config.attributes["options"]["connection"] = connection
        getattr(alembic.command, command)(config, to)
        _check_references(connection)


@contextmanager
def _loose_references(engine: sa.Engine) -> Iterator[sa.Engine]:
    """An engine that lets a migration rebuild a table which others refer to (SQLite cannot alter most things).

    As sqlite.org/lang_altertable.html#otheralter: foreign keys off outside the transaction, a check before commit.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        yield engine
        return
    loose = sa.create_engine(engine.url, poolclass=sa.NullPool)
    _tune_sqlite(loose, sync=True, busy_s=60.0, references=False)
    yield loose


def _check_references(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
        raise Unavailable(f"the migration would leave {len(broken)} rows that refer to nothing; nothing was changed")


def _engine(url: str) -> sa.Engine:
    expected = "expected sqlite:////path/to/payoff.db or postgresql://user@host/name"
    try:
        a_server = not url.startswith("sqlite")  # which may have restarted since its connection was last used
        return sa.create_engine(url, pool_pre_ping=a_server)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise BadInput(f"this is no database URL that payoff can use: {error}; {expected}") from error
    except ModuleNotFoundError as error:
        raise BadInput(f"the driver of this database is missing: {error}; for PostgreSQL install psycopg") from error


def _make_private(url: sa.URL) -> None:
    """A new SQLite file is for its owner only, and so are its companions: SQLite gives them the file's mode."""
    if not url.database or url.database == ":memory:" or url.query.get("uri"):
        return
    with told(f"making the database {url.database}"):
        folder(Path(url.database).absolute().parent)
        os.close(os.open(url.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _tune_sqlite(engine: sa.Engine, sync: bool, busy_s: float, references: bool = True) -> None:
    pragmas = (
        f"busy_timeout = {round(busy_s * 1000)}",
        f"synchronous = {'full' if sync else 'normal'}",
        f"foreign_keys = {'on' if references else 'off'}",
    )

    @event.listens_for(engine, "connect")
    def tune(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: `begin` below does
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        _journal_ahead(connection, busy_s)

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _journal_ahead(connection: Any, busy_s: float) -> None:
    """Switch to WAL, the one statement that SQLite's busy timeout does not cover when several switch at once."""
    patience = time.monotonic() + busy_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > patience:
                raise
            time.sleep(0.01)


@contextmanager
def _told(engine: sa.Engine) -> Iterator[None]:
    """What the database refuses, in words: which one, why, and what to do."""
    try:
        yield
    except IntegrityError:
        raise
    except (DataError, OverflowError) as error:
        raise BadInput(f"a value does not fit into the database: {getattr(error, 'orig', error)}") from error
    except DBAPIError as error:
        advice = _advice(getattr(error.orig, "sqlite_errorname", ""))
        reason = " ".join(str(error.orig).split())
        raise Unavailable(f"{_name(engine)} refused: {reason}; nothing was changed; {advice}") from error
    except PoolTimeout as error:
        raise Busy(f"every connection to {_name(engine)} is in use; try again") from error


def _advice(name: str) -> str:
    """By the longest known beginning: SQLITE_IOERR_WRITE is a kind of SQLITE_IOERR."""
    return next((advice for known, advice in _ADVICE.items() if name.startswith(known)), "is it up and reachable?")


def _name(engine: sa.Engine) -> str:
    return f"the database {engine.url.render_as_string(hide_password=True)}"
