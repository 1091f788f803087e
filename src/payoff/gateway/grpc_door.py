"""The gRPC door of one worker: who may come in, and what can be called."""

from collections.abc import Mapping

from payoff.doors import admit
from payoff.gateway.grpc import Services
from payoff.gateway.h2 import Door, Limits
from payoff.gateway.v2 import V2
from payoff.serving import Desk


def door(desk: Desk, v2: V2, key: str | None, hosts: frozenset[str] | None, body_bytes_max: int) -> Door:
    """What its connections share. `key` None asks for none; `hosts` None takes any authority."""

    def let_in(headers: Mapping[bytes, bytes]) -> None:
        """HTTP/2 says in `:authority` what HTTP/1.1 says in Host."""
        admit({**headers, b"host": headers.get(b":authority", headers.get(b"host", b""))}, key, hosts)

    made = Door({}, let_in, Limits(body_bytes_max=body_bytes_max))
    made.methods = Services(desk, v2, lambda: made.closing).methods()
    return made
