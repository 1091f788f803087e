"""How urgent a call is and how long its caller will wait, as headers say it: `payoff-priority`, `payoff-timeout-ms`."""

from typing import NamedTuple

from payoff.clock import now_us
from payoff.errors import BadInput
from payoff.gateway.request import Head
from payoff.serving.line import PRIORITY_MAX

TIMEOUT_MS_MAX = 86_400_000  # a day
_TIMEOUT, _PRIORITY = b"payoff-timeout-ms", b"payoff-priority"


class Patience(NamedTuple):
    """What the headers of a call say; `timeout_us` None: there is no limit."""

    priority: int
    timeout_us: int | None

    def deadline_us(self) -> int | None:
        """Until when a call that comes now is worth running, as `now_us` counts."""
        return None if self.timeout_us is None else now_us() + self.timeout_us


def patience(head: Head) -> Patience | None:
    """None if it says nothing, as most; BadInput if it says what cannot be."""
    if _TIMEOUT not in head.headers and _PRIORITY not in head.headers:
        return None
    timeout_ms = _number(head, _TIMEOUT, 1, TIMEOUT_MS_MAX)
    return Patience(_number(head, _PRIORITY, 0, PRIORITY_MAX) or 0, None if timeout_ms is None else timeout_ms * 1_000)


def _number(head: Head, name: bytes, least: int, most: int) -> int | None:
    value = head.headers.get(name)
    if value is None:
        return None
    if value.isdigit() and len(value) <= len(str(most)) and least <= int(value) <= most:
        return int(value)
    said = value[:40].decode("latin-1")
    raise BadInput(f"{name.decode()} is {said!r}; expected a whole number from {least:,} to {most:,}")
