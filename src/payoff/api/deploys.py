"""The path that takes a model: upload, recognise, convert, prove, register, and give the order."""

import json
import time
from pathlib import Path
from typing import Any

from litestar import Request, post
from litestar.concurrency import sync_to_thread

from payoff.api import examples, samples, uploads, views
from payoff.api.endpoints import urls
from payoff.api.engines import Engines, House
from payoff.api.uploads import UPLOAD_BYTES_MAX, Form
from payoff.deploy.plan import share_of
from payoff.errors import BadInput
from payoff.records import names

FIELDS = ("name", "endpoint", "as", "traffic", "flavor", "author", "reason", "tags")
_HEAD_BYTES_MAX = 1 << 20


@post("/deploy", status_code=201, request_max_body_size=UPLOAD_BYTES_MAX + _HEAD_BYTES_MAX)
async def deploy(request: Request[Any, Any, Any], house: House) -> dict[str, Any]:
    """Puts a model into production.

    multipart/form-data with the files `artifact` and, if wanted, `sample` (rows of its inputs: CSV, JSON, JSON lines,
    Parquet, Arrow), and the fields name, endpoint, as (champion, challenger, shadow), traffic (10%), flavor, author,
    reason, tags (a JSON object of texts). The reply comes when every worker answers with it.
    """
    with uploads.room_for_one(house.home) as folder:
        began = time.perf_counter()
        form = await uploads.receive(request.stream(), request.headers.get("content-type", ""), folder)
        upload = ("upload", time.perf_counter() - began)
        return await sync_to_thread(_deploy, house, form, upload)


def _deploy(house: Engines, form: Form, upload: tuple[str, float]) -> dict[str, Any]:
    texts = _texts(form)
    artifact, filename = _artifact(form)
    name = names.check(texts.get("name") or names.suggest(Path(filename).stem), "model")
    endpoint = names.check(texts.get("endpoint") or name, "endpoint")
    author = texts.get("author") or "api"
    traffic = share_of(texts["traffic"]) if "traffic" in texts else None
    taken = house.intake.take(
        artifact, model=name, author=author, file_name=filename[:200], sample=_sample(form), flavor=texts.get("flavor"),
        tags=_tags(texts.get("tags")),
    )  # fmt: skip
    version = taken.version
    done = house.desk.give(
        endpoint, "deploy", author=author, reason=texts.get("reason", ""), evidence={"file": filename[:200]},
        model=name, version=version.number, role=texts.get("as"), traffic=traffic,
    )  # fmt: skip
    address = urls(house, endpoint)
    row = examples.row(done.revision, house.blobs)
    arm = next(one for one in done.revision.arms if (one.model, one.version) == (name, version.number))
    return {
        "model": name,
        "version": version.number,
        "endpoint": endpoint,
        "revision": done.revision.number,
        "role": str(arm.role),
        "url": address["predict"],
        "curl": examples.curl(address["predict"], row, house.asks_for_key),
        "example": row,
        "steps": views.steps([upload, *taken.steps, *done.steps]),
        "notes": list(done.notes),
    }


def _texts(form: Form) -> dict[str, str]:
    """The fields that say something; BadInput names one that nobody knows."""
    for name in form.texts:
        if name in ("artifact", "sample"):
            raise BadInput(f"{name!r} came as text; send it as a file, as in curl -F {name}=@PATH")
        if name not in FIELDS:
            raise BadInput(f"there is no field {name[:40]!r}; there are: artifact, sample, {', '.join(FIELDS)}")
    if wrong := [name for name in form.files if name not in ("artifact", "sample")]:
        raise BadInput(f"there is no file {wrong[0][:40]!r} to send; there are: artifact, sample")
    return {name: text.strip() for name, text in form.texts.items() if text.strip()}


def _artifact(form: Form) -> tuple[Path, str]:
    if "artifact" not in form.files:
        raise BadInput("the form has no file 'artifact'; send the model as one, as in curl -F artifact=@model.onnx")
    path, filename = form.files["artifact"]
    if path.stat().st_size == 0:
        raise BadInput(f"the file {filename[:80]!r} is empty; save the model again")
    return path, filename


def _sample(form: Form) -> Any:
    if "sample" not in form.files:
        return None
    path, filename = form.files["sample"]
    return samples.read(path, filename)


def _tags(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        tags = json.loads(text)
    except ValueError as error:
        raise BadInput(f"tags are not JSON: {error}") from error
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise BadInput('tags are a JSON object of texts, as in {"team": "risk"}')
    return tags


HANDLERS = [deploy]
