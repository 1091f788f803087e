"""Paths about one endpoint: what it is, making it what a file says, and the orders that move its versions."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post, put
from litestar.concurrency import sync_to_thread
from litestar.params import Parameter

from payoff.api import examples, views
from payoff.api.engines import Engines, House
from payoff.codecs import schema
from payoff.deploy import Done, parse
from payoff.deploy.plan import GUARD
from payoff.errors import BadInput
from payoff.records import Revision, Role, merge, names

FILE_BYTES_MAX = 1 << 20
Author = Annotated[str, Parameter(description="Who wants it, for the audit trail.")]
Why = Annotated[str, Parameter(description="Why, for the audit trail.")]


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """An order: promote, ramp, kill, revive, retire take an `arm` (name, role or version); rollback takes `to`.

    allocate takes `shares`, by arm: {"challenger": 0.2}.
    """

    verb: str
    reason: str = ""
    author: str = "api"
    arm: str | int | None = None
    traffic: float | str | None = None
    to: int | None = None
    shares: dict[str, float | str] | None = None
    evidence: dict[str, Any] = {}


@get("/endpoints", sync_to_thread=True)
def endpoints(house: House) -> dict[str, Any]:
    """Every endpoint with its arms and addresses."""
    found = [one for one in house.registry.endpoints() if not names.is_drill(one.endpoint)]
    return {"endpoints": [views.revision(one) | {"urls": urls(house, one.endpoint)} for one in found]}


@get("/endpoints/{endpoint:str}", sync_to_thread=True)
def endpoint(house: House, endpoint: str) -> dict[str, Any]:
    """One endpoint: its configuration, what it takes and gives, its addresses and a line that tries it."""
    return describe(house, house.registry.current(names.check(endpoint, "endpoint")))


@put("/endpoints/{endpoint:str}", request_max_body_size=FILE_BYTES_MAX)
async def apply(
    request: Request[Any, Any, Any], house: House, endpoint: str, author: Author = "api", reason: Why = ""
) -> dict[str, Any]:
    """Makes the endpoint what the body says: the endpoint's file, as YAML or JSON."""
    file = await request.body()

    def act() -> dict[str, Any]:
        name = names.check(endpoint, "endpoint")
        change = house.desk.preview(_about(file, name))
        if not change:
            current = house.registry.current(name)
            return moved(Done(None, current, notes=_stays(current))) | {"changed": False, "diff": ""}
        done = house.desk.give(name, "apply", author=_person(author), reason=reason, file=file)
        return moved(done) | {"changed": done.order is not None, "diff": change}

    return await sync_to_thread(act)


@post("/endpoints/{endpoint:str}/diff", status_code=200, request_max_body_size=FILE_BYTES_MAX)
async def diff(request: Request[Any, Any, Any], house: House, endpoint: str) -> dict[str, Any]:
    """What applying the body would change, as a unified diff, without doing it; empty if nothing."""
    file = await request.body()
    name = names.check(endpoint, "endpoint")
    return {"endpoint": name, "diff": await sync_to_thread(lambda: house.desk.preview(_about(file, name)))}


@post("/endpoints/{endpoint:str}/orders", status_code=200, sync_to_thread=True)
def order(house: House, endpoint: str, data: Command) -> dict[str, Any]:
    """Gives an order. It is done when the reply comes: every living worker then answers with the new revision."""
    name = names.check(endpoint, "endpoint")
    done = house.desk.give(
        name,
        _by_order(data.verb),
        author=_person(data.author),
        reason=_reason(data),
        evidence=data.evidence,
        arm=data.arm,
        traffic=data.traffic,
        to=data.to,
        shares=data.shares,
    )
    return moved(done)


def _stays(current: Revision) -> tuple[str, ...]:
    """A file that names a killed version reads as if it would answer again."""
    killed = [arm for arm in current.arms if arm.role is Role.KILLED]
    return tuple(f"{arm.name} stays killed: bring it back with `payoff revive {current.endpoint}`" for arm in killed)


def moved(done: Done) -> dict[str, Any]:
    """What an order did."""
    return {
        "endpoint": done.revision.endpoint,
        "revision": done.revision.number,
        "order": None if done.order is None else views.order(done.order),
        "arms": [views.arm(one) for one in done.revision.arms],
        "steps": views.steps(done.steps),
        "notes": list(done.notes),
    }


def describe(house: Engines, revision: Revision) -> dict[str, Any]:
    """Everything about an endpoint."""
    address = urls(house, revision.endpoint)
    one = examples.row(revision, house.blobs)
    return views.configuration(revision) | {
        "signature": {
            "inputs": views.fields(merge.inputs(revision)),
            "outputs": views.fields(merge.outputs(revision)),
            "outcome": views.fields(revision.policy.outcome),
        },
        "schema": schema.record(merge.inputs(revision)),
        "urls": address,
        "example": one,
        "curl": examples.curl(address["predict"], one, house.asks_for_key),
    }


def urls(house: Engines, endpoint: str) -> dict[str, str]:
    """Where applications find the endpoint."""
    found = {"predict": f"{house.http_url}/predict/{endpoint}", "oip": f"{house.http_url}/v2/models/{endpoint}"}
    return found | _other_doors(house.home, house.http_url)


@cache
def _other_doors(home: Path, http_url: str) -> dict[str, str]:
    """Where the doors are that not every payoff has, as `payoff up` wrote down when it started.

    A door at every address is reached at the HTTP door's host.
    """
    doors = home / "run" / "doors"
    said = dict(line.split() for line in doors.read_text().splitlines()) if doors.exists() else {}
    schemes = ("grpcs", "grpc+tls") if http_url.startswith("https") else ("grpc", "grpc")
    found = {}
    for name, scheme in zip(("grpc", "flight"), schemes, strict=True):
        if name in said:
            host, _, port = said[name].rpartition(":")
            if host in ("0.0.0.0", "[::]"):  # noqa: S104
                host = http_url.partition("://")[2].rpartition(":")[0]
            found[name] = f"{scheme}://{host}:{port}"
    return found


def _by_order(verb: str) -> str:
    if verb in ("deploy", "apply"):
        path = "POST /api/deploy" if verb == "deploy" else "PUT /api/endpoints/NAME"
        raise BadInput(f"{verb} needs a file: use {path}")
    return verb


def _reason(data: Command) -> str:
    """A kill or a revive without a reason would be an entry in the audit trail that explains nothing."""
    if data.verb in ("kill", "revive") and not data.reason.strip():
        raise BadInput(f"{data.verb} needs a reason, for the audit trail: say it in 'reason'")
    return data.reason


def _person(author: str) -> str:
    """Guards live inside; nobody signs as one from outside."""
    if author.startswith(GUARD):
        raise BadInput(f"{author[:80]!r} is how guards sign in the audit trail; say who you are")
    return author


def _about(file: bytes, endpoint: str) -> bytes:
    told = parse(file).endpoint
    if told != endpoint:
        raise BadInput(f"the file is about endpoint {told!r}, not {endpoint!r}")
    return file


HANDLERS = [endpoints, endpoint, apply, diff, order]
