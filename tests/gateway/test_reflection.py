"""What tools that ask a gRPC server for its methods find, told by grpcio's own client for that, at both servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.grpc import service_pb2

from tests.gateway.test_grpc import doors
from tests.gateway.test_grpcio import place
from tests.shared import PATIENCE_S

INFERENCE = "inference.GRPCInferenceService"
PACKAGES = ("grpc.reflection.v1", "grpc.reflection.v1alpha")
KEY = "k" * 24


@pytest.fixture(scope="module", params=["own", "grpcio"])
def channel(request: pytest.FixtureRequest, home: Path) -> Iterator[grpc.Channel]:
    if request.param == "grpcio":
        with place(home) as address, grpc.insecure_channel(address) as found:
            grpc.channel_ready_future(found).result(timeout=PATIENCE_S)
            yield found
        return
    with doors(home) as worker, grpc.insecure_channel(worker.grpc) as found:
        yield found


@pytest.fixture
def database(channel: grpc.Channel) -> ProtoReflectionDescriptorDatabase:
    return ProtoReflectionDescriptorDatabase(channel)


@pytest.fixture
def pool(database: ProtoReflectionDescriptorDatabase) -> DescriptorPool:
    return DescriptorPool(database)


def asked(channel: grpc.Channel, package: str, *requests: dict[str, Any]) -> list[Any]:
    """The answers to several questions on one call. The messages of both versions are the same on the wire."""
    call = channel.stream_stream(
        f"/{package}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return list(call(iter([reflection_pb2.ServerReflectionRequest(**one) for one in requests]), timeout=PATIENCE_S))


def test_every_service_is_listed(database: ProtoReflectionDescriptorDatabase) -> None:
    services = {f"{package}.ServerReflection" for package in PACKAGES} | {INFERENCE, "grpc.health.v1.Health"}
    assert set(database.get_services()) == services


def test_the_methods_are_those_of_triton_s_own_definition(pool: DescriptorPool) -> None:
    ours = FileDescriptorProto()
    pool.FindServiceByName(INFERENCE).file.CopyToProto(ours)
    theirs = FileDescriptorProto.FromString(service_pb2.DESCRIPTOR.serialized_pb)
    for method in theirs.service[0].method:
        method.ClearField("options")  # that are empty
    by_name = {method.name: method for method in theirs.service[0].method}
    assert {method.name: method for method in ours.service[0].method} == by_name


def test_what_reflection_says_of_itself_is_its_public_definition(pool: DescriptorPool) -> None:
    ours, theirs = FileDescriptorProto(), FileDescriptorProto()
    pool.FindServiceByName("grpc.reflection.v1alpha.ServerReflection").file.CopyToProto(ours)
    reflection_pb2.DESCRIPTOR.CopyToProto(theirs)
    theirs.ClearField("options")
    assert ours == FileDescriptorProto(name=ours.name, **{
        field.name: value for field, value in theirs.ListFields() if field.name != "name"
    })  # fmt: skip


def test_a_message_that_is_built_from_what_was_described_is_answered(
    channel: grpc.Channel, pool: DescriptorPool
) -> None:
    method = pool.FindServiceByName(INFERENCE).methods_by_name["ModelInfer"]
    request: Any = GetMessageClass(method.input_type)(model_name="times")
    request.inputs.add(name="x", datatype="FP32", shape=[2]).contents.fp32_contents.extend([1, 8])
    answers = GetMessageClass(method.output_type)
    call = channel.unary_unary(
        f"/{INFERENCE}/ModelInfer",
        request_serializer=lambda said: said.SerializeToString(),
        response_deserializer=answers.FromString,
    )
    said = call(request, timeout=PATIENCE_S)
    at = [output.name for output in said.outputs].index("y")
    assert np.frombuffer(said.raw_output_contents[at], np.float32).tolist() == [2, 16]


@pytest.mark.parametrize("package", PACKAGES)
def test_questions_of_one_call_are_answered_in_their_order_and_one_amiss_does_not_end_it(
    channel: grpc.Channel, package: str
) -> None:
    symbols = [
        INFERENCE, f"{INFERENCE}.ModelInfer", "inference.ModelInferRequest", "inference.ModelInferRequest.inputs",
        "inference.ModelInferRequest.InferInputTensor", "inference.DataType", "grpc.health.v1.Health",
    ]  # fmt: skip
    files = ["grpc_service.proto"] * 6 + ["grpc/health/v1/health.proto"]
    nowhere = [f"{INFERENCE}.Nope", "nope", "", "x" * 9_000]
    questions = [{"file_containing_symbol": symbol} for symbol in (*nowhere, *symbols)]
    said = asked(channel, package, *questions, {"file_by_filename": "grpc_service.proto", "host": "here"})
    for one in said[: len(nowhere)]:
        assert one.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
        assert "list the services first" in one.error_response.error_message
    found = [one.file_descriptor_response.file_descriptor_proto for one in said[len(nowhere) :]]
    assert [FileDescriptorProto.FromString(file).name for (file,) in found] == [*files, "grpc_service.proto"]
    assert (said[-1].valid_host, said[-1].original_request.file_by_filename) == ("here", "grpc_service.proto")


@pytest.mark.parametrize("package", PACKAGES)
def test_there_are_no_extensions_and_no_other_questions(channel: grpc.Channel, package: str) -> None:
    extension = {"containing_type": "inference.ModelInferRequest", "extension_number": 100}
    said = asked(
        channel,
        package,
        {"file_containing_extension": extension},
        {"all_extension_numbers_of_type": "inference.ModelInferRequest"},
        {"all_extension_numbers_of_type": "nope"},
        {"host": "here"},
    )
    assert [one.error_response.error_code for one in said] == [5, 0, 5, 12]
    assert said[1].all_extension_numbers_response.base_type_name == "inference.ModelInferRequest"


def test_what_is_no_question_at_all_ends_the_call_with_our_words(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        list(call(iter([b"\xff\xff"]), timeout=PATIENCE_S))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "the message is no grpc.reflection.v1.ServerReflectionRequest" in str(caught.value.details())


def test_a_server_with_a_key_describes_nothing_without_it(home: Path) -> None:
    with doors(home, key=KEY) as worker:
        channel = grpc.insecure_channel(worker.grpc)
        with channel, pytest.raises(grpc.RpcError) as caught:
            asked(channel, PACKAGES[0], {"list_services": ""})
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
