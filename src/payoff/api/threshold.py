"""Paths about the decision threshold: the profit curve, and moving it when somebody asks for that."""

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.params import Parameter

from payoff.api.endpoints import moved
from payoff.api.engines import Engines, House
from payoff.monitor import curve
from payoff.records import Revision, names

Whose = Annotated[str, Parameter(description="The endpoint's name.")]


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """Who wants the suggested threshold, and why."""

    author: str = "api"
    reason: str = ""


@get("/endpoints/{endpoint:str}/threshold", sync_to_thread=True)
def threshold(house: House, endpoint: Whose) -> dict[str, Any]:
    """Money per decision at every threshold, what the present one leaves on the table, and the suggested one.

    From matured rows; only for decisions such as `outputs.probability > 0.5`. Nothing moves.
    """
    return curve.plain(curve.advise(house.journal, _current(house, endpoint), house.clock))


@post("/endpoints/{endpoint:str}/threshold", status_code=200, sync_to_thread=True)
def apply(house: House, endpoint: Whose, data: Wish) -> dict[str, Any]:
    """Gives the order that moves the threshold to the suggested one, with what it rests on as evidence.

    Refused with 409 where it is not sure to earn more.
    """
    current = _current(house, endpoint)
    found = curve.advise(house.journal, current, house.clock)
    file = curve.moved(current, found)
    told = {key: value for key, value in curve.plain(found).items() if key not in ("thresholds", "profit")}
    done = house.desk.give(
        current.endpoint, "apply", author=data.author, reason=data.reason or told["note"], evidence=told, file=file
    )
    return {"threshold": told, **moved(done)}


def _current(house: Engines, endpoint: str) -> Revision:
    return house.registry.current(names.check(endpoint, "endpoint"))


HANDLERS: list[Any] = [threshold, apply]
