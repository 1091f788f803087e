"""The messages of the Open Inference Protocol over gRPC, of Triton's extensions, and of gRPC's own services.

What is public of them, names and numbers, stands here in a short form of our own; protobuf makes classes of it when the
first is asked for. They live in a pool of their own: a model in the same process may bring the same names
(`tritonclient` does), and protobuf allows a name only once in a pool.

A line is a message and its fields: number, name, type; `*` is repeated, `{}` a map from text, `|` one of several. A
service is a line of its methods: what they are asked with and what they answer, `*` for streams of it.
https://github.com/kserve/open-inference-protocol, https://github.com/grpc/grpc/blob/master/doc/health-checking.md,
https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from payoff.errors import BadInput

OIP = """
ServerLiveRequest
ServerLiveResponse: 1 live bool
ServerReadyRequest
ServerReadyResponse: 1 ready bool
ModelReadyRequest: 1 name string, 2 version string
ModelReadyResponse: 1 ready bool
ServerMetadataRequest
ServerMetadataResponse: 1 name string, 2 version string, 3 extensions string*
ModelMetadataRequest: 1 name string, 2 version string
ModelMetadataResponse: 1 name string, 2 versions string*, 3 platform string, 4 inputs .TensorMetadata*, \
    5 outputs .TensorMetadata*
ModelMetadataResponse.TensorMetadata: 1 name string, 2 datatype string, 3 shape int64*
InferParameter: 1 bool_param bool|, 2 int64_param int64|, 3 string_param string|, 4 double_param double|, \
    5 uint64_param uint64|
InferTensorContents: 1 bool_contents bool*, 2 int_contents int32*, 3 int64_contents int64*, 4 uint_contents uint32*, \
    5 uint64_contents uint64*, 6 fp32_contents float*, 7 fp64_contents double*, 8 bytes_contents bytes*
ModelInferRequest: 1 model_name string, 2 model_version string, 3 id string, 4 parameters InferParameter{}, \
    5 inputs .InferInputTensor*, 6 outputs .InferRequestedOutputTensor*, 7 raw_input_contents bytes*
ModelInferRequest.InferInputTensor: 1 name string, 2 datatype string, 3 shape int64*, 4 parameters InferParameter{}, \
    5 contents InferTensorContents
ModelInferRequest.InferRequestedOutputTensor: 1 name string, 2 parameters InferParameter{}
ModelInferResponse: 1 model_name string, 2 model_version string, 3 id string, 4 parameters InferParameter{}, \
    5 outputs .InferOutputTensor*, 6 raw_output_contents bytes*
ModelInferResponse.InferOutputTensor: 1 name string, 2 datatype string, 3 shape int64*, 4 parameters InferParameter{}, \
    5 contents InferTensorContents
ModelStreamInferResponse: 1 error_message string, 2 infer_response ModelInferResponse
ModelConfigRequest: 1 name string, 2 version string
ModelConfigResponse: 1 config ModelConfig
ModelConfig: 1 name string, 2 platform string, 3 version_policy ModelVersionPolicy, 4 max_batch_size int32, \
    5 input ModelInput*, 6 output ModelOutput*, 11 dynamic_batching ModelDynamicBatching, 17 backend string, \
    19 model_transaction_policy ModelTransactionPolicy
ModelVersionPolicy: 1 latest .Latest
ModelVersionPolicy.Latest: 1 num_versions uint32
ModelInput: 1 name string, 2 data_type DataType, 4 dims int64*, 8 optional bool
ModelOutput: 1 name string, 2 data_type DataType, 3 dims int64*
ModelDynamicBatching: 1 preferred_batch_size int32*, 2 max_queue_delay_microseconds uint64
ModelTransactionPolicy: 1 decoupled bool
ModelStatisticsRequest: 1 name string, 2 version string
ModelStatisticsResponse: 1 model_stats ModelStatistics*
ModelStatistics: 1 name string, 2 version string, 3 last_inference uint64, 4 inference_count uint64, \
    5 execution_count uint64, 6 inference_stats InferStatistics
InferStatistics: 1 success StatisticDuration, 2 fail StatisticDuration, 3 queue StatisticDuration, \
    4 compute_input StatisticDuration, 5 compute_infer StatisticDuration, 6 compute_output StatisticDuration, \
    7 cache_hit StatisticDuration, 8 cache_miss StatisticDuration
