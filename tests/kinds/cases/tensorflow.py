"""TensorFlow: SavedModel folders, over a matrix, over inputs by name with text, and by a signature of one's own."""

from tests.kinds.case import Case

TENSORFLOW = ("tensorflow-cpu==2.21.0",)
START = """
import json

import numpy as np
import tensorflow as tf

numbers = np.random.default_rng(1)


def write(rows, **expected):
    with open("sample.json", "w") as file:
        json.dump(rows, file)
    with open("expected.json", "w") as file:
        json.dump({name: np.asarray(values).tolist() for name, values in expected.items()}, file)


x = numbers.normal(size=(40, 3)).round(4)
matrix_rows = [dict(zip(["age", "income", "visits"], row)) for row in x.tolist()]
"""

MATRIX = (
    START
    + """
class Model(tf.Module):
    def __init__(self):
        self.weights = tf.Variable(numbers.normal(size=(3, 2)), dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])
    def score(self, x):
        hidden = tf.tanh(x @ self.weights)
        return {"score": tf.reduce_sum(hidden, 1), "best": tf.argmax(hidden, 1)}


model = Model()
tf.saved_model.save(model, "model", signatures=model.score)
write(matrix_rows, **model.score(tf.constant(x, tf.float32)))
"""
)

BY_NAME = (
    START
    + """
class Model(tf.Module):
    def __init__(self):
        words = tf.lookup.KeyValueTensorInitializer(["admin", "services"], [1.0, 2.0])
        self.words = tf.lookup.StaticHashTable(words, 0.0)

    @tf.function(input_signature=[tf.TensorSpec((None, 1), tf.float32), tf.TensorSpec((None, 1), tf.string)])
    def score(self, age, job):
        return {"score": age * 2 + self.words.lookup(job), "upper": tf.strings.upper(job)}


model = Model()
tf.saved_model.save(model, "model", signatures={"score": model.score})
rows = [{"age": 20.5 + n, "job": ["admin", "services", "nobody"][n % 3]} for n in range(30)]
answer = model.score(tf.constant([[row["age"]] for row in rows]), tf.constant([[row["job"]] for row in rows]))
write(rows, score=answer["score"][:, 0], upper=[row["job"].upper() for row in rows])
"""
)

CASES = [
    Case("tensorflow", MATRIX, "model", "tensorflow", "onnx", TENSORFLOW, heavy=True),
    Case("tensorflow native", MATRIX, "model", "tensorflow", "native", TENSORFLOW, said={"native": True}, heavy=True),
    Case(
        "tensorflow by name",
        BY_NAME,
        "model",
        "tensorflow",
        "native",
        TENSORFLOW,
        said={"options": {"signature": "score"}},
        heavy=True,
    ),
]
