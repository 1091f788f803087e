"""One call through grpcio with the bytes on standard input; prints the outputs as JSON. `ask_grpc.py PORT`."""

import json
import sys

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

DTYPES = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}

with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
    call = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=None,
        response_deserializer=service_pb2.ModelInferResponse.FromString,
    )
    reply = call(sys.stdin.buffer.read()[5:], timeout=20, wait_for_ready=True)
found = {}
for place, tensor in enumerate(reply.outputs):
    if tensor.datatype not in DTYPES:
        continue
    if reply.raw_output_contents:
        found[tensor.name] = np.frombuffer(reply.raw_output_contents[place], DTYPES[tensor.datatype]).tolist()
    else:
        found[tensor.name] = [*tensor.contents.fp32_contents, *tensor.contents.fp64_contents]
print(json.dumps(found))
