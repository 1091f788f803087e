"""Follows a pickle's opcodes without running any: what it names, what it would call with what, and what it records.

The stack and the memo are followed as the unpickler does, since tricks with them are how scanners are led astray. Where
joblib puts an array's bytes between the opcodes, they are stepped over; an array of objects is a pickle in the pickle.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, cast

from payoff.flavors import scan_names

_KEPT_MAX = 10_000  # of a list or a dict; what is further on was judged when it was made


class Unreadable(Exception):
    """It cannot be followed to its end, so nobody can say what it does."""


@dataclass(frozen=True, slots=True)
class Name:
    """A global: what a pickle means by `module.name`."""

    module: str
    name: str

    @property
    def full(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, slots=True)
class Made:
    """What a call would yield."""

    of: Any
    arguments: Any
    state: Any = None


MARK, OTHER = object(), object()


@dataclass(slots=True)
class Found:
    """What was seen in all pickles of a file."""

    names: set[tuple[str, str]] = field(default_factory=set)
    dangerous: list[str] = field(default_factory=list)  # beside what the names say
    imports: set[str] = field(default_factory=set)  # modules that code in the file uses
    code: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    inner: list[bytes] = field(default_factory=list)  # bytes that something would open as a file of its own

    def warn(self, what: str) -> None:
        if what not in self.dangerous and len(self.dangerous) < 100:
            self.dangerous.append(what)


class _Forward:
    """A stream without a place to tell, which one that is being unpacked does not have."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.read, self.readline = stream.read, stream.readline


