"""Which packages an object in the user's process needs, in the versions that are installed there."""

import io
import pickle
import sys
from collections.abc import Iterable
from importlib import import_module, metadata
from typing import Any

MODULES_MAX = 100_000


def python() -> str:
    """The version of this Python, as an environment asks for it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def modules_of(*objects: Any) -> set[str]:
    """The modules, by full name, of the classes and functions that these objects are made of, and of their ancestors.

    What a pickle of them would name: the objects are walked as pickling walks them, and nothing is written.
    """
    walk = _Walk()
    for one in objects:
        try:
            walk.dump(one)
        except Exception:  # what cannot be pickled is walked as far as it goes; saving it says what is wrong
            walk.note(type(one))
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
    """A pickler that only notes whose objects come by; large buffers are neither copied nor kept."""

    def __init__(self) -> None:
        super().__init__(_Nowhere(), protocol=5, buffer_callback=lambda _: False)
        self.found: set[str] = set()

    def reducer_override(self, one: Any) -> Any:
        self.note(one if isinstance(one, type) or hasattr(one, "__code__") else type(one))
        if hasattr(one, "__code__") and not _can_be_named(one):
            for value in _reached(one):
                self.note(value if isinstance(value, type) or hasattr(value, "__code__") else type(value))
            return str, ("a function without a name",)
        return NotImplemented

    def note(self, kind: Any) -> None:
        """The class or function, and the ancestors of a class."""
        for one in getattr(kind, "__mro__", (kind,)):
            module = getattr(one, "__module__", None)
            if isinstance(module, str) and len(self.found) < MODULES_MAX:
                self.found.add(module)


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def _can_be_named(function: Any) -> bool:
    """Whether importing finds it: no lambda, nothing inside a function, nothing of the notebook."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<")
    return bool(module) and module != "__main__" and "<" not in name


def _reached(function: Any) -> list[Any]:
    """What a function reaches by the names in its code: modules, functions, classes, values of its module."""
    names = function.__code__.co_names
    scope = getattr(function, "__globals__", {})
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    return [scope[name] for name in names if name in scope] + cells


def _is_full(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def module(name: str) -> Any:
    """The module, imported only where it is used."""
    return import_module(name)
