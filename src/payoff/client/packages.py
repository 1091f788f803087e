"""Which packages an object in the user's process needs, in the versions that are installed there."""

import dis
import io
import pickle
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module, metadata
from types import CodeType, ModuleType
from typing import Any


def python() -> str:
    """The version of this Python, as an environment asks for it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def modules_of(*objects: Any) -> set[str]:
    """The modules, by full name, of the classes and functions that these objects are made of, and of their ancestors.

    What a pickle of them would name: the objects are walked as pickling walks them, and nothing is written.
    """
    walk = _Walk()
    for one in objects:
        with suppress(Exception):  # what cannot be pickled is walked as far as it goes; saving it says what is wrong
            walk.note(one)
            walk.dump(one)
    return walk.found


def requirements(modules: Iterable[str]) -> list[str]:
    """`name==version` of every installed distribution that the modules are from."""
    dists = metadata.packages_distributions()
    tops = {module.partition(".")[0] for module in modules}
    names = {name for top in tops - sys.stdlib_module_names for name in dists.get(top, ()) if not _is_local(name)}
    return sorted(f"{name}=={_public(metadata.version(name))}" for name in names)


def own(modules: Iterable[str]) -> list[str]:
    """The modules that no package index has: the notebook, files beside it, packages installed from a folder."""
    dists = metadata.packages_distributions()
    found = set()
    for module in modules:
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or module == "__mp_main__":
            continue
        if all(_is_local(name) for name in dists.get(top, ())):
            found.add(top)
    return sorted(found)


def is_a(one: Any, *names: str) -> bool:
    """Whether a class of the object, or an ancestor of it, is called so: `xgboost.Booster`, by package and name."""
    return any(f"{kind.__module__.partition('.')[0]}.{kind.__name__}" in names for kind in type(one).__mro__)


def _is_local(name: str) -> bool:
    """Installed from a folder of this machine (`pip install -e .`), so that nobody else can install it by its name."""
    try:
        return '"dir_info"' in (metadata.distribution(name).read_text("direct_url.json") or "")
    except (metadata.PackageNotFoundError, OSError):
        return False


def _public(version: str) -> str:
    """2.13.0+cpu is 2.13.0 to an index; which build of it fits, the server's machine decides."""
    return version.partition("+")[0]


class _Walk(pickle.Pickler):
    """A pickler that only notes whose objects come by; large buffers are neither copied nor kept.

    Code of the user's own goes by value, so that what it reaches is looked at too.
    """

    def __init__(self) -> None:
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: False)
        self.found: set[str] = set()
        self._seen: set[int] = set()
        self._dists = metadata.packages_distributions()

    def reducer_override(self, one: Any) -> Any:
        if one is _Looked:
            return NotImplemented
        self.note(one)
        if isinstance(one, type | ModuleType) or hasattr(one, "__code__"):
            return _Looked, ()  # in its place: what is noted need not be pickled
        return NotImplemented

    def note(self, one: Any) -> None:
        """The modules of an object: of itself if it is one, a class or a function, else of its class."""
        if isinstance(one, ModuleType):
            self.found.add(one.__name__)
        elif hasattr(one, "__code__"):
            self._function(one)
        else:
            for kind in (one if isinstance(one, type) else type(one)).__mro__:
                self._class(kind)

    def _class(self, kind: type) -> None:
        self.found.add(kind.__module__)
        if self._is_own(kind.__module__) and self._is_new(kind):
            for value in vars(kind).values():
                inside = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
                if hasattr(inside, "__code__"):
                    self._function(inside)

    def _function(self, function: Any) -> None:
        name = getattr(function, "__module__", None) or "__main__"
        self.found.add(name)
        is_named = "<" not in getattr(function, "__qualname__", "<")
        if (is_named and not self._is_own(name)) or not self._is_new(function):
            return
        scope = getattr(function, "__globals__", {})
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
        for value in [scope[one] for one in _names(function.__code__) if one in scope] + cells:
            self.note(value)
        self.found |= set(_imports(function.__code__))

    def _is_own(self, name: str) -> bool:
        top = name.partition(".")[0]
        return top not in sys.stdlib_module_names and all(_is_local(one) for one in self._dists.get(top, ()))

    def _is_new(self, one: Any) -> bool:
        is_new = id(one) not in self._seen
        self._seen.add(id(one))
        return is_new


class _Looked:
    """Stands where a class, function or module was."""


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions inside it."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)


def _names(code: CodeType) -> set[str]:
    return {name for one in _codes(code) for name in one.co_names}


def _imports(code: CodeType) -> Iterator[str]:
    """What is imported inside of functions."""
    for one in _codes(code):
        yield from (
            str(step.argval) for step in dis.get_instructions(one) if step.opname == "IMPORT_NAME" and step.argval
        )


def _is_full(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def module(name: str) -> Any:
    """The module, imported only where it is used."""
    return import_module(name)
