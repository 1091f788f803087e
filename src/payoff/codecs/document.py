"""YAML, read with suspicion: every value knows its line; no aliases, no double keys, no endless files, no code."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import yaml

from payoff.errors import BadInput, TooLarge
from payoff.records.share import share

BYTES_MAX = 256 * 1024
DEPTH_MAX = 16
_CALLED: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "a whole number"),
    (float, "a number"),
    (datetime, "a time"),
    (date, "a date"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the file and where it stands: `path` as people say it ("arms.champion.version"), `line` from 1.

    `value` is a plain value, or a dict or list of further places.
    """

    value: Any
    path: str
    line: int

    def wrong(self, what: str) -> BadInput:
        """The error to raise about this place."""
        return BadInput(f"line {self.line}, {self.path}: {what}" if self.path else f"line {self.line}: {what}")

    def mapping(self, known: tuple[str, ...] = (), what: str = "key") -> "dict[str, Place]":
        """Its keys, which are texts and, if `known` are given, some of these."""
        if not isinstance(self.value, dict):
            example = f"{known[0]}: ..." if known else f"{what}: ..."
            raise self.wrong(f"expected a mapping ({example}), got {self.said()}")
        for key, place in self.value.items():
            if known and key not in known:
                raise place.wrong(_unknown(key, known, place))
        return self.value

    def items(self) -> "list[Place]":
        """Its items, if it is a list."""
        if not isinstance(self.value, list):
            raise self.wrong(f"expected a list (lines that start with '- '), got {self.said()}")
        return self.value

    def text(self) -> str:
        """A text that is not empty."""
        if isinstance(self.value, str) and self.value.strip():
            return self.value.strip()
        hint = "; put it in quotes" if isinstance(self.value, bool | int | float | date) else ""
        raise self.wrong(f"expected a text, got {self.said()}{hint}")

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.wrong(f"expected true or false, got {self.said()}")
        return self.value

    def one_of(self, names: tuple[str, ...]) -> str:
        """One of these texts; a wrong one is answered with the nearest."""
        text = self.text()
        if text not in names:
            raise self.wrong(f"{_short(text)} is none of {', '.join(names)}{near(text, names)}")
        return text

    def number(self) -> float:
        """A number; texts that YAML 1.1 does not take for one (1e-3) count."""
        value = self.value
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e300:
            raise self.wrong(f"expected a number, got {self.said()}")
        return float(value)

    def share(self) -> float:
        """A share, 0 to 1, written as 10% or 0.1."""
        found = share(self.value)
        if found is None:
            raise self.wrong(f"{self.said()} is no share; say 0% to 100%, or 0 to 1")
        return found

    def plain(self) -> Any:
        """The value without places; dates and times as ISO texts."""
        if isinstance(self.value, dict):
            return {key: place.plain() for key, place in self.value.items()}
        if isinstance(self.value, list):
            return [place.plain() for place in self.value]
        return self.value.isoformat() if isinstance(self.value, date) else self.value

    def said(self) -> str:
        """The value as a message shows it: shortened, with its kind."""
        if self.value is None:
            return "nothing"
        if isinstance(self.value, dict | list):
            return "a list" if isinstance(self.value, list) else "a mapping"
        kind = next((called for type_, called in _CALLED if isinstance(self.value, type_)), "a value")
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return f"{_short(self.value) if isinstance(self.value, str) else str(self.value)[:40]}, {kind}"


def load(text: str | bytes, begins: str = "endpoint: NAME") -> Place:
    """The one document in the text. BadInput with the line, TooLarge over 256 KiB; `begins`: how such files do."""
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > BYTES_MAX:
        raise TooLarge(f"the file has {size:,} bytes; a file like this has at most {BYTES_MAX:,}")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        _suspect(loader)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise BadInput(f"the file is empty; it starts with {begins!r}")
        return _place(loader, node, "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BadInput(f"line {line}: this is no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise BadInput(f"this is no YAML text: {str(error).splitlines()[0]}") from error
    finally:
        if loader is not None:
            loader.dispose()


def refuse_aliases(text: str | bytes) -> None:
    """BadInput for YAML that a general reader would unfold or nest without end; `load` looks itself."""
    _suspect(yaml.SafeLoader(text))


def near(text: str, names: tuple[str, ...] | list[str]) -> str:
    """A hint such as "; did you mean 'guards'?" if one of the names is close to the text, else nothing."""
    close = difflib.get_close_matches(text.lower(), names, 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def among(text: str, names: tuple[str, ...] | list[str], there: str = "there are") -> str:
    """The end of a message about a wrong name: the nearest one, and those there are."""
    return f"{near(text, names) or ';'} {there}: {', '.join(names)}"


def _suspect(loader: yaml.SafeLoader) -> None:
    """Refuse what unfolds or nests without end, before anything is built from it."""
    depth = 0
    for event in _events(loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadInput(f"line {event.start_mark.line + 1}: anchors (&) and aliases (*) are not taken; write it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise BadInput(f"line {event.start_mark.line + 1}: nested more than {DEPTH_MAX} deep")


def _events(loader: yaml.SafeLoader) -> Iterator[Any]:
    while loader.check_event():
        yield loader.get_event()  # type: ignore[no-untyped-call]


def _place(loader: yaml.SafeLoader, node: yaml.Node, path: str) -> Place:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return Place(_pairs(loader, node, path), path, line)
    if isinstance(node, yaml.SequenceNode):
        items = [_place(loader, item, f"{path}[{i + 1}]") for i, item in enumerate(node.value)]
        return Place(items, path, line)
    try:
        return Place(loader.construct_object(node), path, line)
    except (ValueError, OverflowError, TypeError, KeyError) as error:  # 2008-13-45, an int of 5,000 digits
        raise Place(None, path, line).wrong(f"{_short(str(node.value))} cannot be read ({error})") from error


def _pairs(loader: yaml.SafeLoader, node: yaml.MappingNode, path: str) -> dict[str, Place]:
    pairs: dict[str, Place] = {}
    for key, value in node.value:
        place = Place(None, path, key.start_mark.line + 1)
        if not isinstance(key, yaml.ScalarNode):
            raise place.wrong("a key is a plain text here")
        if key.value in pairs:
            raise place.wrong(f"the key {_short(key.value)} is there twice")
        under = f"{path}.{key.value[:60]}" if path else key.value[:60]
        found = _place(loader, value, under)
        pairs[key.value] = Place(found.value, under, place.line)
    return pairs


def _unknown(key: str, known: tuple[str, ...], place: Place) -> str:
    if place.value is None:  # {check: inputs.x in (1, 2), else: flag}: the comma ended the text
        return f"there is no key {_short(key)} here; a text with a comma, a colon or a brace in it needs quotes"
    return f"there is no key {_short(key)} here{among(key, known)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
