"""gRPC as grpcio serves it: `grpc.aio`, one model call for each request."""

import sys

import grpc
import models
import numpy as np
import uvloop
from tritonclient.grpc import service_pb2

RUNS = {name: models.load(name) for name in models.NAMES}


async def infer(request, context):
    name = request.model_name
    rows = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tuple(request.inputs[0].shape))
    found = RUNS[name](rows)
    answer = service_pb2.ModelInferResponse(model_name=name, model_version="1")
    output = answer.outputs.add(name=models.OUTPUTS[name], datatype=models.DATATYPES[name])
    output.shape.extend(found.shape)
    answer.raw_output_contents.append(found.tobytes())
    return answer


async def main(port):
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        infer, service_pb2.ModelInferRequest.FromString, service_pb2.ModelInferResponse.SerializeToString
    )
    handler = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": method})
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
