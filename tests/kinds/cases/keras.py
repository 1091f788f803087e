"""Keras: `.keras` and `.h5`, sequential and functional, with text, with images, on TensorFlow and on JAX."""

from tests.kinds.case import Case

KERAS = ("tensorflow-cpu==2.21.0", "keras==3.15.1")
START = """
import json

import keras
import numpy as np

keras.utils.set_random_seed(1)
numbers = np.random.default_rng(1)


def write(rows, **expected):
    with open("sample.json", "w") as file:
        json.dump(rows, file)
    with open("expected.json", "w") as file:
        json.dump({name: np.asarray(values).tolist() for name, values in expected.items()}, file)


x = numbers.normal(size=(40, 4)).round(4)
matrix_rows = [dict(zip(["age", "income", "visits", "score"], row)) for row in x.tolist()]


def classifier():
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((4,)), *layers])
"""

SEQUENTIAL = (
    START
    + """
model = classifier()
model.save("model.keras")
write(matrix_rows, prediction=model.predict(x, verbose=0))
"""
)

HDF5 = (
    START
    + """
model = classifier()
model.save("model.h5")
write([{"x": row} for row in x.tolist()], prediction=model.predict(x, verbose=0))
"""
)

FUNCTIONAL = (
    START
    + """
age, job = keras.Input((1,), name="age"), keras.Input((1,), name="job", dtype="string")
words = keras.layers.StringLookup(vocabulary=["admin", "services"], output_mode="one_hot")
hidden = keras.layers.Concatenate()([age, words(job)])
score, tiers = keras.layers.Dense(1, name="score")(hidden), keras.layers.Dense(2, name="tiers")(hidden)
model = keras.Model([age, job], [score, tiers])
model.save("model.keras")
rows = [{"age": 20.5 + n, "job": ["admin", "services", "nobody"][n % 3]} for n in range(30)]
import tensorflow as tf

found = model([tf.constant([[row["age"]] for row in rows]), tf.constant([[row["job"]] for row in rows])])
write(rows, score=np.asarray(found[0])[:, 0], tiers=found[1])
"""
)

IMAGES = (
    START
    + """
layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
model = keras.Sequential([keras.Input((8, 9, 3)), *layers, keras.layers.Dense(2)])
model.save("model.keras")
images = numbers.integers(0, 256, (20, 8, 9, 3))
write([{"image": image} for image in images.tolist()], prediction=model.predict(images, verbose=0))
"""
)

CASES = [
    Case("keras sequential", SEQUENTIAL, "model.keras", "keras", "onnx", KERAS, heavy=True),
    Case("keras native", SEQUENTIAL, "model.keras", "keras", "native", KERAS, said={"native": True}, heavy=True),
    Case("keras hdf5", HDF5, "model.h5", "keras", "onnx", KERAS, heavy=True),
    Case("keras functional", FUNCTIONAL, "model.keras", "keras", "native", KERAS, heavy=True),
    Case("keras images", IMAGES, "model.keras", "keras", "onnx", KERAS, heavy=True),
    Case(
        "keras on jax",
        SEQUENTIAL,
        "model.keras",
        "keras",
        "native",
        KERAS,
        said={"options": {"backend": "jax"}},
        heavy=True,
    ),
]
