"""All that the Open Inference Protocol and Triton's extensions ask of a server besides inference.

A path leads to what answers each method there. What payoff does not do is refused with what it does instead, and what
merely asks is answered, for tools ask before they begin.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from payoff.codecs import model_config
from payoff.codecs.checks import shorten
from payoff.codecs.jsontext import parse
from payoff.doors import totals
from payoff.errors import BadInput, NotFound, Unavailable
from payoff.gateway import tensors
from payoff.gateway.reply import Reply
from payoff.gateway.repository import Repository, trouble
from payoff.gateway.shared_memory import Region, Regions
from payoff.gateway.statistics import statistics
from payoff.records import Signature
from payoff.serving import Desk, Live
from payoff.store import sheets
from payoff.version import VERSION

EXTENSIONS = (
    "binary_tensor_data", "classification", "logging", "model_configuration", "model_repository", "parameters",
    "schedule_policy", "statistics", "trace",
)  # fmt: skip
_TRACE = {
    "trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0", "trace_file": "",
    "trace_mode": "opentelemetry",
}  # fmt: skip
_LOGGING = {
    "log_file": "", "log_info": True, "log_warning": True, "log_error": True, "log_verbose_level": 0,
    "log_format": "default",
}  # fmt: skip
_HOW = "POST rows to /predict/ENDPOINT, or use /v2/models/ENDPOINT/infer"
_MODEL = r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"
_ANY = r"/v2(?:/models/(?P<name>[^/]+))?"
_REGION = r"/v2/systemsharedmemory(?:/region/(?P<name>[^/]+))?"
_CUDA = r"/v2/cudasharedmemory(?:/region/(?P<name>[^/]+))?"

Answered = Reply | Coroutine[Any, Any, Reply]
Answers = Mapping[bytes, Callable[[bytes], Answered]]  # by method, of the request's body


class V2:
    """The paths of one worker. `rows_max` is how many rows one call may bring."""

    def __init__(self, desk: Desk, home: Path, regions: Regions, repository: Repository, rows_max: int) -> None:
        self._desk = desk
        self.home = home
        self.regions = regions
        self._repository = repository
        self._rows_max = rows_max
        self._paths = [(re.compile(path), _reads(get), post) for path, get, post in self._table()]

    def answers(self, path: str) -> Answers | None:
        """What answers each method at a path; None if nothing is there."""
        for pattern, reads, post in self._paths:
            if found := pattern.fullmatch(path):
                named = found.groupdict()
                ways = reads if post is None else {**reads, b"POST": post}
                return {method: partial(answer, **named) for method, answer in ways.items()}
        return None

    def _table(self) -> list[tuple[str, Callable[..., Answered] | None, Callable[..., Answered] | None]]:
        """Paths, what answers GET and HEAD there, and what answers POST."""
        return [
            (r"/v2/?", self._server, None),
            (r"/v2/health/(?P<what>live|ready)", _healthy, None),
            (r"/|/v2/models/?", self._endpoints, None),
            (r"/v2/models/stats", self._all_statistics, None),
            (rf"{_MODEL}/?", self._metadata, None),
            (rf"{_MODEL}/ready", self._ready, None),
            (rf"{_MODEL}/config", self._config, None),
            (rf"{_MODEL}/stats", self._statistics, None),
            (rf"{_ANY}/trace/setting", self._trace, self._trace),
            (r"/v2/logging", _logging, _logging),
            (r"/v2/repository/index", None, self._index),
            (r"/v2/repository/models/(?P<name>[^/]+)/load", None, self._load),
            (r"/v2/repository/models/(?P<name>[^/]+)/unload", None, self._unload),
            (rf"{_REGION}/status", self._registered, None),
            (rf"{_REGION}/register", None, self._register),
            (rf"{_REGION}/unregister", None, self._unregister),
            (rf"{_CUDA}/status", _no_cuda, None),
            (rf"{_CUDA}/register", None, _refuse_cuda),
            (rf"{_CUDA}/unregister", None, _no_cuda),
        ]

    # -- the server

    def _server(self, body: bytes) -> Reply:
        memory = ["system_shared_memory"] if self.regions.allowed else []
        return _json({"name": "payoff", "version": VERSION, "extensions": [*EXTENSIONS, *memory]})

    def _endpoints(self, body: bytes) -> Reply:
        names = self._desk.names()
        return _json({"payoff": VERSION, "endpoints": names, "models": names, "how": _HOW})

    # -- one endpoint

    def live(self, name: str, version: str | None) -> Live:
        """An endpoint, if it answers as that version; None for any."""
        live = self._desk.find(name)
        if version is not None and version != str(live.revision.number):
            raise NotFound(
                f"{name} answers as revision {live.revision.number}; leave /versions/{version[:20]} out of the path: "
                "on payoff the endpoint chooses the model version"
            )
        return live

    def _metadata(self, body: bytes, name: str, version: str | None) -> Reply:
        return tensors.metadata(self.live(name, version))

    def _ready(self, body: bytes, name: str, version: str | None) -> Reply:
        live = self.live(name, version)
        if (reason := trouble(live)) and not live.has_fallback:
            raise Unavailable(f"{name} is not ready: {reason}")
        return _json({"ready": True, "name": name})

    def _config(self, body: bytes, name: str, version: str | None) -> Reply:
        live = self.live(name, version)
        signature = Signature(live.inputs, tensors.outputs(live))
        return _json(model_config.config(name, signature, self._rows_max))

    async def _statistics(self, body: bytes, name: str, version: str | None) -> Reply:
        """On a thread, as the next: with many endpoints it takes a while, and calls go first."""
        live = self.live(name, version)
        found = await asyncio.to_thread(totals.total, self.home, name)
        return _json(statistics([(found, str(live.revision.number))]))

    async def _all_statistics(self, body: bytes) -> Reply:
        found = await asyncio.to_thread(lambda: totals.totals(sheets.read(self.home)))
        lives = self._desk.lives
        return _json(
            statistics((one, str(lives[one.endpoint].revision.number)) for one in found if one.endpoint in lives)
        )

    # -- what can be asked and not changed

    def _trace(self, body: bytes, name: str | None) -> Reply:
        if name is not None:
            self._desk.find(name)
        _refuse_settings(body, _TRACE, "traces are OpenTelemetry's here, and set where payoff is started")
        return _json(_TRACE)

    # -- the repository

    def _index(self, body: bytes) -> Reply:
        return Reply(orjson.dumps(self._repository.index(_said(body).get("ready") is True)))

    async def _load(self, body: bytes, name: str) -> Reply:
        await self._repository.load(name, _parameters(body))
        return _json({})

    def _unload(self, body: bytes, name: str) -> Reply:
        self._repository.unload(name)

    # -- shared memory

    def _registered(self, body: bytes, name: str | None) -> Reply:
        return Reply(orjson.dumps(self.regions.registered(name)))

    def _register(self, body: bytes, name: str | None) -> Reply:
        said = _said(body)
        key, offset, size = said.get("key"), said.get("offset", 0), said.get("byte_size")
        if name is None or type(key) is not str or type(offset) is not int or type(size) is not int:
            raise BadInput(
                f"region {shorten(name)} is {shorten(said)}; expected key as text, offset and byte_size as numbers"
            )
        self.regions.register(Region(name, key, offset, size))
        return _json({})

    def _unregister(self, body: bytes, name: str | None) -> Reply:
        self.regions.unregister(name)
        return _json({})


def _reads(get: Callable[..., Answered] | None) -> dict[bytes, Callable[..., Answered]]:
    return {} if get is None else {b"GET": get, b"HEAD": get}


def _healthy(body: bytes, what: str) -> Reply:
    return _json({what: True})


def _logging(body: bytes) -> Reply:
    _refuse_settings(body, _LOGGING, "the log goes to where payoff is started, and all of it")
    return _json(_LOGGING)


def _no_cuda(body: bytes, name: str | None) -> Reply:
    return Reply(b"[]")


def _refuse_cuda(body: bytes, name: str | None) -> Reply:
    raise BadInput("CUDA shared memory is not supported; use system shared memory, or send the data in the body")


def _refuse_settings(body: bytes, held: Mapping[str, Any], why: str) -> None:
    """Nothing, if the settings wanted are those there are."""
    for name, value in _said(body).items():
        if value is not None and value != held.get(name):
            raise BadInput(f"setting {shorten(name)} cannot be changed from here: {why}")


def _parameters(body: bytes) -> Mapping[str, Any]:
    given = _said(body).get("parameters") or {}
    if type(given) is not dict:
        raise BadInput(f"parameters is {shorten(given)}; expected an object")
    return given


def _said(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a small request; an empty body is an empty one."""
    said = parse(body) if body.strip() else {}
    if type(said) is not dict:
        raise BadInput(f"body is {shorten(said)}; expected an object")
    return said


def _json(content: Mapping[str, Any]) -> Reply:
    return Reply(orjson.dumps(content))
