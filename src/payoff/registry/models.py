"""Models, their immutable versions and the aliases that point at one. Functions over a connection: who calls them
opens the transaction.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from payoff.errors import BadInput, NotFound
from payoff.records.model import Version
from payoff.records.names import check
from payoff.registry import rows
from payoff.registry.missing import missing, no_number
from payoff.registry.pages import checked, page
from payoff.registry.schema import aliases, models, versions

_NONE_YET = "there is none yet: `payoff deploy PATH` makes one"


@dataclass(frozen=True, slots=True)
class Model:
    """A name with versions 1 to `latest`."""

    name: str
    latest: int
    created_at_us: int
    aliases: dict[str, int]


def register(db: sa.Connection, version: Version) -> Version:
    """The version with the next number; or, if these bytes are a version of the model already, that one unchanged."""
    check(version.model, "model")
    _lock(db, version.model, version.created_at_us)
    known = versions.c.model == version.model
    found = db.execute(sa.select(versions).where(known, versions.c.digest == version.digest)).first()
    if found is not None:
        return rows.read(Version, found)
    latest = db.scalar(sa.select(sa.func.max(versions.c.number)).where(known)) or 0
    row = {**rows.row(version), "number": latest + 1}
    db.execute(versions.insert().values(row))
    return rows.read(Version, row)


def find(db: sa.Connection, model: str, version: int | str | None) -> Version:
    """By number (also as text), by alias, or the latest."""
    number = int(version) if isinstance(version, str) and _is_number(version) else version
    found = db.execute(_one(model, number)).first()
    if found is None:
        raise _no_version(db, model, number)
    return rows.read(Version, found)


def history(db: sa.Connection, model: str, limit: int, before: int | None) -> list[Version]:
    """The versions, newest first."""
    _need(db, model)
    query = page(sa.select(versions).where(versions.c.model == model), versions.c.number, limit, before)
    return [rows.read(Version, row) for row in db.execute(query)]


def listed(db: sa.Connection, limit: int, after: str | None) -> list[Model]:
    """The models by name, from behind the name `after` on."""
    query = (
        sa.select(models, sa.func.max(versions.c.number).label("latest"))
        .join(versions)
        .where(models.c.name > (after or ""))
        .group_by(models.c.name, models.c.created_at_us)
        .order_by(models.c.name)
        .limit(checked(limit))
    )
    found = db.execute(query).all()
    known = _aliases(db, [row.name for row in found])
    return [Model(row.name, row.latest, row.created_at_us, known.get(row.name, {})) for row in found]


def alias(db: sa.Connection, model: str, name: str, number: int) -> None:
    """Point the alias at this version; it may have pointed at another one before."""
    if _is_number(check(name, "alias")):
        raise BadInput(f"{name!r} cannot be an alias, for it reads like a version's number; put a letter into it")
    if name == "latest":
        raise BadInput("'latest' cannot be an alias, for it always means the newest version; choose another word")
    find(db, model, number)
    _lock(db, model, None)
    mine = (aliases.c.model == model) & (aliases.c.alias == name)
    if db.execute(aliases.update().where(mine).values(number=number)).rowcount == 0:
        db.execute(aliases.insert().values(model=model, alias=name, number=number))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _one(model: str, version: int | str | None) -> sa.Select[Any]:
    query = sa.select(versions).where(versions.c.model == model)
    if version is None:
        return query.order_by(versions.c.number.desc()).limit(1)
    if isinstance(version, int):
        return query.where(versions.c.number == version)
    named = sa.select(aliases.c.number).where(aliases.c.model == model, aliases.c.alias == version)
    return query.where(versions.c.number == named.scalar_subquery())


def _lock(db: sa.Connection, model: str, created_at_us: int | None) -> None:
    """One writer per model at a time, also where the database lets several write: they queue at the model's row."""
    if created_at_us is not None:
        try:
            with db.begin_nested():
                db.execute(models.insert().values(name=model, created_at_us=created_at_us))
        except IntegrityError:
            pass  # the model is there already, which is as good
    db.execute(sa.select(models.c.name).where(models.c.name == model).with_for_update())


def _need(db: sa.Connection, model: str) -> None:
    names = db.scalars(sa.select(models.c.name)).all()
    if model not in names:
        raise missing("model", model, names, _NONE_YET)


def _no_version(db: sa.Connection, model: str, version: int | str | None) -> NotFound:
    _need(db, model)
    if isinstance(version, int):
        numbers = db.scalars(sa.select(versions.c.number).where(versions.c.model == model)).all()
        return no_number(f"model {model!r} has no version", version, numbers)
    known = _aliases(db, [model]).get(model, {})
    return missing(f"alias of model {model!r}", str(version), known, "it has no aliases; name a version by its number")


def _aliases(db: sa.Connection, names: list[str]) -> dict[str, dict[str, int]]:
    """Per model, alias to number."""
    found: dict[str, dict[str, int]] = {}
    for row in db.execute(sa.select(aliases).where(aliases.c.model.in_(names)).order_by(aliases.c.alias)):
        found.setdefault(row.model, {})[row.alias] = row.number
    return found
