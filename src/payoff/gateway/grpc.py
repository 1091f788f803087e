"""What can be called over gRPC: the Open Inference Protocol, Triton's extensions, gRPC's health checks and reflection.

ModelInfer and ModelStreamInfer ask the desk. All else is answered by what answers at the HTTP door (`v2`): the same
JSON, put into a message.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from payoff.clock import now_us
from payoff.codecs import proto_infer, wire
from payoff.codecs.proto import SERVING, fill, message, parsed
from payoff.codecs.proto_infer import request
from payoff.errors import NotFound, PayoffError
from payoff.gateway import reflection
from payoff.gateway.grpc_form import Shapes, check_id, told
from payoff.gateway.grpc_status import explain
from payoff.gateway.h2_call import Call, Method, Turn
from payoff.gateway.reply import Reply
from payoff.gateway.shared_memory import Regions
from payoff.gateway.tensors import Tensors
from payoff.gateway.v2 import V2
from payoff.gateway.wished import specially
from payoff.serving import Desk, Live

SERVICE, HEALTH = "inference.GRPCInferenceService", "grpc.health.v1.Health"
Caller = Call | Turn
Say = Callable[[Any], Any]  # a request to plain values for the response, or a coroutine of them
_ERROR, _RESPONSE = 1, 2  # fields of ModelStreamInferResponse


class Infer:
    """ModelInfer, one call or one turn of a stream."""

    def __init__(self, desk: Desk, regions: Regions) -> None:
        self._desk = desk
        self._regions = regions
        self._shapes = Shapes()
        desk.forgetting.append(self._shapes.forget)

    def take(self, caller: Caller, data: bytes) -> None:
        """Give a ModelInferRequest to the desk; its caller hears a ModelInferResponse."""
        try:
            found = self._shapes.find(data)
            if found is None:
                self._take_new(caller, data)
                return
            live, form, asked = found
            shape, timeout_us = asked[0], caller.head.timeout_us
            if shape.id_at is not None:
                check_id(asked)
            deadline_us = None if timeout_us is None else now_us() + timeout_us
            self._desk.take(live, form, asked, shape.rows, caller, deadline_us=deadline_us)
        except Exception as error:
            self._count(data, error)
            raise

    def _count(self, data: bytes, error: Exception) -> None:
        """A call that did not come as far as the desk, which counts the others."""
        try:
            name = request(data).model_name
        except PayoffError:
            name = ""
        self._desk.turned_away(name, "grpc", error)

    def _take_new(self, caller: Caller, data: bytes) -> None:
        said = request(data)
        live = find(self._desk, said.model_name, said.model_version)
        asked = Tensors.of(live).ask(*proto_infer.told(said), self._regions.read)
        form, priority, own_us = specially(self._regions, live, asked)
        timeout_us = caller.head.timeout_us
        theirs_us = None if timeout_us is None else now_us() + timeout_us
        deadlines_us = [us for us in (theirs_us, own_us) if us is not None]
        deadline_us = min(deadlines_us, default=None)
        self._desk.take(live, told(live, form), asked, asked.rows, caller, priority=priority, deadline_us=deadline_us)
        self._shapes.keep(data, said, live, asked.rows)


def find(desk: Desk, name: str, version: str) -> Live:
    """An endpoint; NotFound if there is none, or it does not answer as this revision."""
    live = desk.find(name)
    if version and version != str(live.revision.number):
        raise NotFound(
            f"{name} answers as revision {live.revision.number}; leave model_version empty: on payoff the endpoint "
            "chooses the model version"
        )
    return live


def in_stream(said: Any) -> bytes:
    """An answer as ModelStreamInfer gives it: what went wrong is told in the stream, which goes on."""
    if isinstance(said, Exception):
        return wire.piece(_ERROR, explain(said, "ModelStreamInfer").words.encode())
    return wire.piece(_RESPONSE, said)


class Services:
    """All methods of one worker."""

    def __init__(self, desk: Desk, v2: V2, leaving: Callable[[], bool]) -> None:
        self._desk = desk
        self._v2 = v2
        self._leaving = leaving
        self._tasks: set[asyncio.Task[None]] = set()

    def methods(self) -> dict[bytes, Method]:
        """By the paths they are called at."""
        infer = Infer(self._desk, self._v2.regions)
        found = [
            Method(f"{SERVICE}/ModelInfer", infer.take),
            Method(f"{SERVICE}/ModelStreamInfer", infer.take, streams=True, write=in_stream),
            Method(f"{HEALTH}/Check", self._check),
            Method(f"{HEALTH}/Watch", self._watch, again=self._look),
        ]
        found += [self._method(name, say) for name, say in self._table().items()]
        found += reflection.methods()
        return {f"/{method.name}".encode(): method for method in found}

    def _table(self) -> dict[str, Say]:
        """Unary methods: from a request to the values of the response."""
        get, post = self._get, self._post
        return {
            "ServerLive": lambda said: get("/v2/health/live"),
            "ServerReady": lambda said: get("/v2/health/ready") | ({"ready": False} if self._leaving() else {}),
            "ModelReady": self._ready,
            "ServerMetadata": lambda said: get("/v2"),
            "ModelMetadata": lambda said: get(_model(said)),
            "ModelConfig": lambda said: {"config": get(f"{_model(said)}/config")},
            "ModelStatistics": lambda said: get(f"{_model(said)}/stats" if said.name else "/v2/models/stats"),
            "RepositoryIndex": lambda said: {"models": post("/v2/repository/index", {"ready": said.ready})},
            "RepositoryModelLoad": lambda said: post(f"{_in_repository(said)}/load", _parameters(said)),
            "RepositoryModelUnload": lambda said: post(f"{_in_repository(said)}/unload", {}),
            "SystemSharedMemoryStatus": lambda said: _regions(get(f"{_region('system', said)}/status")),
            "SystemSharedMemoryRegister": self._register,
            "SystemSharedMemoryUnregister": lambda said: post(f"{_region('system', said)}/unregister", {}),
            "CudaSharedMemoryStatus": lambda said: _regions(get(f"{_region('cuda', said)}/status")),
            "CudaSharedMemoryRegister": lambda said: post(f"{_region('cuda', said)}/register", {}),
            "CudaSharedMemoryUnregister": lambda said: post(f"{_region('cuda', said)}/unregister", {}),
            "TraceSetting": self._trace,
            "LogSettings": self._log,
        }

    def _method(self, name: str, say: Say) -> Method:
        asks, answers = f"inference.{name}Request", f"inference.{name}Response"

        def take(caller: Caller, data: bytes) -> None:
            said = say(parsed(asks, data))
            if asyncio.iscoroutine(said):
                self._later(caller, said, answers)
            else:
                caller.hear(_written(answers, said))

        return Method(f"{SERVICE}/{name}", take)

    def _later(self, caller: Caller, said: Coroutine[Any, Any, Any], answers: str) -> None:
        """Answer when it is there; the loop goes on."""

        async def wait() -> None:
            try:
                caller.hear(_written(answers, await said))
            except Exception as error:
                caller.hear(error)

        task = asyncio.get_running_loop().create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what the HTTP door would say

    def _get(self, path: str) -> Any:
        return self._ask(path, b"GET", b"")

    def _post(self, path: str, said: Mapping[str, Any]) -> Any:
        return self._ask(path, b"POST", orjson.dumps(said))

    def _ask(self, path: str, method: bytes, body: bytes) -> Any:
        answers = self._v2.answers(path)
        if answers is None or method not in answers:
            raise NotFound(f"there is no {path.removeprefix('/v2/')[:200]!r} here")
        reply = answers[method](body)
        return orjson.loads(reply.body) if isinstance(reply, Reply) else _awaited(reply)

    def _ready(self, said: Any) -> Any:
        try:
            return self._get(f"{_model(said)}/ready")
        except PayoffError:  # clients ask in order to learn that it is not
            return {"ready": False}

    def _register(self, said: Any) -> Any:
        values = {"key": said.key, "offset": said.offset, "byte_size": said.byte_size}
        return self._post(f"{_region('system', said)}/register", values)

    def _trace(self, said: Any) -> Any:
        path = f"/v2/models/{said.model_name}/trace/setting" if said.model_name else "/v2/trace/setting"
        held = self._get(path)
        wanted = {name: list(setting.value) for name, setting in said.settings.items() if setting.value}
        self._post(path, {name: value if type(held.get(name)) is list else value[0] for name, value in wanted.items()})
        lists = {name: value if type(value) is list else [value] for name, value in held.items()}
        return {"settings": {name: {"value": value} for name, value in lists.items()}}

    def _log(self, said: Any) -> Any:
        wanted = {name: _chosen(setting) for name, setting in said.settings.items()}
        held = self._post("/v2/logging", wanted)
        kinds = {bool: "bool_param", int: "uint32_param", str: "string_param"}
        return {"settings": {name: {kinds[type(value)]: value} for name, value in held.items()}}

    # -- health

    def _check(self, caller: Caller, data: bytes) -> None:
        service = parsed("grpc.health.v1.HealthCheckRequest", data).service
        state = self._state(service)
        if state == "SERVICE_UNKNOWN":
            raise NotFound(f"nothing called {service[:80]!r} is served here")
        caller.hear(_health(state))

    def _watch(self, caller: Any, data: bytes) -> None:
        caller.told = [parsed("grpc.health.v1.HealthCheckRequest", data).service, ""]
        self._look(caller)

    def _look(self, caller: Call) -> None:
        """Whoever watches hears of what has changed."""
        if caller.told is None:
            return  # the question has not come yet
        service, before = caller.told
        caller.told[1] = state = self._state(service)
        if state != before:
            caller.wire.send(caller, _health(state))

    def _state(self, service: str) -> str:
        """All of it, a service, or an endpoint by its name."""
        if not service or service in reflection.services():
            return "NOT_SERVING" if self._leaving() else "SERVING"
        if service not in self._desk.names():
            return "SERVICE_UNKNOWN"
        try:
            return "SERVING" if self._get(f"/v2/models/{service}/ready")["ready"] else "NOT_SERVING"
        except PayoffError:
            return "NOT_SERVING"


async def _awaited(reply: Coroutine[Any, Any, Reply]) -> Any:
    return orjson.loads((await reply).body)


def _written(name: str, said: Any) -> bytes:
    return bytes(fill(message(name)(), said if isinstance(said, Mapping) else {}).SerializeToString())


def _health(state: str) -> bytes:
    return bytes(message("grpc.health.v1.HealthCheckResponse")(status=SERVING.index(state)).SerializeToString())


def _model(said: Any) -> str:
    return f"/v2/models/{said.name}" + (f"/versions/{said.version}" if said.version else "")


def _in_repository(said: Any) -> str:
    return f"/v2/repository/models/{said.model_name}"


def _parameters(said: Any) -> dict[str, Any]:
    given = {name: _chosen(value) for name, value in said.parameters.items()}
    plain = {name: value.decode("latin-1") if type(value) is bytes else value for name, value in given.items()}
    return {"parameters": plain}


def _chosen(value: Any) -> Any:
    choice = value.WhichOneof("parameter_choice")
    return None if choice is None else getattr(value, choice)


def _region(kind: str, said: Any) -> str:
    return f"/v2/{kind}sharedmemory" + (f"/region/{said.name}" if said.name else "")


def _regions(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"regions": {region["name"]: region for region in found}}
