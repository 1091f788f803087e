"""The outputs that a request of the Open Inference Protocol asks for: which, in which form, and where they go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from payoff.codecs.checks import check_unique, shorten
from payoff.codecs.classification import classes
from payoff.codecs.places import Place, place
from payoff.errors import BadInput


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of one output beyond its form: so many classes instead of it, shared memory to put it in."""

    classes: int | None
    place: Place | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """`names` None means all outputs; `binary` are those wanted as raw bytes; `wishes` are by name."""

    names: tuple[str, ...] | None
    binary: frozenset[str] | Literal["all"]
    wishes: Mapping[str, Wish] | None = None


ALL_AS_JSON = Wanted(None, frozenset())
ALL_AS_BYTES = Wanted(None, "all")


def wanted(said: Any, parameters: Mapping[str, Any]) -> Wanted:
    """What the request's outputs say, each by its own parameters or else by the request's; BadInput if amiss."""
    by_default = parameters.get("binary_data_output") is True
    if said is None or said == []:
        return ALL_AS_BYTES if by_default else ALL_AS_JSON
    if type(said) is not list:
        raise BadInput(f"outputs is {shorten(said)}; expected a list of objects with a name")
    told = [_told(output) for output in said]
    names = tuple(name for name, _ in told)
    check_unique(names)
    binary = frozenset(name for name, about in told if about.get("binary_data", by_default) is True)
    wishes = {name: wish for name, about in told if about and (wish := _wish(name, about)) is not None}
    return Wanted(names, binary, wishes or None)


def _told(output: Any) -> tuple[str, dict[str, Any]]:
    name = output.get("name") if type(output) is dict else None
    about = output.get("parameters") or {} if type(output) is dict else {}
    if type(name) is not str or type(about) is not dict:
        raise BadInput(f"an output is {shorten(output)}; expected an object with a name")
    return name, about


def _wish(name: str, about: Mapping[str, Any]) -> Wish | None:
    there = place(about, f"output {shorten(name)}")
    asked = about.get("classification")
    if there is None and asked is None:
        return None
    return Wish(None if asked is None else classes(asked, name), there)
