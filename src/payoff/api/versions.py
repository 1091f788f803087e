"""Paths about one version, and about two side by side."""

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import Parameter

from payoff.api import samples, uploads, views
from payoff.api.engines import Engines, House
from payoff.deploy import compare
from payoff.errors import BadInput, PayoffError
from payoff.flavors.rowfile import Rows
from payoff.records import names
from payoff.records.model import Version

SAMPLE_BYTES_MAX = 65 << 20
Before = Annotated[str, Parameter(query="before", description="A number, an alias, or MODEL@one of these.")]
After = Annotated[str, Parameter(query="after", description="The same, of the one to compare it with.")]


@get("/models/{model:str}/versions/{version:str}", sync_to_thread=True)
def one(house: House, model: str, version: str) -> dict[str, Any]:
    """One version, by its number, an alias, or `latest`."""
    return views.version(found(house, model, version))


@get("/models/{model:str}/diff", sync_to_thread=True)
def diff(house: House, model: str, before: Before, after: After) -> dict[str, Any]:
    """Two versions side by side: columns, packages, facts, and their answers to the sample rows of the first one.

    Both are loaded in processes apart and asked; that may take as long as loading them takes.
    """
    return _diff(house, found(house, model, before), found(house, model, after), None)


@post("/models/{model:str}/diff", status_code=200, request_max_body_size=SAMPLE_BYTES_MAX)
async def diff_on(
    request: Request[Any, Any, Any], house: House, model: str, before: Before, after: After
) -> dict[str, Any]:
    """The same with rows of your own: multipart/form-data with the file `sample`."""
    with uploads.room_for_one(house.home) as folder:
        form = await uploads.receive(request.stream(), request.headers.get("content-type", ""), folder)
        if set(form.files) != {"sample"} or form.texts:
            raise BadInput("the form has one file, 'sample', with rows to ask: curl -F sample=@rows.csv")

        def act() -> dict[str, Any]:
            from payoff.flavors.sample import rows_of

            both = found(house, model, before), found(house, model, after)
            return _diff(house, *both, rows_of(samples.read(*form.files["sample"])))

        return await sync_to_thread(act)


def found(house: Engines, model: str, said: str) -> Version:
    """`3`, `v3`, an alias, `latest`, or any of them behind NAME@."""
    name, at, which = said.rpartition("@")
    number = which.strip()
    if number[:1] == "v" and number[1:].isdigit():
        number = number[1:]
    return house.registry.find(names.check(name if at else model, "model"), None if number == "latest" else number)


def _diff(house: Engines, before: Version, after: Version, sample: Rows | None) -> dict[str, Any]:
    signatures = before.served.signature, after.served.signature
    return {
        "before": {"model": before.model, "version": before.number},
        "after": {"model": after.model, "version": after.number},
        "inputs": compare.columns(signatures[0].inputs, signatures[1].inputs),
        "outputs": compare.columns(signatures[0].outputs, signatures[1].outputs),
        "environment": compare.pairs(before.environment, after.environment),
        "facts": compare.pairs(compare.facts(before), compare.facts(after)),
        **_asked(house, before, after, sample),
    }


def _asked(house: Engines, before: Version, after: Version, sample: Rows | None) -> dict[str, Any]:
    """Their answers to the same rows; a note where there are none."""
    nothing: dict[str, Any] = {"rows": 0, "rows_of": None, "answers": [], "speed": []}
    found = compare.rows_for(before, after, house.blobs, sample)
    if found is None:
        return nothing | {"notes": ["neither version has sample rows; give some to compare answers: --sample FILE"]}
    rows, whose = found
    try:
        trials, gaps = compare.answers(house.home, before, after, rows)
    except PayoffError as error:
        return nothing | {"notes": [f"answers are not compared: {error}"]}
    return {
        "rows": len(rows),
        "rows_of": whose,
        "answers": [views.gap(gap) for gap in gaps],
        "speed": [views.speed(one, trial.report) for one, trial in zip((before, after), trials, strict=True)],
        "notes": [] if gaps else ["they give nothing under the same name, so there are no answers to compare"],
    }


HANDLERS = [one, diff, diff_on]
