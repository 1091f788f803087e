"""The gRPC door of one worker: who may come in, and what can be called."""

import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payoff.doors import admit
from payoff.gateway.grpc import Services
from payoff.gateway.h2 import Door
from payoff.gateway.h2_limits import Limits
from payoff.gateway.settings import Settings
from payoff.gateway.v2 import V2
from payoff.serving import Desk


def limits(body_bytes_max: int, connections_max: int) -> Limits:
    """What connections may cost, with the bounds of this worker."""
    usual = Limits(body_bytes_max=body_bytes_max, bodies_bytes_max=4 * body_bytes_max)
    return replace(usual, connections_max=min(usual.connections_max, connections_max))


def door(desk: Desk, v2: V2, key: str | None, hosts: frozenset[str] | None, limits: Limits) -> Door:
    """What its connections share. `key` None asks for none; `hosts` None takes any authority."""

    def let_in(headers: Mapping[bytes, bytes]) -> None:
        """HTTP/2 says in `:authority` what HTTP/1.1 says in Host."""
        admit({**headers, b"host": headers.get(b":authority", headers.get(b"host", b""))}, key, hosts)

    made = Door({}, let_in, limits)
    made.methods = Services(desk, v2, lambda: made.closing).methods()
    return made


async def of_grpcio(door: Door, settings: Settings) -> Any:
    """The same door with grpcio's server behind it, which listens itself where the supervisor keeps the place."""
    from payoff.gateway.grpc_aio import Hall

    with socket.socket(fileno=os.dup(settings.grpc_fd or 0)) as kept:
        host, port = kept.getsockname()[:2]
    hall = Hall(door)
    await hall.serve(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", settings.pair)
    return hall
