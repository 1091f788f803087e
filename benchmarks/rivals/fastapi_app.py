"""The yardstick: FastAPI with pydantic models, the way a tutorial writes it. It records nothing."""

from typing import Any

import models
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
runs = {name: models.load(name) for name in models.NAMES}


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
    model_version: str
    outputs: list[Tensor]


@app.get("/v2/health/ready")
async def ready() -> dict[str, Any]:
    return {}


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: InferRequest) -> InferResponse:
    found = models.write(name, runs[name](models.read(request.model_dump())))
    return InferResponse(**found)
