"""/api/docs: the OpenAPI document as a page that needs nothing from the internet, and as JSON."""

from html import escape
from typing import Any

from litestar import MediaType, Request, Response, get

from payoff.api.engines import House
from payoff.codecs import schema
from payoff.records import merge, names

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
code,pre{font:13px/1.45 ui-monospace,monospace;background:#f4f4f2;border-radius:4px;padding:.1rem .3rem}
pre{padding:.7rem;overflow:auto}summary{cursor:pointer;padding:.35rem 0}b.m{display:inline-block;width:4rem}
details{border-bottom:1px solid #e4e4e0}td{padding:.15rem .8rem .15rem 0;vertical-align:top}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e4e4e4}code,pre{background:#262626}
details{border-color:#333}}"""
_TEXT = {"type": "string"}
_METHODS = ("get", "post", "put", "delete")


@get("/docs/openapi.json", include_in_schema=False, sync_to_thread=True)
def document(request: Request[Any, Any, Any], house: House) -> dict[str, Any]:
    """The OpenAPI document, with the inference paths of every endpoint there is."""
    return _document(request, house)


@get("/docs", include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=True)
def page(request: Request[Any, Any, Any], house: House) -> Response[str]:
    """The same for people."""
    headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(render(_document(request, house)), media_type=MediaType.HTML, headers=headers)


def _document(request: Request[Any, Any, Any], house: Any) -> dict[str, Any]:
    found: dict[str, Any] = request.app.openapi_schema.to_schema()
    own = {path: {method: _refusing(said) for method, said in item.items()} for path, item in found["paths"].items()}
    paths = {
        f"/predict/{one.endpoint}": _predict_path(one.endpoint, schema.body(merge.inputs(one)), house.http_url)
        for one in house.registry.endpoints()
        if not names.is_drill(one.endpoint)
    }
    return found | {"paths": {**own, **paths}}


def _refusing(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation with the one shape that all refusals have, in place of the framework's."""
    answers = {status: said for status, said in operation["responses"].items() if status.startswith("2")}
    return operation | {"responses": {**answers, "default": _refusal(_object("kind", "what"))}}


def _refusal(error: dict[str, Any], **more: Any) -> dict[str, Any]:
    said = _object("error", *more)
    said["properties"] |= {"error": error, **more}
    return {"description": "why not, and what to do", "content": {"application/json": {"schema": said}}}


def _object(*names: str) -> dict[str, Any]:
    """The schema of an object with these texts."""
    return {"type": "object", "required": [*names], "properties": {name: {"type": "string"} for name in names}}


def _predict_path(endpoint: str, body: dict[str, Any], http_url: str) -> dict[str, Any]:
    """The inference path of one endpoint, with the rows it takes."""
    rows: dict[str, Any] = {"application/json": {"schema": body}}
    others = ("application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream")
    content = rows | {kind: {"schema": {"type": "string", "format": "binary"}} for kind in others}
    post = {
        "summary": f"Predict {endpoint}",
        "description": "One answer per row, in order, each with its prediction_id; in the format of Accept.",
        "operationId": f"Predict_{endpoint}",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "answers"}, "default": _refusal(_TEXT, kind=_TEXT)},
    }
    return {"servers": [{"url": http_url}], "post": post}


def render(document: dict[str, Any]) -> str:
    """The document as HTML."""
    info = document["info"]
    parts = [
        f"<!doctype html><meta charset=utf-8><title>{escape(info['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description') or '')}</p>",
        '<p><a href="docs/openapi.json">openapi.json</a></p>',
    ]
    for path, item in document["paths"].items():
        parts += [_operation(path, method, item[method]) for method in _METHODS if method in item]
    return "".join(parts)


def _operation(path: str, method: str, said: dict[str, Any]) -> str:
    text = escape(said.get("description") or "").replace("\n\n", "<p>")
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{escape(one.get('description') or '')}"
        for one in said.get("parameters", [])
    )
    kinds = ", ".join(map(escape, said.get("requestBody", {}).get("content", {})))
    head = f"<b class=m>{method.upper()}</b> <code>{escape(path)}</code> {escape(said.get('summary') or '')}"
    body = f"<p>Body: <code>{kinds}</code>" if kinds else ""
    return f"<details><summary>{head}</summary><p>{text}<table>{rows}</table>{body}</details>"


HANDLERS = [document, page]
