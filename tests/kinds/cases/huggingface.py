"""Hugging Face folders, made on the spot and untrained: one for each task that is served."""

from typing import Any

from tests.kinds.case import Case

NEEDS = ("torch==2.13.0", "transformers==5.23.0", "sentence-transformers==6.2.0", "pillow")
START = """
import json
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers

torch.manual_seed(1)
torch.set_grad_enabled(False)
numbers = np.random.default_rng(1)
words = "[PAD] [UNK] [CLS] [SEP] [MASK] the a good bad film was very not boring great in paris anna lives ##s .".split()
Path("vocab.txt").write_text("\\n".join(words))
tokenizer = transformers.BertTokenizer(vocab="vocab.txt")
sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=37)
texts = ["the film was great", "anna lives in paris . a very good film", "boring", "the bad film was not in paris"]


def bert(kind, labels=None, **more):
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=64, **sizes, **more)
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: place for place, label in enumerate(labels)}
    config.initializer_range = 0.5
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained("model")
    tokenizer.save_pretrained("model")
    return model


def write(rows, **expected):
    with open("sample.json", "w") as file:
        json.dump(rows, file)
    with open("expected.json", "w") as file:
        json.dump({name: np.asarray(values).tolist() for name, values in expected.items()}, file)


rows = [{"text": text} for text in texts]
"""

TEXT_CLASSES = (
    START
    + """
bert("BertForSequenceClassification", ["negative", "positive"])
found = transformers.pipeline("text-classification", "model", top_k=None)(texts)
scores = [{one["label"]: one["score"] for one in row} for row in found]
write(rows, label=[max(row, key=row.get) for row in scores], probability=[row["positive"] for row in scores])
"""
)

TOKEN_CLASSES = (
    START
    + """
bert("BertForTokenClassification", ["O", "B-PER", "B-LOC"])
found = transformers.pipeline("token-classification", "model", aggregation_strategy="simple")
entities = []
for text in texts:
    rounded = [{**one, "score": round(float(one["score"]), 3)} for one in found(text)]
    entities.append(json.dumps(rounded))
write(rows, entities=entities)
"""
)

FILL_MASK = (
    START
    + """
bert("BertForMaskedLM")
texts = ["the [MASK] was great", "a very [MASK] film ."]
found = transformers.pipeline("fill-mask", "model", top_k=5)
write([{"text": text} for text in texts], probabilities=[[one["score"] for one in found(text)] for text in texts])
"""
)

FEATURES = (
    START
    + """
model = bert("BertModel")
found = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in texts]
write(rows, embedding=found)
"""
)

GENERATION = (
    START
    + """
config = transformers.GPT2Config(
    vocab_size=len(words), n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=2, eos_token_id=0
)
config.initializer_range = 0.5
transformers.GPT2LMHeadModel(config).save_pretrained("model")
tokenizer.save_pretrained("model")
write_text = transformers.pipeline("text-generation", "model")
found = [write_text(text, max_new_tokens=6, do_sample=False, return_full_text=False)[0] for text in texts]
write(rows, generated_text=[one["generated_text"] for one in found])
"""
)

IMAGES = (
    START
    + """
import base64
import io

from PIL import Image

config = transformers.ViTConfig(image_size=16, patch_size=8, num_labels=3, **sizes)
config.initializer_range = 0.5
transformers.ViTForImageClassification(config).save_pretrained("model")
transformers.ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained("model")
pixels = numbers.integers(0, 256, (12, 20, 24, 3)).astype(np.uint8)
found = transformers.pipeline("image-classification", "model", top_k=None)([Image.fromarray(one) for one in pixels])
scores = [{one["label"]: one["score"] for one in row} for row in found]
labels = [f"LABEL_{place}" for place in range(3)]
expected = {
    "label": [max(row, key=row.get) for row in scores],
    "probabilities": [[row[label] for label in labels] for row in scores],
}
"""
)

AS_PIXELS = (
    IMAGES
    + """
write([{"image": one} for one in pixels.tolist()], **expected)
"""
)

AS_FILES = (
    IMAGES
    + """
def png(one):
    file = io.BytesIO()
    Image.fromarray(one).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


write([{"image": png(one)} for one in pixels], **expected)
"""
)

SENTENCES = (
    START
    + """
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

bert("BertModel")
model = SentenceTransformer(modules=[Transformer("model"), Pooling(32)], device="cpu")
model.save("sentences")
write(rows, embedding=model.encode(texts))
"""
)


def case(name: str, script: str, artefact: str = "model", **options: Any) -> Case:
    said = {"requirements": list(NEEDS), "options": options}
    return Case(f"huggingface {name}", script, artefact, "huggingface", requirements=NEEDS, said=said, heavy=True)


CASES = [
    case("text classes", TEXT_CLASSES),
    case("token classes", TOKEN_CLASSES),
    case("fill mask", FILL_MASK),
    case("features", FEATURES),
    case("generation", GENERATION, max_new_tokens=6),
    case("images as pixels", AS_PIXELS),
    case("images as files", AS_FILES),
    case("sentences", SENTENCES, "sentences"),
]
