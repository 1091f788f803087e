"""The yardstick: FastAPI at its best, without pydantic on the way: the raw body, orjson both ways. It keeps nothing."""

import models
import orjson
from fastapi import FastAPI, Request, Response

app = FastAPI()
runs = {name: models.load(name) for name in models.NAMES}


@app.get("/v2/health/ready")
async def ready() -> dict[str, str]:
    return {}


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: Request) -> Response:
    rows = models.read(orjson.loads(await request.body()))
    return Response(orjson.dumps(models.write(name, runs[name](rows))), media_type="application/json")
