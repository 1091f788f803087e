"""Models in plain Python: a folder with model.py, or a function that came from a notebook.

`model.py` has a class with `predict`, and `load` where it has something to load. How predict is called, its type hints
say; see `hints.py`. Errors of the code come back with the line in the file, without the stack of whoever called it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import feeds, hints, results, tables
from ..frames import Pair

PRELOAD = ()
FILE, FUNCTION, ABOUT = "model.py", "function.pkl", "payoff.json"


def load(path: str, options: dict[str, Any]) -> Python:
    """The model in the folder, its code imported and its `load` called."""
    folder = Path(path)
    sys.path.insert(0, str(folder))
    if (folder / FUNCTION).is_file():
        return _from_notebook(folder)
    inside = Blame(folder)
    module = inside(lambda: _module(folder / FILE), "is imported")
    chosen = _class(module, options.get("class"))
    model = inside(lambda: _loaded(chosen, path), "is loaded")
    return Python(model.predict, chosen.__name__, inside)


class Python:
    """A function over rows, whatever form it wants them in."""

    def __init__(self, function: Callable[..., Any], name: str, blame: Blame) -> None:
        self._function, self._name, self._blame = function, name, blame
        self._call = hints.call_of(function)
        self._given = {one["name"]: one["type"] for one in hints.answers_of(function, self._call.by_row) or ()}

    def describe(self) -> dict[str, Any]:
        """What the type hints say, and how the rows come."""
        form = f"predict is called with {_FORMS[self._call.form.partition(' ')[0]]}"
        note = f"{form}, {'one row at a time' if self._call.by_row else 'all rows at once'}"
        inputs, takes = self._call.inputs(), self._call.takes
        return {
            "inputs": inputs,
            "named": True,
            "kind": "python",
            "takes": takes,
            "notes": [note],
            "estimator": self._name,
        }

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """The answers of predict, by name."""
        rows = feeds.length(columns)
        with np.errstate(all="ignore"):
            if self._call.by_row:
                given = self._blame(lambda: [self._one(one) for one in feeds.records(columns)], "predicts")
                found = results.row_by_row(given)
            else:
                answer = self._blame(lambda: _awaited(self._all(columns)), "predicts")
                found = results.columns_of(answer, rows, columns)
        return {name: results.cast(column, self._given.get(name)) for name, column in found.items()}

    def _one(self, row: dict[str, Any]) -> Any:
        """The answer to one row, given as one dictionary or record, or value by value."""
        call = self._call
        if call.wishes is None:
            return _awaited(self._function(**{call.parameter: row}) if call.parameter else self._function(**row))
        kept = {wish.name: _value(wish, row.get(wish.name)) for wish in call.wishes if not _left_out(wish, row)}
        if call.form == hints.VALUES:
            return _awaited(self._function(**kept))
        return _awaited(self._function(**{call.parameter: call.record(**kept)}))

    def _all(self, columns: Mapping[str, Pair]) -> Any:
        """The answer to all rows, in the form that the hints name."""
        call = self._call
        if call.form == hints.COLUMNS:
            return self._function(**{call.parameter: feeds.arrays(columns)})
        if call.form.startswith(hints.FRAME):
            return self._function(**{call.parameter: _frame(call.form, columns)})
        if call.form == hints.MATRIX:
            own = columns.get(call.parameter)
            return self._function(**{call.parameter: tables.matrix(columns) if own is None else feeds.array(*own)})
        if call.form == hints.RECORDS and call.listed:
            return self._function(**{call.parameter: [self._record(row) for row in feeds.records(columns)]})
        kept = {wish.name: _series(wish, *columns[wish.name]) for wish in call.wishes or () if wish.name in columns}
        if call.wishes is None:
            kept = feeds.arrays(columns)
        if call.form == hints.VALUES:
            return self._function(**kept)
        return self._function(**{call.parameter: call.record(**kept)})

    def _record(self, row: dict[str, Any]) -> Any:
        if self._call.record is None:
            return row
        wishes = self._call.wishes or ()
        return self._call.record(**{w.name: _value(w, row.get(w.name)) for w in wishes if not _left_out(w, row)})


_FORMS = {
    hints.COLUMNS: "a dict of arrays",
    hints.FRAME: "a DataFrame",
    hints.RECORDS: "records",
    hints.MATRIX: "an array",
    hints.VALUES: "a value per parameter",
}


class Blame:
    """Calls code of a folder; what it raises becomes a ValueError that names the file and the line in there."""

    def __init__(self, folder: Path, file: str | None = None) -> None:
        self._folder, self._file = folder.resolve(), file

    def __call__(self, act: Callable[[], Any], when: str) -> Any:
        try:
            return act()
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:
            traceback.print_exception(type(error), error, error.__traceback__)  # for the log, with the whole stack
            raise ValueError(self.words(error, when)) from error

    def words(self, error: BaseException, when: str) -> str:
        """Where it happened, as the author of the code would look for it, and what."""
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, ImportError) and error.name and not (self._folder / error.name.partition(".")[0]).exists():
            what += "; if a package is missing, name it in requirements.txt"
        if isinstance(error, SyntaxError) and error.filename and self._is_inside(error.filename):
            return f"{self._shown(error.filename)}, line {error.lineno}: {type(error).__name__}: {error.msg}"
        frames = [one for one in traceback.extract_tb(error.__traceback__) if self._is_inside(one.filename)]
        if not frames:
            return f"the code fails when it {when}: {what}"
        last = frames[-1]
        return f"{self._shown(last.filename)}, line {last.lineno}, in {last.name}: {what}"

    def _is_inside(self, file: str) -> bool:
        if self._file is not None:
            return file == self._file
        return self._folder in Path(file).resolve().parents

    def _shown(self, file: str) -> str:
        return "the function" if self._file is not None else str(Path(file).resolve().relative_to(self._folder))


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("model", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules["model"] = module  # so that pickles of its classes open
    spec.loader.exec_module(module)
    return module


def _class(module: Any, name: str | None) -> Any:
    """The class with `predict`: the one asked for, the only one, the only one of the file's own, or `Model`."""
    found = {key: one for key, one in vars(module).items() if isinstance(one, type) and hasattr(one, "predict")}
    if name is not None:
        if name in found:
            return found[name]
        raise ValueError(f"model.py has no class {name!r} with predict; it has: {_names(found)}")
    for those in (found, {key: one for key, one in found.items() if one.__module__ == "model"}):
        if len(set(those.values())) == 1:
            return next(iter(those.values()))
    if "Model" in found:
        return found["Model"]
    if found:
        raise ValueError(f"model.py has several classes with predict: {_names(found)}; say which: --option class=NAME")
    raise ValueError(
        "model.py has no class with predict; write one: class Model, def predict(self, columns), see models/python"
    )


