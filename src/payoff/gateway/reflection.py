"""What can be called here, for tools that ask (`grpcurl list`, `describe`): gRPC's server reflection, v1 and v1alpha.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from payoff.codecs.checks import shorten
from payoff.codecs.proto import SERVICES, fill, message, parsed, pool
from payoff.errors import NotFound
from payoff.gateway.grpc_status import Unimplemented, explain
from payoff.gateway.h2_call import Call, Method, Turn

PACKAGES = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


def methods() -> list[Method]:
    """Any number of questions on one call, each with its answer."""
    return [_method(package) for package in PACKAGES]


@cache
def services() -> tuple[str, ...]:
    """The full names of all services."""
    return tuple(f"{pool().FindFileByName(file).package}.{service}" for file, (service, _) in SERVICES.items())


def _method(package: str) -> Method:
    asks, answers = f"{package}.ServerReflectionRequest", f"{package}.ServerReflectionResponse"

    def take(caller: Call | Turn, data: bytes) -> None:
        said = parsed(asks, data)
        made: Any = message(answers)(valid_host=said.host, original_request=said)
        caller.hear(bytes(fill(made, answer(said)).SerializeToString()))

    return Method(f"{package}.ServerReflection/ServerReflectionInfo", take, streams=True, write=_sound)


def answer(said: Any) -> Mapping[str, Any]:
    """The values of the response to one question; what is not to be had is an answer too."""
    try:
        return _found(said)
    except (NotFound, Unimplemented) as error:
        status = explain(error, "ServerReflectionInfo")
        return {"error_response": {"error_code": int(status.code), "error_message": status.words}}


def _found(said: Any) -> Mapping[str, Any]:
    match said.WhichOneof("message_request"):
        case "list_services":
            return {"list_services_response": {"service": [{"name": name} for name in services()]}}
        case "file_by_filename":
            return _file(_looked_up(said.file_by_filename, pool().FindFileByName))
        case "file_containing_symbol":
            return _file(_containing(said.file_containing_symbol))
        case "all_extension_numbers_of_type":
            name = said.all_extension_numbers_of_type
            _looked_up(name, pool().FindMessageTypeByName)
            return {"all_extension_numbers_response": {"base_type_name": name}}
        case "file_containing_extension":
            raise NotFound(f"{shorten(said.file_containing_extension.containing_type)} has no extensions here")
        case _:
            raise Unimplemented("the request asks nothing that is known here")


def _containing(symbol: str) -> Any:
    """The file of a message, an enum, a service, or of something in one; methods are found by their service."""
    service, _, method = symbol.rpartition(".")
    if service in services():
        found = _looked_up(service, pool().FindServiceByName)
        if method in found.methods_by_name:
            return found.file
    return _looked_up(symbol, pool().FindFileContainingSymbol)


def _looked_up(name: str, find: Any) -> Any:
    try:
        return find(name)
    except KeyError:
        raise NotFound(f"nothing called {shorten(name)} is known here; list the services first") from None


def _file(found: Any) -> Mapping[str, Any]:
    """A file, which needs no other."""
    return {"file_descriptor_response": {"file_descriptor_proto": [found.serialized_pb]}}


def _sound(said: Any) -> bytes:
    """What is no request at all ends the call."""
    if isinstance(said, Exception):
        raise said
    return bytes(said)
