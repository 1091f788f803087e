"""mosec with its batching on: a front in Rust, a Python process for each model, up to 32 requests in 1 ms together."""

import models
import numpy as np
import orjson
from mosec import Runtime, Server, Worker


class Batched(Worker):
    name = ""

    def __init__(self):
        super().__init__()
        self.run = models.load(self.name)

    def deserialize(self, data):
        return orjson.loads(data)

    def serialize(self, data):
        return orjson.dumps(data)

    def forward(self, data):
        parts = [models.read(body) for body in data]
        ends = np.cumsum([len(part) for part in parts])[:-1]
        return [models.write(self.name, found) for found in np.split(self.run(np.concatenate(parts)), ends)]


class Tabular(Batched):
    name = "tabular"


class Network(Batched):
    name = "network"


class Pipeline(Batched):
    name = "pipeline"


if __name__ == "__main__":
    server = Server()
    runtimes = {f"/v2/models/{worker.name}/infer": [Runtime(worker, num=1, max_batch_size=32, max_wait_time=1)]
                for worker in (Tabular, Network, Pipeline)}  # fmt: skip
    server.register_runtime(runtimes)
    server.run()