StatisticDuration: 1 count uint64, 2 ns uint64
ModelRepositoryParameter: 1 bool_param bool|, 2 int64_param int64|, 3 string_param string|, 4 bytes_param bytes|
RepositoryIndexRequest: 1 repository_name string, 2 ready bool
RepositoryIndexResponse: 1 models .ModelIndex*
RepositoryIndexResponse.ModelIndex: 1 name string, 2 version string, 3 state string, 4 reason string
RepositoryModelLoadRequest: 1 repository_name string, 2 model_name string, 3 parameters ModelRepositoryParameter{}
RepositoryModelLoadResponse
RepositoryModelUnloadRequest: 1 repository_name string, 2 model_name string, 3 parameters ModelRepositoryParameter{}
RepositoryModelUnloadResponse
SystemSharedMemoryStatusRequest: 1 name string
SystemSharedMemoryStatusResponse: 1 regions .RegionStatus{}
SystemSharedMemoryStatusResponse.RegionStatus: 1 name string, 2 key string, 3 offset uint64, 4 byte_size uint64
SystemSharedMemoryRegisterRequest: 1 name string, 2 key string, 3 offset uint64, 4 byte_size uint64
SystemSharedMemoryRegisterResponse
SystemSharedMemoryUnregisterRequest: 1 name string
SystemSharedMemoryUnregisterResponse
CudaSharedMemoryStatusRequest: 1 name string
CudaSharedMemoryStatusResponse: 1 regions .RegionStatus{}
CudaSharedMemoryStatusResponse.RegionStatus: 1 name string, 2 device_id uint64, 3 byte_size uint64
CudaSharedMemoryRegisterRequest: 1 name string, 2 raw_handle bytes, 3 device_id int64, 4 byte_size uint64
CudaSharedMemoryRegisterResponse
CudaSharedMemoryUnregisterRequest: 1 name string
CudaSharedMemoryUnregisterResponse
TraceSettingRequest: 1 settings .SettingValue{}, 2 model_name string
TraceSettingRequest.SettingValue: 1 value string*
TraceSettingResponse: 1 settings .SettingValue{}
TraceSettingResponse.SettingValue: 1 value string*
LogSettingsRequest: 1 settings .SettingValue{}
LogSettingsRequest.SettingValue: 1 bool_param bool|, 2 uint32_param uint32|, 3 string_param string|
LogSettingsResponse: 1 settings .SettingValue{}
LogSettingsResponse.SettingValue: 1 bool_param bool|, 2 uint32_param uint32|, 3 string_param string|
"""
DATA_TYPES = (
    "INVALID", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64",
    "STRING", "BF16",
)  # fmt: skip
HEALTH = """
HealthCheckRequest: 1 service string
HealthCheckResponse: 1 status ServingStatus
"""
SERVING = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
REFLECTION = """
ServerReflectionRequest: 1 host string, 3 file_by_filename string|message_request, \
    4 file_containing_symbol string|message_request, 5 file_containing_extension ExtensionRequest|message_request, \
    6 all_extension_numbers_of_type string|message_request, 7 list_services string|message_request
ExtensionRequest: 1 containing_type string, 2 extension_number int32
ServerReflectionResponse: 1 valid_host string, 2 original_request ServerReflectionRequest, \
    4 file_descriptor_response FileDescriptorResponse|message_response, \
    5 all_extension_numbers_response ExtensionNumberResponse|message_response, \
    6 list_services_response ListServiceResponse|message_response, 7 error_response ErrorResponse|message_response