def _names(found: dict[str, Any]) -> str:
    return ", ".join(sorted(found)) or "none"


def _loaded(chosen: Any, path: str) -> Any:
    """The model: what `load` gives, or the object that it filled."""
    kind = inspect.getattr_static(chosen, "load", None)
    if kind is None:
        return chosen()
    if isinstance(kind, (classmethod, staticmethod)):
        made = chosen.load(path)
        if not hasattr(made, "predict"):
            raise TypeError(f"load gave {type(made).__name__}, and an object with predict is expected: return cls(...)")
        return made
    model = chosen()
    made = model.load(path)
    return made if hasattr(made, "predict") else model


def _from_notebook(folder: Path) -> Python:
    """A function that was sent by value."""
    import cloudpickle

    about = json.loads((folder / ABOUT).read_text())
    with (folder / FUNCTION).open("rb") as file:
        found = Blame(folder)(lambda: cloudpickle.load(file), "is opened")
    function = getattr(found, "predict", found)
    if not callable(function):
        raise ValueError(f"{about.get('name', 'the object')} is {type(found).__name__}, and a function is expected")
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Python(function, about.get("name", "function"), Blame(folder, code.co_filename if code else ""))


def _left_out(wish: hints.Wish, row: dict[str, Any]) -> bool:
    """A missing value where there is a default: the code's own default is used."""
    return wish.has_default and row.get(wish.name) is None


def _value(wish: hints.Wish, value: Any) -> Any:
    return value.tolist() if wish.as_list and isinstance(value, np.ndarray) else value


def _series(wish: hints.Wish, values: Any, valid: Any) -> Any:
    """A whole column, as the parameter wants it."""
    if wish.as_list:
        return feeds.listed(values, valid) if values.ndim == 1 else values.tolist()
    if wish.as_series:
        import pandas

        return pandas.Series(feeds.array(values, valid), name=wish.name)
    return feeds.array(values, valid)


def _frame(form: str, columns: Mapping[str, Pair]) -> Any:
    if form != hints.FRAME:
        library = __import__(form.rpartition(" ")[2])
        return library.DataFrame({name: feeds.listed(*column) for name, column in columns.items()})
    return tables.frame(columns)


def _awaited(answer: Any) -> Any:
    return asyncio.run(_finished(answer)) if inspect.isawaitable(answer) else answer


async def _finished(answer: Any) -> Any:
    return await answer
