"""Paths that list what exists and what happened: models, versions, endpoints, revisions, orders, findings."""

from typing import Annotated, Any

import msgspec
from litestar import get, put
from litestar.params import Parameter

from payoff.api import views
from payoff.api.engines import House
from payoff.records import names

Limit = Annotated[int, Parameter(ge=1, le=1000, description="At most so many, the newest first.")]
Before = Annotated[int | None, Parameter(description="Only those below this number, for the next page.")]
OneEndpoint = Annotated[str | None, Parameter(description="Only this endpoint's.")]


class Alias(msgspec.Struct, forbid_unknown_fields=True):
    """The version that an alias is to point at."""

    version: int


@get("/models", sync_to_thread=True)
def models(house: House) -> dict[str, Any]:
    """The models, each with its number of versions, its latest flavor and its aliases."""
    found = house.registry.models()
    return {"models": [views.model(one, house.registry.find(one.name)) for one in found]}


@get("/models/{model:str}/versions", sync_to_thread=True)
def versions(house: House, model: str, limit: Limit = 100, before: Before = None) -> dict[str, Any]:
    """The versions of a model, newest first."""
    name = names.check(model, "model")
    return {"model": name, "versions": [views.version(one) for one in house.registry.versions(name, limit, before)]}


@put("/models/{model:str}/aliases/{alias:str}", sync_to_thread=True)
def alias(house: House, model: str, alias: str, data: Alias) -> dict[str, Any]:
    """Points an alias such as `champion` at a version, from now on."""
    name = names.check(model, "model")
    house.registry.alias(name, names.check(alias, "alias"), data.version)
    return {"model": name, "alias": alias, "version": data.version}


@get("/endpoints/{endpoint:str}/revisions", sync_to_thread=True)
def revisions(house: House, endpoint: str, limit: Limit = 100, before: Before = None) -> dict[str, Any]:
    """Every configuration an endpoint had, newest first."""
    name = names.check(endpoint, "endpoint")
    found = house.registry.revisions(name, limit, before)
    return {"endpoint": name, "revisions": [views.configuration(one) for one in found]}


@get("/orders", sync_to_thread=True)
def orders(house: House, endpoint: OneEndpoint = None, limit: Limit = 100, before: Before = None) -> dict[str, Any]:
    """The audit trail: who moved what, when, why, and on what evidence; newest first."""
    name = names.check(endpoint, "endpoint") if endpoint else None
    return {"orders": [views.order(one) for one in house.registry.orders(name, limit, before)]}


@get("/orders/verify", sync_to_thread=True)
def verify(house: House) -> dict[str, Any]:
    """Whether the audit trail is still what was recorded; else its first order that is not.

    `end` is the chain of the last order: note it elsewhere, and nobody can change what came before without a trace.
    """
    broken = house.registry.verify_chain()
    found = None if broken is None else {"order": views.order(broken.order), "text": broken.text}
    return {"whole": broken is None, "broken": found, "end": house.registry.chain_end()}


@get("/findings", sync_to_thread=True)
def findings(house: House, endpoint: OneEndpoint = None, limit: Limit = 100, before: Before = None) -> dict[str, Any]:
    """What the monitors found; newest first."""
    name = names.check(endpoint, "endpoint") if endpoint else None
    return {"findings": [views.finding(one) for one in house.registry.findings(name, limit, before)]}


HANDLERS = [models, versions, alias, revisions, orders, verify, findings]