class Follower:
    """One pickle in a stream; `follow` leaves the stream behind it."""

    def __init__(self, stream: IO[bytes], found: Found) -> None:
        self._stream, self._found = stream, found
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.marked = False  # it begins as every pickle since protocol 2 does
        self.count = 0  # opcodes so far

    def follow(self) -> None:
        """To the end of it. Unreadable where it breaks off; what was found until then stays."""
        try:
            for opcode, argument, _ in pickletools.genops(cast("IO[bytes]", _Forward(self._stream))):
                self.count += 1
                self.marked |= self.count == 1 and opcode.name == "PROTO" and argument in (2, 3, 4, 5)
                if opcode.name == "STOP":
                    return
                self._step(opcode.name, argument)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise Unreadable(f"opcode {self.count + 1}: {type(error).__name__}: {str(error)[:200]}") from error
        raise Unreadable("it has no end")

    def _step(self, op: str, argument: Any) -> None:
        if op in _CONSTANTS:
            self._stack.append(_CONSTANTS[op]() if op in _EMPTY else self._constant(argument))
        elif (step := _STEPS.get(op)) is not None:
            step(self, argument)
        elif op not in ("PROTO", "FRAME"):
            raise Unreadable(f"the opcode {op} is not one that models are written with")

    def _constant(self, argument: Any) -> Any:
        if isinstance(argument, bytes | bytearray) and b"learner" in argument[:200]:
            self._xgboost(bytes(argument))
        elif isinstance(argument, str) and "learner" in argument[:200]:  # how protocol 2 writes bytes
            self._xgboost(argument.encode("latin1", "replace"))
        return argument

    def _xgboost(self, model: bytes) -> None:
        found = re.search(rb'version\[#L\0{7}\x03i(.)i(.)i(.)|"version":\[(\d+),(\d+),(\d+)\]', model, re.DOTALL)
        if found:
            plain = found[4] is not None
            parts = [int(part) for part in found.groups()[3:]] if plain else [part[0] for part in found.groups()[:3]]
            self._found.versions["xgboost"] = ".".join(map(str, parts))

    def _named(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            self._found.warn("a name that is put together while the file is opened")
            module, name = "unknown", "unknown"
        elif not scan_names.is_name(module, name):
            raise Unreadable(f"{module[:60]!r}.{name[:60]!r} is no name")
        else:
            self._found.names.add((module, name))
            self._found.code |= scan_names.is_code(module, name)
        self._stack.append(Name(*scan_names.real(module, name)))

    def _global(self, argument: str) -> None:
        self._named(*argument.split(" ", 1))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._named(module, name)

    def _inst(self, argument: str) -> None:
        arguments = self._to_mark()
        self._global(argument)
        self._call(self._stack.pop(), tuple(arguments))

    def _obj(self, _: Any) -> None:
        called, *arguments = self._to_mark()
        self._call(called, tuple(arguments))

    def _reduce(self, _: Any) -> None:
        arguments = self._stack.pop()
        self._call(self._stack.pop(), arguments)

    def _new(self, _: Any) -> None:
        arguments = self._stack.pop()
        self._call(self._stack.pop(), arguments, is_class=True)

    def _new_with_names(self, _: Any) -> None:
        named, arguments = self._stack.pop(), self._stack.pop()
        self._call(self._stack.pop(), (*_items(arguments), *_items(named)), is_class=True)

    def _call(self, called: Any, arguments: Any, is_class: bool = False) -> None:
        if isinstance(called, Name):
            self._check(called, _items(arguments))
        elif not is_class and not _may_be_called(called):
            self._found.warn(f"a call of {_words(called)}, which is put together while the file is opened")
        self._stack.append(Made(called, arguments))

    def _check(self, called: Name, arguments: tuple[Any, ...]) -> None:
        if called.full == "builtins.getattr":
            self._check_getattr(arguments)
        elif called.full in ("_codecs.encode", "codecs.encode") and arguments[1:] not in (
            (),
            ("latin1",),
            ("latin-1",),
        ):
            self._found.warn(f"{called.full} with {arguments[1:]!r:.60}, which unpacks what is hidden in it")
        elif called.full == "torch.storage._load_from_bytes":
            self._inner(arguments)
        elif scan_names.IMPORTS.fullmatch(called.full) and arguments and isinstance(arguments[0], str):
            self._found.code = True
            self._found.imports.add(arguments[0][:200])

    def _check_getattr(self, arguments: tuple[Any, ...]) -> None:
        of, name = (*arguments, None, None)[:2]
        base = of.of if isinstance(of, Made) else of
        if not (isinstance(base, Name | Made) and isinstance(name, str) and scan_names.is_plain(name)) or (
            isinstance(base, Name) and not scan_names.has_plain_methods(base.module, base.name)
        ):
            self._found.warn(f"builtins.getattr of {_words(of)} for {name!r:.60}")

    def _inner(self, arguments: tuple[Any, ...]) -> None:
        if arguments and isinstance(arguments[0], bytes | bytearray):
            self._found.inner.append(bytes(arguments[0]))
        else:
            self._found.warn("torch.storage._load_from_bytes of what is put together while the file is opened")

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        made = self._stack[-1]
        if isinstance(made, Name):
            self._found.warn(f"a change of {made.full}")
        elif isinstance(made, Made):
            made.state = state
            if isinstance(made.of, Name) and made.of.name.endswith("ArrayWrapper"):
                self._array(made.of, state)

    def _array(self, wrapper: Name, state: Any) -> None:
        """Step over the bytes of an array that joblib has put here."""
        if not wrapper.name.endswith("NumpyArrayWrapper") or not isinstance(state, dict):
            raise Unreadable(f"{wrapper.full} is from joblib before 0.10; load the model there and save it again")
        has_objects, size = _item(state.get("dtype"))
        if has_objects:
            Follower(self._stream, self._found).follow()
            return
        shape = state.get("shape")
        if not isinstance(shape, tuple) or not all(type(length) is int and 0 <= length < 1 << 40 for length in shape):
            raise Unreadable("an array whose shape cannot be read")
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self._stream.read(1)
            _skip(self._stream, padding[0] if padding else 0)
        _skip(self._stream, math.prod(shape) * size)

    def _to_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not MARK:  # IndexError where there is none
            at -= 1
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Name):
            self._found.warn(f"a change of {target.full}")
        elif isinstance(target, list) and len(target) < _KEPT_MAX:
            target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Name):
            self._found.warn(f"a change of {target.full}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if key == "_sklearn_version" and isinstance(value, str):
                self._found.versions["scikit-learn"] = value[:40]
            if isinstance(target, dict) and len(target) < _KEPT_MAX and isinstance(key, str | int | float | bytes):
                target[key] = value

    def _pair(self) -> list[Any]:
        value, key = self._stack.pop(), self._stack.pop()
        return [key, value]

    def _dict(self, _: Any) -> None:
        values = self._to_mark()
        self._stack.append({})
        self._set_items(values)

    def _tuple(self, count: int) -> None:
        values = tuple(self._stack[len(self._stack) - count :]) if count else ()
        if any(value is MARK for value in values) or len(values) < count:
            raise Unreadable("a tuple without its values")
        if count:
            del self._stack[-count:]
        self._stack.append(values)

    def _put(self, place: Any) -> None:
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _persistent(self, _: Any) -> None:
        self._stack.append(OTHER)

    def _persistent_of(self, _: Any) -> None:
        self._stack.pop()
        self._stack.append(OTHER)


def _items(arguments: Any) -> tuple[Any, ...]:
    """What a call is given: a tuple where a pickle is well made."""
    if isinstance(arguments, dict):
        return tuple(arguments.values())
    return tuple(arguments) if isinstance(arguments, tuple | list) else (arguments,)


def _may_be_called(called: Any) -> bool:
    """Classes and types that came with the file, and methods of what is allowed; not functions that came with it."""
    if not isinstance(called, Made) or not isinstance(called.of, Name):
        return False
    return called.of.full == "builtins.getattr" or bool(_CLASSES.fullmatch(called.of.name))


def _words(value: Any) -> str:
    if isinstance(value, Name):
        return value.full
    return f"what {_words(value.of)} yields" if isinstance(value, Made) else f"{value!r:.40}"


def _item(dtype: Any) -> tuple[bool, int]:
    """Whether an array of this NumPy type holds objects, and how many bytes an element has."""
    arguments = _items(dtype.arguments) if isinstance(dtype, Made) else ()
    if not isinstance(dtype, Made) or not isinstance(dtype.of, Name) or dtype.of.name.rpartition(".")[2] != "dtype":
        raise Unreadable("an array whose type cannot be read")
    found = re.fullmatch(r"[<>|=]?([a-zA-Z?])(\d*)(\[\w+\])?", arguments[0]) if isinstance(arguments[0], str) else None
    if found is None:
        raise Unreadable(f"an array of the type {arguments[0]!r:.60}, which cannot be read")
    letter, digits = found[1], found[2]
    if letter == "V":
        parts = dtype.state[2:5] if isinstance(dtype.state, tuple) else ()
        return any(_item(part)[0] for part in _types(parts)), int(digits)
    if letter == "O":
        return True, 8
    return False, 8 if letter in "mM" else int(digits or 1) * (4 if letter == "U" else 1)


def _types(parts: Any) -> list[Made]:
    """The NumPy types that a structured one is made of."""
    found: list[Made] = []
    waiting = [parts]
    while waiting and len(found) < _KEPT_MAX:
        part = waiting.pop()
        if isinstance(part, Made):
            found.append(part)
        elif isinstance(part, tuple | list | dict):
            waiting += _items(part)
    return found


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0:
        piece = stream.read(min(count, 1 << 20))
        if not piece:
            raise Unreadable("it ends within an array")
        count -= len(piece)


_CLASSES = re.compile(
    r"_builtin_type|_make_skeleton_\w+|_rehydrate_skeleton_class|_lookup_class_or_track|_create_type|_load_type"
)

_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
}
_WRITTEN_OUT = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES "
    "BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT"
)
_CONSTANTS: dict[str, Any] = _EMPTY | dict.fromkeys(_WRITTEN_OUT.split())
_STEPS: dict[str, Callable[[Follower, Any], object]] = {
    "GLOBAL": Follower._global,
    "STACK_GLOBAL": Follower._stack_global,
    "INST": Follower._inst,
    "OBJ": Follower._obj,
    "REDUCE": Follower._reduce,
    "NEWOBJ": Follower._new,
    "NEWOBJ_EX": Follower._new_with_names,
    "BUILD": Follower._build,
    "MARK": lambda self, _: self._stack.append(MARK),
    "POP": lambda self, _: self._stack.pop(),
    "POP_MARK": lambda self, _: self._to_mark(),
    "DUP": Follower._dup,
    "PUT": Follower._put,
    "BINPUT": Follower._put,
    "LONG_BINPUT": Follower._put,
    "MEMOIZE": Follower._put,
    "GET": Follower._get,
    "BINGET": Follower._get,
    "LONG_BINGET": Follower._get,
    "APPEND": lambda self, _: self._append([self._stack.pop()]),
    "APPENDS": lambda self, _: self._append(self._to_mark()),
    "ADDITEMS": lambda self, _: self._append(self._to_mark()),
    "SETITEM": lambda self, _: self._set_items(self._pair()),
    "SETITEMS": lambda self, _: self._set_items(self._to_mark()),
    "LIST": lambda self, _: self._stack.append(self._to_mark()),
    "FROZENSET": lambda self, _: self._stack.append(self._to_mark()),
    "TUPLE": lambda self, _: self._stack.append(tuple(self._to_mark())),
    "DICT": Follower._dict,
    "TUPLE1": lambda self, _: self._tuple(1),
    "TUPLE2": lambda self, _: self._tuple(2),
    "TUPLE3": lambda self, _: self._tuple(3),
    "PERSID": Follower._persistent,
    "BINPERSID": Follower._persistent_of,
}
