"""The API as an ASGI application over engines that somebody else made."""

from typing import Any

from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ASGIApp

from payoff.api import (
    costs,
    deploys,
    docs,
    drills,
    endpoints,
    evaluate,
    experiment,
    health,
    lists,
    matured,
    metrics,
    outcomes,
    power,
    questions,
    replies,
    roi,
    threshold,
    verdicts,
    versions,
)
from payoff.api.engines import Engines
from payoff.api.entrance import Entrance
from payoff.errors import PayoffError
from payoff.version import VERSION

BODY_BYTES_MAX = 64 << 20
ROOMS = (
    health,
    deploys,
    endpoints,
    outcomes,
    questions,
    roi,
    verdicts,
    threshold,
    experiment,
    costs,
    lists,
    versions,
    docs,
    matured,
    drills,
    power,
    evaluate,
)
_ABOUT = (
    "Deploy models, move their versions, say what happened, read what they earned. Rows are answered on another door."
)


def build(engines: Engines, hosts: frozenset[str] | None) -> ASGIApp:
    """The application; `hosts` are the Host headers it answers to, None for any."""
    handlers: list[Any] = [handler for room in ROOMS for handler in room.HANDLERS]
    app = Litestar(
        route_handlers=[Router("/api", route_handlers=handlers), metrics.scrape],
        dependencies={"house": engines.provide()},
        exception_handlers={
            PayoffError: replies.refuse,
            HTTPException: replies.refuse_http,
            RecursionError: replies.refuse_depth,
            Exception: replies.fail,
        },
        openapi_config=OpenAPIConfig(
            title="payoff", version=VERSION, description=_ABOUT, use_handler_docstrings=True,
            path="/api/openapi", render_plugins=[],
        ),
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        debug=False,
    )  # fmt: skip
    return Entrance(app, engines.key, hosts)
