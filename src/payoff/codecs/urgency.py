"""How urgent a call is, by its parameters: Triton's `priority` and `timeout`; and what no call may ask for.

https://github.com/triton-inference-server/server, extension_schedule_policy and extension_sequence. Other parameters
are the caller's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payoff.codecs.checks import shorten
from payoff.errors import BadInput

_MEANT = frozenset({"priority", "timeout", "sequence_id", "sequence_start", "sequence_end"})
_MOST = 2**62


@dataclass(frozen=True, slots=True)
class Urgency:
    """`priority` 1 is the most urgent and 0 is what nobody says; `timeout_us` None waits as long as it takes."""

    priority: int = 0
    timeout_us: int | None = None


USUAL = Urgency()


def urgency(parameters: Mapping[str, Any]) -> Urgency:
    """What the parameters say; BadInput if that is no number, or for a call that is part of a sequence."""
    if _MEANT.isdisjoint(parameters):
        return USUAL
    if (sequence := parameters.get("sequence_id")) not in (None, 0, ""):
        raise BadInput(
            f"sequence_id is {shorten(sequence)}: nothing is kept between calls here, so a sequence has no meaning; "
            "leave sequence_id out, and send with each row all that its answer needs"
        )
    timeout_us = _number(parameters, "timeout")
    return Urgency(_number(parameters, "priority"), timeout_us or None)


def _number(parameters: Mapping[str, Any], name: str) -> int:
    said = parameters.get(name)
    if said is None:
        return 0
    if type(said) is str and said.isdecimal() and len(said) < 20:  # as some clients write their numbers
        said = int(said)
    if type(said) is not int or not 0 <= said <= _MOST:
        raise BadInput(f"{name} is {shorten(said)}; expected {_MEANING[name]}")
    return said


_MEANING = {"priority": "a whole number, 1 for the most urgent", "timeout": "a whole number of microseconds"}
