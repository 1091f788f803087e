"""The yardstick: FastAPI with pydantic models and onnxruntime, the way a tutorial writes it. It records nothing."""

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
outputs = [output.name for output in session.get_outputs()]


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(BaseModel):
    id: str | None = None
    inputs: list[Tensor]


class InferResponse(BaseModel):
    model_name: str
    outputs: list[Tensor]


@app.get("/v2/health/ready")
async def ready() -> dict[str, Any]:
    return {}


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: InferRequest) -> InferResponse:
    tensor = request.inputs[0]
    rows = np.asarray(tensor.data, np.float32).reshape(tensor.shape)
    found = dict(zip(outputs, session.run(outputs, {tensor.name: rows}), strict=True))
    return InferResponse(model_name=name, outputs=[_tensor(name, array) for name, array in found.items()])


def _tensor(name: str, array: Any) -> Tensor:
    return Tensor(name=name, shape=list(array.shape), datatype="FP32", data=array.ravel().tolist())
