"""Objects in the user's own process become artefacts, each saved as its framework saves it, with what it needs."""

import inspect
import json
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from payoff.client import packages
from payoff.client.artefacts import Artefact, packed
from payoff.errors import BadInput, PayoffError

TAKEN = (
    "a fitted estimator (scikit-learn and its relatives, XGBoost, LightGBM, CatBoost, statsmodels, Prophet, sktime), a "
    "PyTorch module, a Keras model, a transformers pipeline, a sentence-transformers model, an ONNX ModelProto, a "
    "function, an object with predict, payoff.rule, payoff.remote, payoff.chain, or the path of a file or folder"
)

_READERS = {"sentencepiece", "google.protobuf", "tiktoken", "PIL", "torchvision"}  # of texts and images


def save(model: Any, room: Path, sample: Any = None) -> Artefact:
    """The object as an artefact in the folder `room`; BadInput says what can be deployed instead."""
    try:
        return _saver(model)(model, room, sample)
    except PayoffError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise BadInput(f"this {_called(model)} cannot be saved: {what}; save it yourself and give the path") from error


def _saver(model: Any) -> Callable[[Any, Path, Any], Artefact]:
    """How such an object is saved."""
    if found := next((saver for names, saver in SAVERS if packages.is_a(model, *names)), None):
        return found
    if isinstance(model, bytes | bytearray):
        return _bytes
    if isinstance(model, dict) and any(packages.is_a(value, "torch.Tensor") for value in model.values()):
        return _state
    if hasattr(model, "artefact") and hasattr(model, "to_yaml"):  # payoff.rule and the like
        return _written
    if hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        return _onnx
    if isinstance(model, type) and hasattr(model, "predict"):
        return _class
    if hasattr(model, "predict") and (hasattr(model, "get_params") or hasattr(model, "fit")):
        return _pickled
    if hasattr(model, "predict") or inspect.isroutine(model):
        return _function
    raise BadInput(f"cannot deploy a {_called(model)}; give {TAKEN}")


def _bytes(model: Any, room: Path, _: Any) -> Artefact:
    return Artefact(_kept(room / "model.bin", bytes(model)), "model.bin")


def _onnx(model: Any, room: Path, _: Any) -> Artefact:
    return Artefact(_kept(room / "model.onnx", model.SerializeToString()), "model.onnx")


def _written(model: Any, room: Path, _: Any) -> Artefact:
    return Artefact(_kept(room / model.artefact, model.to_yaml().encode()), model.artefact)


def _booster(suffix: str) -> Callable[[Any, Path, Any], Artefact]:
    """A booster without its Python wrapper, in its library's own format."""

    def save(model: Any, room: Path, _: Any) -> Artefact:
        path = room / f"model{suffix}"
        model.save_model(str(path))
        return Artefact(path, path.name, requirements=_needs(packages.modules_of(type(model))))

    return save


def _pickled(model: Any, room: Path, sample: Any) -> Artefact:
    """With joblib; what is made of the user's own code takes that code along, by value."""
    modules = packages.modules_of(model) | _frame_modules(sample)
    own = packages.own(modules)
    path = room / "model.pkl"
    if own:
        modules |= {"cloudpickle"}
        with path.open("wb") as file, _by_value(own) as pickler:
            pickler(file).dump(model)
    elif any(module.startswith(("sklearn.", "joblib")) for module in modules):
        path = room / "model.joblib"
        _joblib(model).dump(model, path)
        modules |= {"joblib"}
    else:
        with path.open("wb") as file:
            pickle.dump(model, file)
    return Artefact(path, path.name, requirements=_needs(modules), python=packages.python() if own else None)


def _function(model: Any, room: Path, sample: Any) -> Artefact:
    """A function, or an object with predict: by value, in a folder with what it needs."""
    modules = packages.modules_of(model) | _frame_modules(sample) | {"cloudpickle"}
    folder = room / "function"
    folder.mkdir()
    with (folder / "function.pkl").open("wb") as file, _by_value(packages.own(modules)) as pickler:
        pickler(file).dump(model)
    needs = _needs(modules)
    name = getattr(model, "__name__", None) or type(model).__name__
    (folder / "payoff.json").write_text(json.dumps({"name": name, "python": packages.python()}, sort_keys=True))
    (folder / "requirements.txt").write_text("".join(f"{one}\n" for one in needs))
    return _folder(folder, room, name)


def _class(model: Any, room: Path, sample: Any) -> Artefact:
    """A class with predict: an object of it is what answers."""
    try:
        made = model()
    except TypeError as error:
        raise BadInput(f"{model.__name__} cannot be made without arguments: {error}; give an object of it") from error
    return _function(made, room, sample)


def _torch(model: Any, room: Path, sample: Any) -> Artefact:
    """With torch.export, for any number of rows; the sample's rows are the example that it is traced with."""
    from payoff.client.tracing import export

    path = room / "model.pt2"
    export(model, sample, path)
    return Artefact(path, path.name, requirements=_needs({"torch", "numpy"}))


