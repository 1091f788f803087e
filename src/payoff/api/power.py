"""Paths for before and beside an experiment: what a verdict will take, and whether the guards keep their errors."""

from typing import Annotated, Any, Literal

from litestar import get
from litestar.params import Parameter

from payoff.api.engines import Engines, House
from payoff.api.matured import ROWS_MAX, latest
from payoff.errors import BadInput
from payoff.experiment import power as planned
from payoff.monitor import selftest as tried
from payoff.monitor.evidence import history
from payoff.monitor.matured import Matured
from payoff.monitor.power import Wish, setting
from payoff.records import Revision, names, share

Verdict = Annotated[Literal["kill", "promote"], Parameter(description="Which verdict is waited for.")]
Effect = Annotated[float | None, Parameter(description="Money per decision; below 0 it loses. Without it a choice.")]
Spread = Annotated[
    float | None, Parameter(gt=0, description="Standard deviation of a decision's money; else recorded.")
]
Chance = Annotated[str | None, Parameter(description="Of a false verdict, such as 1%; else the guard's.")]
Cap = Annotated[float | None, Parameter(gt=0, description="Most that one decision is credited with; else the guard's.")]
Share = Annotated[str | None, Parameter(description="The version's part of the traffic, such as 10%.")]
Rows = Annotated[int, Parameter(ge=1, le=ROWS_MAX, description="Of the latest so many answered predictions.")]

Runs = Annotated[int, Parameter(ge=20, le=2_000, description="How often it is tried.")]


@get("/endpoints/{endpoint:str}/power", sync_to_thread=True)
def power(
    house: House, endpoint: str, verdict: Verdict = "kill", effect: Effect = None, spread: Spread = None,
    error: Chance = None, gain_cap: Cap = None, share: Share = None, rows: Rows = 2_000,
) -> dict[str, Any]:  # fmt: skip
    """How many decisions, days and how much money until a verdict, by simulating the guard on recorded decisions.

    `effects` has a row for each effect: half of the runs, and 9 of 10, are done by then; null: not within `horizon`.
    """
    past, found = recorded(house, endpoint, rows)
    wish = Wish(verdict, spread, part(error, "error"), gain_cap, part(share, "share"))
    asked, basis = setting(past, found, wish)
    return {"endpoint": endpoint} | planned.plain(
        asked, planned.outlooks(asked, () if effect is None else (effect,)), basis
    )


def recorded(house: Engines, endpoint: str, rows: int) -> tuple[list[Revision], Matured]:
    """An endpoint's revisions and its latest matured decisions. BadInput where nobody said what they are worth."""
    current = house.registry.current(names.check(endpoint, "endpoint"))
    past = history(house.registry, current.endpoint)
    return past, latest(house, past, rows)


def part(text: str | None, what: str) -> float | None:
    """A share from text; BadInput for what is none."""
    found = None if text is None else share.share(text)
    if text is not None and found is None:
        raise BadInput(f"{text[:80]!r} is no {what}; say it as 10% or 0.1")
    return found


@get("/endpoints/{endpoint:str}/selftest", sync_to_thread=True)
def selftest(house: House, endpoint: str, runs: Runs = 200, rows: Rows = 2_000) -> dict[str, Any]:
    """The A/A test: how often each guard gives a false verdict on recorded decisions with nothing to be found in them.

    `allowed` is what its error permits; `clearly_more` if chance alone would not bring so many.
    """
    past, found = recorded(house, endpoint, rows)
    return tried.plain(past[-1].endpoint, tried.tried(past, found, runs))


HANDLERS: list[Any] = [power, selftest]
