"""JAX: exported functions over a matrix, over a dictionary, for a fixed number of rows, and for one row."""

from tests.kinds.case import Case

JAX = ("jax==0.10.2", "flatbuffers")
START = """
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

numbers = np.random.default_rng(1)
x = numbers.normal(size=(40, 4)).round(4)
weights = jnp.asarray(numbers.normal(size=(4, 2)), jnp.float32)
matrix_rows = [dict(zip(["age", "income", "visits", "score"], row)) for row in x.tolist()]
(batch,) = export.symbolic_shape("batch")


def write(function, shapes, rows, **expected):
    with open("model.jax", "wb") as file:
        file.write(export.export(jax.jit(function))(*shapes).serialize())
    with open("sample.json", "w") as file:
        json.dump(rows, file)
    with open("expected.json", "w") as file:
        json.dump({name: np.asarray(values).tolist() for name, values in expected.items()}, file)


def floats(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)
"""

MATRIX = (
    START
    + """
def predict(x):
    return {"scores": jax.nn.softmax(x @ weights), "total": x.sum(1)}


write(predict, [floats(batch, 4)], matrix_rows, **predict(jnp.asarray(x, jnp.float32)))
"""
)

BY_NAME = (
    START
    + """
def predict(row):
    return row["age"] * 2 + row["visits"]


shapes = {"age": floats(batch), "visits": jax.ShapeDtypeStruct((batch,), jnp.int32)}
rows = [{"age": 20.5 + n, "visits": n} for n in range(30)]
write(predict, [shapes], rows, prediction=[row["age"] * 2 + row["visits"] for row in rows])
"""
)

FIXED = (
    START
    + """
def predict(x):
    return jnp.tanh(x @ weights)


write(predict, [floats(8, 4)], matrix_rows, prediction=predict(jnp.asarray(x, jnp.float32)))
"""
)

ONE_ROW = (
    START
    + """
def predict(x):
    return jnp.tanh(x @ weights).sum()


write(predict, [floats(4)], matrix_rows, prediction=jax.vmap(predict)(jnp.asarray(x, jnp.float32)))
"""
)

CASES = [
    Case("jax", MATRIX, "model.jax", "jax", requirements=JAX, heavy=True),
    Case("jax by name", BY_NAME, "model.jax", "jax", requirements=JAX, heavy=True),
    Case("jax of eight rows", FIXED, "model.jax", "jax", requirements=JAX, heavy=True),
    Case("jax of one row", ONE_ROW, "model.jax", "jax", requirements=JAX, heavy=True),
]