def _torch_exported(model: Any, room: Path, _: Any) -> Artefact:
    path = room / "model.pt2"
    packages.module("torch.export").save(model, str(path))
    return Artefact(path, path.name, requirements=_needs({"torch", "numpy"}))


def _torch_script(model: Any, room: Path, _: Any) -> Artefact:
    path = room / "model.pt"
    model.eval().save(str(path))
    return Artefact(path, path.name, requirements=_needs({"torch", "numpy"}))


def _keras(model: Any, room: Path, _: Any) -> Artefact:
    """With the backend that computes here; weights and layers, no code."""
    path = room / "model.keras"
    model.save(str(path))
    backend = packages.module("keras").backend.backend()
    needs = _needs({"keras", "h5py", "numpy", backend})
    return Artefact(path, path.name, requirements=needs, options={"backend": backend})


def _jax(model: Any, room: Path, _: Any) -> Artefact:
    path = _kept(room / "model.jax", bytes(model.serialize()))
    return Artefact(path, path.name, requirements=_needs({"jax", "jaxlib", "numpy"}))


def _pretrained(model: Any, room: Path, _: Any) -> Artefact:
    """A pipeline or an embedder of Hugging Face's, with weights, tokenizer and configuration."""
    folder = room / "model"
    model.save_pretrained(str(folder))
    modules = {type(model).__module__, "transformers", "torch", "numpy"} | (_READERS & set(sys.modules))
    task = getattr(model, "task", None)
    made = _folder(folder, room, task or "embedder")
    return replace(made, requirements=_needs(modules), options={"task": task} if task else {})


def _bare_transformer(model: Any, *_: Any) -> Artefact:
    raise BadInput(
        f"{_called(model)} takes token ids and not rows; put it into a transformers pipeline with its tokenizer, and "
        "deploy that: pipeline('text-classification', model=model, tokenizer=tokenizer)"
    )


def _state(model: Any, *_: Any) -> Artefact:
    raise BadInput(
        "a state dict is weights without a model; build the module, load_state_dict into it, and deploy the module"
    )


SAVERS: Sequence[tuple[tuple[str, ...], Callable[[Any, Path, Any], Artefact]]] = (
    (("xgboost.Booster",), _booster(".ubj")),
    (("lightgbm.Booster",), _booster(".txt")),
    (("catboost.CatBoost",), _booster(".cbm")),
    (("transformers.Pipeline", "sentence_transformers.SentenceTransformer"), _pretrained),
    (("transformers.PreTrainedModel",), _bare_transformer),
    (("torch.ExportedProgram",), _torch_exported),
    (("torch.ScriptModule",), _torch_script),
    (("torch.Module",), _torch),
    (("keras.Model",), _keras),
    (("jax.Exported",), _jax),
    (("statsmodels.Results", "statsmodels.ResultsWrapper", "prophet.Prophet", "sktime.BaseObject"), _pickled),
)


@contextmanager
def _by_value(own: Sequence[str]) -> Iterator[Any]:
    """cloudpickle's pickler, told to take the code of these packages along and not only its name."""
    try:
        import cloudpickle
    except ImportError as error:
        raise BadInput("sending code of your own takes cloudpickle: pip install cloudpickle") from error
    modules = [packages.module(name) for name in own if name != "__main__"]
    for one in modules:
        cloudpickle.register_pickle_by_value(one)
    try:
        yield _pickler(cloudpickle.Pickler)
    finally:
        for one in modules:
            with suppress(ValueError):
                cloudpickle.unregister_pickle_by_value(one)


def _pickler(base: Any) -> Any:
    """Without where a module stands on this machine: of no use elsewhere, and taken for code that loads more."""

    def reduce(module: ModuleType) -> Any:
        function, (name, *state) = base.dispatch_table[ModuleType](module)
        place = ("__spec__", "__loader__", "__file__", "__cached__", "__path__")
        return function, (name, *({key: one for key, one in whole.items() if key not in place} for whole in state))

    return type("Pickler", (base,), {"dispatch_table": ChainMap({ModuleType: reduce}, base.dispatch_table)})


def _joblib(model: Any) -> Any:
    try:
        import joblib
    except ImportError as error:
        raise BadInput(f"sending a {_called(model)} takes joblib: pip install joblib") from error
    return joblib


def _needs(modules: set[str]) -> tuple[str, ...]:
    return tuple(packages.requirements(modules))


def _frame_modules(sample: Any) -> set[str]:
    """A model that was tried with a pandas frame will be given one."""
    return {"pandas"} if packages.is_a(sample, "pandas.DataFrame") else set()


def _folder(folder: Path, room: Path, name: str) -> Artefact:
    return Artefact(packed(folder, room / "folder.tar"), name, is_folder=True)


def _kept(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _called(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"