FileDescriptorResponse: 1 file_descriptor_proto bytes*
ExtensionNumberResponse: 1 base_type_name string, 2 extension_number int32*
ListServiceResponse: 1 service ServiceResponse*
ServiceResponse: 1 name string
ErrorResponse: 1 error_code int32, 2 error_message string
"""
_UNARY = (
    "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer", "ModelConfig",
    "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload", "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister", "SystemSharedMemoryUnregister", "CudaSharedMemoryStatus", "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister", "TraceSetting", "LogSettings",
)  # fmt: skip
SERVICES = {
    "grpc_service.proto": (
        "GRPCInferenceService",
        ", ".join(f"{name} {name}Request {name}Response" for name in _UNARY)
        + ", ModelStreamInfer ModelInferRequest* ModelStreamInferResponse*",
    ),
    "grpc/health/v1/health.proto": (
        "Health",
        "Check HealthCheckRequest HealthCheckResponse, Watch HealthCheckRequest HealthCheckResponse*",
    ),
} | {
    f"grpc/reflection/{version}/reflection.proto": (
        "ServerReflection",
        "ServerReflectionInfo ServerReflectionRequest* ServerReflectionResponse*",
    )
    for version in ("v1", "v1alpha")
}
_FILES: dict[str, tuple[str, str, dict[str, tuple[str, ...]]]] = {
    "grpc_service.proto": ("inference", OIP, {"DataType": tuple(f"TYPE_{name}" for name in DATA_TYPES)}),
    "grpc/health/v1/health.proto": ("grpc.health.v1", HEALTH, {"ServingStatus": SERVING}),
    "grpc/reflection/v1/reflection.proto": ("grpc.reflection.v1", REFLECTION, {}),
    "grpc/reflection/v1alpha/reflection.proto": ("grpc.reflection.v1alpha", REFLECTION, {}),
}
_FIELD = re.compile(r"(\d+) (\w+) (\.?\w+)(\*|\{\}|\|\w*)?")
_METHOD = re.compile(r"(\w+) (\w+)(\*?) (\w+)(\*?)")
_KINDS = descriptor_pb2.FieldDescriptorProto


@cache
def message(name: str) -> type[Message]:
    """The class of a message by its full name, such as "inference.ModelInferRequest"."""
    found: type[Message] = message_factory.GetMessageClass(pool().FindMessageTypeByName(name))
    return found


def parsed(name: str, data: bytes) -> Any:
    """A message of some bytes; BadInput if they are none."""
    try:
        return message(name).FromString(data)
    except DecodeError as error:
        raise BadInput(f"the message is no {name}: {error}") from error


def fill(target: Any, said: Mapping[str, Any]) -> Any:
    """Put plain values, as JSON has them, into a message; what it has no field for is left out. Gives the message."""
    for name, value in said.items():
        field = target.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            continue
        held = getattr(target, name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key, one in value.items():
                fill(held[key], one)
        elif field.is_repeated and field.message_type is not None:
            for one in value:
                fill(held.add(), one)
        elif field.is_repeated:
            held.extend(value)
        elif field.message_type is not None:
            held.SetInParent()
            fill(held, value)
        else:
            setattr(target, name, field.enum_type.values_by_name[value].number if field.enum_type else value)
    return target


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """All that is defined here."""
    found = descriptor_pool.DescriptorPool()
    for file in files():
        found.Add(file)
    return found


def files() -> list[descriptor_pb2.FileDescriptorProto]:
    """The definitions as protobuf describes itself."""
    return [_file(name, *said) for name, said in _FILES.items()]


def _file(name: str, package: str, lines: str, enums: dict[str, tuple[str, ...]]) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    for enum, values in enums.items():
        made = file.enum_type.add(name=enum)
        for number, value in enumerate(values):
            made.value.add(name=value, number=number)
    known: dict[str, Any] = {}
    for line in lines.strip().splitlines():
        full, _, fields = line.partition(":")
        outer, _, inner = full.rpartition(".")
        known[full] = known[outer].nested_type.add(name=inner) if outer else file.message_type.add(name=inner)
        for field in _FIELD.finditer(fields):
            _add(known[full], full, field, f".{package}.", enums)
    service, methods = SERVICES[name]
    served = file.service.add(name=service)
    for method, asks, many_asked, answers, many_answers in _METHOD.findall(methods):
        made = served.method.add(name=method, input_type=f".{package}.{asks}", output_type=f".{package}.{answers}")
        made.client_streaming, made.server_streaming = bool(many_asked), bool(many_answers)
    return file


def _add(to: Any, full: str, said: re.Match[str], package: str, enums: dict[str, tuple[str, ...]]) -> None:
    """One field of a message."""
    number, name, kind, how = said.groups()
    field = to.field.add(name=name, number=int(number), label=_KINDS.LABEL_OPTIONAL)
    field.type = getattr(_KINDS, f"TYPE_{kind.upper()}", _KINDS.TYPE_ENUM if kind in enums else _KINDS.TYPE_MESSAGE)
    if field.type in (_KINDS.TYPE_ENUM, _KINDS.TYPE_MESSAGE):
        field.type_name = f"{package}{full}{kind}" if kind.startswith(".") else package + kind
    if how and how[0] == "|":
        if not to.oneof_decl:
            to.oneof_decl.add(name=how[1:] or "parameter_choice")
        field.oneof_index = 0
    elif how:
        field.label = _KINDS.LABEL_REPEATED
    if how == "{}":
        entry = to.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=_KINDS.TYPE_STRING, label=_KINDS.LABEL_OPTIONAL)
        entry.field.add(name="value", number=2, type=field.type, type_name=field.type_name, label=_KINDS.LABEL_OPTIONAL)
        field.type, field.type_name = _KINDS.TYPE_MESSAGE, f"{package}{full}.{entry.name}"
