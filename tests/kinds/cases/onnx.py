"""ONNX as it comes: one file, and a folder whose weights lie in a file of their own."""

from tests.kinds.case import Case

SCRIPT = """
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

by = np.array([[0.5], [-0.25]], np.float32)
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "by"], ["sum"]), helper.make_node("Sigmoid", ["sum"], ["probability"])],
    "buyers",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
    [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
    [numpy_helper.from_array(by, "by")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
SAVE
rows = [{"age": n / 10, "visits": n % 7} for n in range(40)]
json.dump(rows, open("sample.json", "w"))
x = np.array([[row["age"], row["visits"]] for row in rows], np.float32)
json.dump({"probability": (1 / (1 + np.exp(-x @ by)))[:, 0].tolist()}, open("expected.json", "w"))
"""
APART = """
import os
os.mkdir("buyers")
onnx.save(model, "buyers/model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
"""

CASES = [
    Case(
        name="onnx",
        artefact="model.onnx",
        flavor="onnx",
        served="onnx",
        requirements=("onnx",),
        script=SCRIPT.replace("SAVE", 'onnx.save(model, "model.onnx")'),
    ),
    Case(
        name="onnx external data",
        artefact="buyers",
        flavor="onnx",
        served="onnx",
        requirements=("onnx",),
        script=SCRIPT.replace("SAVE", APART),
    ),
]
