"""The path that takes a model: upload, recognise, prepare, prove, register, and give the order."""

from pathlib import Path
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import Parameter

from payoff.api import examples, said, samples, uploads, views
from payoff.api.endpoints import urls
from payoff.api.engines import Engines, House
from payoff.api.uploads import UPLOAD_BYTES_MAX, Form
from payoff.deploy.intake import Taken
from payoff.deploy.plan import share_of
from payoff.deploy.steps import Steps
from payoff.errors import BadInput
from payoff.records import names
from payoff.store import folders

FIELDS = ("name", "endpoint", "as", "traffic", "flavor", "author", "reason", "tags", "folder", *said.FIELDS,
          *said.LINEAGE)  # fmt: skip
_HEAD_BYTES_MAX = 1 << 20
Id = Annotated[str | None, Parameter(description="A name of your own for this deploy, to ask how it goes.")]


@post("/deploy", status_code=201, request_max_body_size=UPLOAD_BYTES_MAX + _HEAD_BYTES_MAX)
async def deploy(request: Request[Any, Any, Any], house: House, id: Id = None) -> dict[str, Any]:
    """Puts a model into production.

    multipart/form-data with the files `artifact` and, if wanted, `sample` (rows of its inputs: CSV, JSON, JSON lines,
    Parquet, Arrow). A folder comes as an uncompressed tar file with the field folder=yes.

    Where it goes: name, endpoint, as (champion, challenger, shadow), traffic (10%), reason. What it is: flavor, options
    (an object, for the flavor), native (yes: never converted). What it needs: requirements (lines as in a requirements
    file), python (3.11). What it may use: memory (4G), call_timeout and load_timeout (30s), runners, threads, network
    (yes). Where it comes from: author, code, data, metrics (an object of numbers), note, tags (an object of texts).

    The reply comes when every worker answers with it; meanwhile GET /api/deploys/ID tells how it goes.
    """
    with house.deploys.running(id) as run, uploads.room_for_one(house.home) as folder:
        with run.steps.step("upload"):
            form = await uploads.receive(request.stream(), request.headers.get("content-type", ""), folder)
        run.reply = await sync_to_thread(_deploy, house, form, folder, run.steps)
        return run.reply


@get("/deploys/{id:str}", sync_to_thread=True)
def deploys(house: House, id: str) -> dict[str, Any]:
    """How a deploy goes that was sent with this id: its steps so far, and how it ended.

    `state` is running, done or failed; `reply` is what the deploy answers, `error` why it did not.
    """
    return house.deploys.view(id)


def _deploy(house: Engines, form: Form, folder: Path, steps: Steps) -> dict[str, Any]:
    texts = _texts(form)
    artifact, filename = _artifact(form, texts, folder)
    name = names.check(texts.get("name") or names.suggest(Path(filename).stem), "model")
    endpoint = names.check(texts.get("endpoint") or name, "endpoint")
    author = texts.get("author") or "api"
    traffic = share_of(texts["traffic"]) if "traffic" in texts else None
    taken = house.intake.take(
        artifact, model=name, author=author, file_name=filename[:200], sample=_sample(form), flavor=texts.get("flavor"),
        said=said.read(texts), provenance=said.lineage(texts), tags=said.tags(texts), steps=steps,
    )  # fmt: skip
    version = taken.version
    done = house.desk.give(
        endpoint, "deploy", author=author, reason=texts.get("reason", ""), evidence={"file": filename[:200]},
        steps=steps, model=name, version=version.number, role=texts.get("as"), traffic=traffic,
    )  # fmt: skip
    address = urls(house, endpoint)
    row = examples.row(done.revision, house.blobs)
    arm = next(one for one in done.revision.arms if (one.model, one.version) == (name, version.number))
    return {
        "model": name,
        "version": version.number,
        "flavor": version.flavor,
        "served": views.served(version),
        "endpoint": endpoint,
        "revision": done.revision.number,
        "role": str(arm.role),
        "url": address["predict"],
        "curl": examples.curl(address["predict"], row, house.asks_for_key),
        "example": row,
        "steps": views.steps(steps.all()),
        "notes": [*_notes(taken, texts), *done.notes],
    }


def _texts(form: Form) -> dict[str, str]:
    """The fields that say something; BadInput names one that nobody knows."""
    for name in form.texts:
        if name in ("artifact", "sample"):
            raise BadInput(f"{name!r} came as text; send it as a file, as in curl -F {name}=@PATH")
    said.only(form.texts, FIELDS)
    if wrong := [name for name in form.files if name not in ("artifact", "sample")]:
        raise BadInput(f"there is no file {wrong[0][:40]!r} to send; there are: artifact, sample")
    return {name: text.strip() for name, text in form.texts.items() if text.strip()}


def _artifact(form: Form, texts: dict[str, str], folder: Path) -> tuple[Path, str]:
    """The file that was sent, or the folder that was in it, and what its owner calls it."""
    if "artifact" not in form.files:
        raise BadInput("the form has no file 'artifact'; send the model as one, as in curl -F artifact=@model.onnx")
    path, filename = form.files["artifact"]
    if path.stat().st_size == 0:
        raise BadInput(f"the file {filename[:80]!r} is empty; save the model again")
    if said.flag(texts, "folder"):
        return _unpacked(path, folder / "folder"), said.upload_name(filename)
    return path, filename


def _unpacked(packed: Path, into: Path) -> Path:
    """The folder in a tar; one that holds nothing but a folder is that folder (`tar -cf model.tar model`)."""
    into.mkdir()
    folders.unpack(packed, into, UPLOAD_BYTES_MAX)
    inside = list(into.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else into


def _sample(form: Form) -> Any:
    if "sample" not in form.files:
        return None
    path, filename = form.files["sample"]
    return samples.read(path, filename)


def _notes(taken: Taken, texts: dict[str, str]) -> list[str]:
    """A version never changes: what is said of one that is there already is not kept."""
    lost = [name for name in (*said.LINEAGE, "tags") if name in texts]
    if not taken.known:
        return []
    of = f"{taken.version.model} v{taken.version.number} is this artefact already"
    return [f"{of}; {', '.join(lost)} stay as they were" if lost else of]


HANDLERS = [deploy, deploys]
