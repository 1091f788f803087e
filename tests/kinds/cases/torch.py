"""PyTorch: TorchScript and exported programs, over one matrix, over inputs by name, over images, and by the row."""

from tests.kinds.case import Case

TORCH = "torch==2.13.0"
START = """
import json

import numpy as np
import torch
from torch import nn

torch.manual_seed(1)
numbers = np.random.default_rng(1)
AUTO = torch.export.Dim.AUTO


def write(rows, **expected):
    with open("sample.json", "w") as file:
        json.dump(rows, file)
    with open("expected.json", "w") as file:
        json.dump({name: values.detach().numpy().tolist() for name, values in expected.items()}, file)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        return self.layers(x)


class Shop(nn.Module):
    def __init__(self):
        super().__init__()
        self.items, self.last = nn.Embedding(10, 4), nn.Linear(5, 3)

    def forward(self, item, price):
        logits = self.last(torch.cat([self.items(item), price.unsqueeze(-1)], 1))
        return {"logits": logits, "best": logits.argmax(1)}


class Looks(nn.Module):
    def __init__(self):
        super().__init__()
        self.look, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, image):
        pixels = image.permute(0, 3, 1, 2).float() / 255
        return torch.softmax(self.last(torch.relu(self.look(pixels)).mean((2, 3))), 1)


x = numbers.normal(size=(40, 4)).round(4)
matrix = torch.tensor(x, dtype=torch.float32)
matrix_rows = [dict(zip(["age", "income", "visits", "score"], row)) for row in x.tolist()]
item, price = torch.arange(40) % 10, torch.linspace(0, 5, 40)
shop_rows = [{"price": round(p, 4), "item": i} for i, p in zip(item.tolist(), price.tolist())]
price = torch.tensor([row["price"] for row in shop_rows])
images = torch.tensor(numbers.integers(0, 256, (20, 8, 9, 3)), dtype=torch.uint8)
"""

SCRIPT = (
    START
    + """
model = Net().eval()
torch.jit.script(model).save("model.pt")
write(matrix_rows, prediction=model(matrix)[:, 0])
"""
)

TRACE = (
    START
    + """
model = Net().eval()
torch.jit.trace(model, matrix).save("model.pt")
write([{"x": row} for row in x.tolist()], prediction=model(matrix)[:, 0])
"""
)

SCRIPT_BY_NAME = (
    START
    + """
model = Shop().eval()
torch.jit.script(model).save("model.pth")
write(shop_rows, **model(item, price))
"""
)

EXPORT = (
    START
    + """
model = Net().eval()
torch.export.save(torch.export.export(model, (matrix,), dynamic_shapes=({0: AUTO},)), "model.pt2")
write(matrix_rows, prediction=model(matrix)[:, 0])
"""
)

EXPORT_BY_NAME = (
    START
    + """
model = Shop().eval()
torch.export.save(torch.export.export(model, (item, price), dynamic_shapes=({0: AUTO}, {0: AUTO})), "model.pt2")
write(shop_rows, **model(item, price))
"""
)

EXPORT_IMAGES = (
    START
    + """
model = Looks().eval()
torch.export.save(torch.export.export(model, (images,), dynamic_shapes=({0: AUTO},)), "model.pt2")
write([{"image": image} for image in images.tolist()], prediction=model(images))
"""
)

EXPORT_FIXED = (
    START
    + """
model = Net().eval()
torch.export.save(torch.export.export(model, (matrix[:1],)), "model.pt2")
write(matrix_rows, prediction=model(matrix)[:, 0])
"""
)

SCRIPTED = {"requirements": [TORCH]}  # TorchScript does not say which PyTorch wrote it

CASES = [
    Case("torch script", SCRIPT, "model.pt", "torch", "onnx", (TORCH,), said=SCRIPTED, heavy=True),
    Case(
        "torch trace native",
        TRACE,
        "model.pt",
        "torch",
        "native",
        (TORCH,),
        said={**SCRIPTED, "native": True},
        heavy=True,
    ),
    Case("torch script by name", SCRIPT_BY_NAME, "model.pth", "torch", "native", (TORCH,), said=SCRIPTED, heavy=True),
    Case("torch export", EXPORT, "model.pt2", "torch", "onnx", (TORCH,), heavy=True),
    Case("torch export native", EXPORT, "model.pt2", "torch", "native", (TORCH,), said={"native": True}, heavy=True),
    Case("torch export by name", EXPORT_BY_NAME, "model.pt2", "torch", "onnx", (TORCH,), heavy=True),
    Case("torch export images", EXPORT_IMAGES, "model.pt2", "torch", "onnx", (TORCH,), heavy=True),
    Case("torch export of one row", EXPORT_FIXED, "model.pt2", "torch", "native", (TORCH,), heavy=True),
]
