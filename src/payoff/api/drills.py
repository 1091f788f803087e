"""Paths that end a drill: its copy of the endpoint is taken down, its result kept as a finding."""

from typing import Any

import msgspec
from litestar import delete, post

from payoff.api import views
from payoff.api.engines import House
from payoff.errors import BadInput
from payoff.records import names
from payoff.store import live

MONITOR = "drill"


class Result(msgspec.Struct):
    """What a drill found; everything else of it is kept as it comes."""

    text: str
    passed: bool
    report: dict[str, Any] = {}


@post("/endpoints/{endpoint:str}/drills", status_code=200, sync_to_thread=True)
def note_drill(house: House, endpoint: str, data: Result) -> dict[str, Any]:
    """Keeps the result of a drill among the endpoint's findings, where reports read when the last one was."""
    current = house.registry.current(names.check(endpoint, "endpoint"))
    found = house.registry.add_finding(
        current.endpoint,
        at_us=house.clock(),
        monitor=MONITOR,
        severity="info" if data.passed else "alarm",
        text=data.text[:1_000],
        data={**data.report, "passed": data.passed},
    )
    return views.finding(found)


@delete("/endpoints/{endpoint:str}", status_code=200, sync_to_thread=True)
def end_drill(house: House, endpoint: str) -> dict[str, Any]:
    """Takes down the copy that a drill was run on; workers stop answering there. Other endpoints stay."""
    name = house.registry.current(names.check(endpoint, "endpoint")).endpoint
    if not names.is_drill(name):
        raise BadInput(f"{name} is no copy made for a drill, and endpoints are not taken down; retire its arms instead")
    live.remove(house.home, name)
    return {"endpoint": name, "ended": True}


HANDLERS: list[Any] = [note_drill, end_drill]
