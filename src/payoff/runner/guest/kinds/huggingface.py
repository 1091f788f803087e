"""Hugging Face folders: a transformers model asked as its task says, or a sentence-transformers model.

Everything is read from the folder; nothing is downloaded, and no code from the folder is run. The task follows from the
architecture in config.json, or from the option "task". Texts come in a text column, images as tensors of bytes
[height, width, 3] or as text: a PNG or JPEG file in base64.
"""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import ports

os.environ.setdefault("HF_HUB_OFFLINE", "1")
PRELOAD = ("torch", "transformers")
TEXT, IMAGE = "text", "image"

# The end of an architecture's name, and the task that it is made for.
TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForQuestionAnswering": "question-answering",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "ForImageClassification": "image-classification",
    "Model": "feature-extraction",
}
_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "fill-mask": "AutoModelForMaskedLM",
    "question-answering": "AutoModelForQuestionAnswering",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "image-classification": "AutoModelForImageClassification",
    "feature-extraction": "AutoModel",
    "image-feature-extraction": "AutoModel",
}


def load(path: str, options: dict[str, Any]) -> Any:
    """The model in the folder."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.set_grad_enabled(False)
    folder = Path(path)
    if (folder / "modules.json").is_file():
        return Sentences(folder, options)
    config = json.loads((folder / "config.json").read_text())
    task = options.get("task") or task_of(config, folder)
    if task not in _CLASSES:
        raise ValueError(f"the task {task!r} is none that is served here; there are: {', '.join(sorted(_CLASSES))}")
    return Task(folder, task, options)


def task_of(config: dict[str, Any], folder: Path) -> str:
    """What the architecture is for; ValueError where it does not say."""
    names = config.get("architectures") or [""]
    task = next((task for ending, task in TASKS.items() if names[0].endswith(ending)), None)
    if task is None:
        said = f"the architecture {names[0]}" if names[0] else "config.json names no architecture, which"
        raise ValueError(f"{said} does not tell the task; say it: --option task={'|'.join(sorted(_CLASSES))}")
    sees = (folder / "preprocessor_config.json").is_file() and not (folder / "tokenizer_config.json").is_file()
    return f"image-{task}" if task == "feature-extraction" and sees else task


class Task:
    """A transformers model and what its task asks of it."""

    def __init__(self, folder: Path, task: str, options: dict[str, Any]) -> None:
        self._task, self._options, self._path = task, options, str(folder)
        self._model = self._whole(
            *self._open(_CLASSES[task], dtype=options.get("dtype", "float32"), output_loading_info=True)
        )
        self._sees = task.startswith("image-")
        self._reader: Any = self._open("AutoImageProcessor" if self._sees else "AutoTokenizer")
        self._batch = int(options.get("batch_size", 1 if "generation" in task else 32))
        self._columns = _columns(task, options.get(ports.COLUMNS))
        if not self._sees:
            self._mend_tokenizer()
        answers: dict[str, Callable[..., dict[str, Any]]] = {
            "text-classification": self._classes,
            "image-classification": self._classes,
            "token-classification": self._entities,
            "fill-mask": self._fills,
            "question-answering": self._spans,
            "text-generation": self._texts,
            "text2text-generation": self._texts,
            "feature-extraction": self._vectors,
            "image-feature-extraction": self._vectors,
        }
        self._answer = answers[task]

    def describe(self) -> dict[str, Any]:
        return {
            "inputs": self._columns,
            "named": True,
            "kind": "network",
            "takes": None,
            "notes": [f"task {self._task}"],
            "estimator": type(self._model).__name__,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The answers of the task, some rows at a time."""
        given = [_items(*columns[field["name"]]) for field in self._columns]
        rows = len(given[0])
        parts = [
            self._answer(*[items[start : start + self._batch] for items in given])
            for start in range(0, rows, self._batch)
        ]
        return ports.answers({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, rows)

    def _open(self, name: str, **more: Any) -> Any:
        """Something of transformers, from the folder alone."""
        import transformers

        try:
            return getattr(transformers, name).from_pretrained(
                self._path, local_files_only=True, trust_remote_code=False, **more
            )
        except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
            said = " ".join(str(error).split())[:400]
            raise ValueError(f"transformers {transformers.__version__} cannot open it with {name}: {said}") from error

    def _whole(self, model: Any, told: dict[str, Any]) -> Any:
        """The model, if all its weights are there: transformers makes up what is missing."""
        missing = sorted(name for name in told["missing_keys"] if "pooler" not in name)
        if missing:
            raise ValueError(
                f"the weights {', '.join(missing[:3])} are not in the folder, so {type(model).__name__} would guess; "
                f"save the model after training, or say another task than {self._task}: --option task=..."
            )
        return model.eval()

    def _mend_tokenizer(self) -> None:
        """A length that the model can take, and something to fill up shorter texts with."""
        longest = getattr(self._model.config, "max_position_embeddings", None) or 1 << 30
        self._longest = min(self._reader.model_max_length, int(self._options.get("max_length", longest)))
        if self._reader.pad_token is None:
            self._reader.pad_token = self._reader.eos_token or self._reader.unk_token
        if getattr(self._model.config, "pad_token_id", None) is None:
            self._model.config.pad_token_id = self._reader.pad_token_id

    def _read(self, *given: Sequence[Any], **more: Any) -> Any:
        """Texts or images as the tensors that the model takes."""
        if self._sees:
            return self._reader([_image(one) for one in given[0]], return_tensors="pt")
        longest = self._longest if self._longest < 1 << 29 else None
        return self._reader(
            *given, padding=True, truncation=longest is not None, max_length=longest, return_tensors="pt", **more
        )

    def _classes(self, *given: Sequence[Any]) -> dict[str, Any]:
        """As docs/models.md names them: label and probability, label and probabilities, or a prediction."""
        logits = self._model(**self._read(*given)).logits.float()
        config = self._model.config
        if getattr(config, "problem_type", None) == "regression":
            return {ports.PREDICTION: logits.numpy()}
        if logits.shape[1] == 1 or getattr(config, "problem_type", None) == "multi_label_classification":
            scores = logits.sigmoid().numpy()
            return {"probability": scores} if logits.shape[1] == 1 else {"probabilities": scores}
        scores = logits.softmax(-1).numpy()
        labels = np.array([config.id2label[int(place)] for place in scores.argmax(1)], object)
        if scores.shape[1] == 2:
            return {"label": labels, "probability": scores[:, 1]}
        return {"label": labels, "probabilities": scores}

    def _entities(self, texts: Sequence[str]) -> dict[str, Any]:
        """As many as a text has, so they come as JSON; scores with three digits, as texts must be equal everywhere."""
        from transformers import pipeline

        if not hasattr(self, "_pipeline"):
            how = self._options.get("aggregation_strategy", "simple")
            self._pipeline = pipeline(self._task, self._model, tokenizer=self._reader, aggregation_strategy=how)
        found = [self._pipeline(text) if text else [] for text in texts]
        return {"entities": np.array([_json(entities) for entities in found], object)}

    def _fills(self, texts: Sequence[str]) -> dict[str, Any]:
        """The likeliest words in place of the mask."""
        mask, most = self._reader.mask_token_id, int(self._options.get("top_k", 5))
        read = self._read(texts)
        places = [(row == mask).nonzero()[:, 0].tolist() for row in read["input_ids"]]
        if any(len(place) != 1 for place in places):
            raise ValueError(f"each text needs {self._reader.mask_token} in exactly one place, for the word to guess")
        logits = self._model(**read).logits.float()
        scores = np.stack([logits[row, place[0]].softmax(-1).numpy() for row, place in enumerate(places)])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :most]
        tokens = [[self._reader.decode([int(token)]).strip() for token in row] for row in best]
        return {"tokens": np.array(tokens, object), "probabilities": np.take_along_axis(scores, best, 1)}

    def _spans(self, questions: Sequence[str], contexts: Sequence[str]) -> dict[str, Any]:
        """The part of the context that answers the question best."""
        read = self._read(questions, contexts, return_offsets_mapping=True)
        offsets = read.pop("offset_mapping").numpy()
        answer = self._model(**read)
        found = [
            _span(answer.start_logits[row], answer.end_logits[row], read.sequence_ids(row), offsets[row], context)
            for row, context in enumerate(contexts)
        ]
        return {"answer": np.array([text for text, _ in found], object), "probability": np.array([p for _, p in found])}

    def _texts(self, texts: Sequence[str]) -> dict[str, Any]:
        """What the model writes; always the likeliest word, so that the same text gets the same answer."""
        found = []
        for text in texts:
            read = self._prompt(text)
            made = self._model.generate(
                read["input_ids"],
                attention_mask=read["attention_mask"],
                max_new_tokens=int(self._options.get("max_new_tokens", 50)),
                do_sample=False,
                pad_token_id=self._reader.pad_token_id,
            )[0]
            start = 0 if self._model.config.is_encoder_decoder else read["input_ids"].shape[1]
            found.append(self._reader.decode(made[start:], skip_special_tokens=True))
        return {"generated_text": np.array(found, object)}

    def _prompt(self, text: str) -> Any:
        """The text alone, or as a message of a chat with the option "chat"."""
        if str(self._options.get("chat", "")).lower() not in ("1", "true", "yes"):
            return self._read([text])
        return self._reader.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )

    def _vectors(self, given: Sequence[Any]) -> dict[str, Any]:
        """One vector per row: the mean over its tokens, or with pooling=cls the first."""
        read = self._read(given)
        hidden = self._model(**read).last_hidden_state.float()
        hidden = hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden  # of a convolutional network
        if self._options.get("pooling", "mean") == "cls":
            return {"embedding": hidden[:, 0].numpy()}
        if self._sees or "attention_mask" not in read:
            return {"embedding": hidden.mean(1).numpy()}
        mask = read["attention_mask"].unsqueeze(-1).float()
        return {"embedding": ((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).numpy()}


class Sentences:
    """A sentence-transformers model: a vector for each text."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=False)
        self._prompt = options.get("prompt_name")
        self._columns = _columns("sentences", options.get(ports.COLUMNS))

    def describe(self) -> dict[str, Any]:
        return {
            "inputs": self._columns,
            "named": True,
            "kind": "network",
            "takes": None,
            "notes": ["sentence-transformers"],
            "estimator": type(self._model).__name__,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """`embedding`, as encode gives it."""
        texts = _items(*columns[self._columns[0]["name"]])
        found = self._model.encode(texts, prompt_name=self._prompt, show_progress_bar=False, convert_to_numpy=True)
        return ports.answers({"embedding": np.asarray(found)}, len(texts))


def _columns(task: str, sampled: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The columns that a task takes: by their own names, or the only one that fits."""
    if task == "question-answering":
        return [_by_name(name, sampled) for name in ("question", "context")]
    if task.startswith("image-"):
        return [_image_column(sampled)]
    if task == "text-classification" and sampled and {"text", "text_pair"} <= {one["name"] for one in sampled}:
        return [_by_name("text", sampled), _by_name("text_pair", sampled)]
    return [_only(TEXT, [one for one in sampled or () if one["type"] == "text" and not one["shape"]], sampled)]


def _by_name(name: str, sampled: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    found = next((one for one in sampled or () if one["name"] == name), {"nullable": False})
    return {"name": name, "type": "text", "shape": [], "nullable": found["nullable"]}


def _only(name: str, fitting: Sequence[dict[str, Any]], sampled: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    """The column called `name`, else the only one that fits."""
    if not sampled:
        return {"name": name, "type": "text", "shape": [], "nullable": False}
    named = [one for one in fitting if one["name"] == name] or list(fitting)
    if len(named) != 1:
        there = ", ".join(f"{one['name']} ({one['type']})" for one in sampled)
        raise ValueError(
            f"the model takes one column {name!r}, and the sample has {there}; call the right one {name!r}"
        )
    return dict(named[0])


def _image_column(sampled: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    """Bytes [height, width, 3], or text."""
    fitting = [one for one in sampled or () if len(one["shape"]) == 3 or (one["type"] == "text" and not one["shape"])]
    column = _only(IMAGE, fitting, sampled)
    if column["type"] == "text":
        return column
    if column["shape"][2] not in (1, 3):
        raise ValueError(
            f"column {column['name']!r} holds {column['shape']} per row; an image is [height, width, 3], bytes of red, "
            "green and blue, or a PNG or JPEG file as text in base64"
        )
    return {**column, "type": "uint8", "nullable": False}


def _items(values: Any, valid: Any) -> list[Any]:
    """Texts as a list, a missing one empty; images as they are."""
    if values.dtype.kind != "O":
        return list(values)
    if valid is None:
        return list(values.tolist())
    return [text if there else "" for text, there in zip(values.tolist(), valid)]


def _image(given: Any) -> Any:
    from PIL import Image

    if isinstance(given, str):
        try:
            return Image.open(io.BytesIO(base64.b64decode(given, validate=True))).convert("RGB")
        except (ValueError, OSError) as error:
            raise ValueError(f"a text in the image column is no image in base64 (PNG, JPEG): {error}") from error
    return Image.fromarray(given[..., 0] if given.shape[2] == 1 else given).convert("RGB")


def _json(entities: Iterable[dict[str, Any]]) -> str:
    plain = [
        {
            key: round(float(value), 3) if isinstance(value, (float, np.floating)) else value
            for key, value in one.items()
        }
        for one in entities
    ]
    return json.dumps(plain, ensure_ascii=False, default=lambda value: value.item())


def _span(starts: Any, ends: Any, sides: Sequence[Any], offsets: Any, context: str) -> tuple[str, float]:
    """The best stretch of at most 30 tokens of the context, and how probable it is among all tokens of it."""
    inside = np.array([side == 1 for side in sides])
    if not inside.any():
        return "", 0.0
    begin, end = (_softmax(np.where(inside, logits.float().numpy(), -np.inf)) for logits in (starts, ends))
    scores = np.triu(np.outer(begin, end)) - np.triu(np.outer(begin, end), 30)
    first, last = np.unravel_index(int(scores.argmax()), scores.shape)
    return context[int(offsets[first][0]) : int(offsets[last][1])], float(scores[first, last])


def _softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
