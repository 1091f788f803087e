"""What exists: one door to models, endpoints, orders, findings, verdicts; every call is one transaction."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from payoff.records.endpoint import Revision
from payoff.records.events import Finding, Order, Verdict
from payoff.records.model import Served, Version
from payoff.records.usage import Mark, Metered
from payoff.registry import chain, endpoints, findings, models, usage, verdicts
from payoff.registry.chain import Broken
from payoff.registry.models import Model
from payoff.registry.schema import MIGRATIONS
from payoff.registry.verdicts import Filed
from payoff.store import database
from payoff.store.database import reading, writing


def connect(url: str, *, sync: bool = False) -> "Registry":
    """The registry in this database, its schema brought up to date; `sync` makes commits survive a loss of power."""
    engine = database.open(url, sync=sync)
    database.migrate(engine, MIGRATIONS)
    return Registry(engine)


class Registry:
    """May be shared between threads. Every method raises Unavailable if the database does not answer."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Let go of the database's connections; the next call would open new ones."""
        self._engine.dispose()

    def register(
        self,
        model: str,
        *,
        digest: str,
        flavor: str,
        served: Served,
        size_bytes: int,
        author: str,
        now_us: int,
        environment: Mapping[str, str] | None = None,
        provenance: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Version:
        """The model's next version; the same bytes are the same version, answered as it was first registered."""
        version = Version(
            model=model,
            number=0,
            digest=digest,
            flavor=flavor,
            served=served,
            size_bytes=size_bytes,
            created_at_us=now_us,
            author=author,
            environment=dict(environment or {}),
            provenance=dict(provenance or {}),
            tags=dict(tags or {}),
        )
        with writing(self._engine) as db:
            return models.register(db, version)

    def find(self, model: str, version: int | str | None = None) -> Version:
        """By number, by alias, or the latest; NotFound names what there is."""
        with reading(self._engine) as db:
            return models.find(db, model, version)

    def models(self, limit: int = 1000, after: str | None = None) -> list[Model]:
        """By name, from behind the name `after` on."""
        with reading(self._engine) as db:
            return models.listed(db, limit, after)

    def versions(self, model: str, limit: int = 100, before: int | None = None) -> list[Version]:
        """Newest first, from below the number `before` on."""
        with reading(self._engine) as db:
            return models.history(db, model, limit, before)

    def alias(self, model: str, alias: str, number: int) -> None:
        """Point the alias at this version, from now on; NotFound if there is no such version."""
        with writing(self._engine) as db:
            models.alias(db, model, alias, number)

    def record(self, revision: Revision, verb: str, evidence: Mapping[str, Any] | None = None) -> Order:
        """Make this revision the current one of its endpoint, by an order of its author, at its time, for its reason.

        All or nothing. Its number must follow the current one's, starting with 1: Conflict if someone else was faster.
        """
        try:
            with writing(self._engine) as db:
                return endpoints.record(db, revision, verb, evidence or {})
        except IntegrityError as error:  # where the database lets several write, its constraints decide who was first
            with reading(self._engine) as db:
                now = endpoints.number(db, revision.endpoint)
            raise endpoints.overtaken(revision, now) from error

    def current(self, endpoint: str) -> Revision:
        """What the endpoint serves; NotFound names the others."""
        with reading(self._engine) as db:
            return endpoints.current(db, endpoint)

    def endpoints(self) -> list[Revision]:
        """The current revision of every endpoint, by name."""
        with reading(self._engine) as db:
            return endpoints.everything(db)

    def revision(self, endpoint: str, number: int) -> Revision:
        """One revision, current or old; NotFound names the ones there are."""
        with reading(self._engine) as db:
            return endpoints.revision(db, endpoint, number)

    def revisions(self, endpoint: str, limit: int = 100, before: int | None = None) -> list[Revision]:
        """Newest first, from below the number `before` on."""
        with reading(self._engine) as db:
            return endpoints.history(db, endpoint, limit, before)

    def orders(self, endpoint: str | None = None, limit: int = 100, before: int | None = None) -> list[Order]:
        """Newest first, from below the id `before` on; of one endpoint or of all."""
        with reading(self._engine) as db:
            return endpoints.given(db, endpoint, limit, before)

    def orders_tallied(self) -> dict[tuple[str, str, bool], int]:
        """How many orders there were, by endpoint, verb, and whether a guard gave them."""
        with reading(self._engine) as db:
            return endpoints.tallied(db)

    def verify_chain(self, latest: int | None = None) -> Broken | None:
        """The first order that is no longer what was recorded, or None; of all, or of the `latest` so many."""
        with reading(self._engine) as db:
            return chain.verify(db, latest)

    def chain_end(self) -> str:
        """The chain of the last order: who notes it elsewhere can prove later that nothing before it was changed."""
        with reading(self._engine) as db:
            return chain.last(db)

    def add_finding(
        self,
        endpoint: str,
        *,
        at_us: int,
        monitor: str,
        severity: str,
        text: str,
        data: Mapping[str, Any] | None = None,
    ) -> Finding:
        """Keep what a monitor found; `severity` is info, warning or alarm."""
        finding = Finding(0, endpoint, at_us, monitor, severity, text, dict(data or {}))
        with writing(self._engine) as db:
            return findings.add(db, finding)

    def findings(self, endpoint: str | None = None, limit: int = 100, before: int | None = None) -> list[Finding]:
        """Newest first, from below the id `before` on; about one endpoint or about all."""
        with reading(self._engine) as db:
            return findings.found(db, endpoint, limit, before)

    def add_usage(self, mark: Mark, amounts: Iterable[Metered]) -> None:
        """Add what was metered to its hours, and note up to where: both or neither."""
        with writing(self._engine) as db:
            usage.add(db, mark, amounts)

    def mark(self, machine: str) -> Mark | None:
        """Up to where this machine is metered; None if it never was."""
        with reading(self._engine) as db:
            return usage.mark(db, machine)

    def usage(self, since_us: int, until_us: int) -> list[Metered]:
        """What was metered in the hours that began in this time."""
        with reading(self._engine) as db:
            return usage.used(db, since_us, until_us)

    def metered_since_us(self) -> int | None:
        """When the first hour began that was metered; None if none was."""
        with reading(self._engine) as db:
            return usage.began_us(db)

    def add_verdict(
        self,
        endpoint: str,
        at_us: int,
        verdict: Verdict,
        settings: Mapping[str, Any],
        evidence_digest: str,
        software: str,
    ) -> Filed:
        """Keep a verdict so that it can be recomputed: `evidence_digest` names the blob that holds what it rests on."""
        said = Filed(0, endpoint, at_us, verdict, dict(settings), evidence_digest, software)
        with writing(self._engine) as db:
            return verdicts.add(db, said)

    def verdicts(self, endpoint: str | None = None, limit: int = 100, before: int | None = None) -> list[Filed]:
        """Newest first, from below the id `before` on; about one endpoint or about all."""
        with reading(self._engine) as db:
            return verdicts.found(db, endpoint, limit, before)

    def verdict(self, id: int) -> Filed:
        """One verdict; NotFound if there is none of this id."""
        with reading(self._engine) as db:
            return verdicts.one(db, id)
