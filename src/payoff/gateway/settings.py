"""What a worker is told when it starts: every field is a flag of the same name, so one line here adds a setting.

The supervisor writes the flags, the worker reads them. It imports nothing heavy, as the supervisor does not.
"""

import argparse
import os
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

if TYPE_CHECKING:
    from payoff.doors.tls import Pair, Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One worker's settings. Those that end in `_fd` are open files that it inherits."""

    home: Path
    fd: int  # the listening socket of the HTTP door
    grpc_fd: int | None = None  # and of the gRPC door, if there is one
    grpc_server: str = "own"  # or "grpcio"
    flight_fd: int | None = None  # and of the Arrow Flight door
    index: int = 0
    workers: int = 1
    lifeline_fd: int | None = None  # readable when the supervisor is gone
    board_fd: int | None = None  # shared memory: how many connections each worker has
    sync: bool = False
    body_bytes_max: int = 64 << 20
    hot_max: int = 50
    log_format: str = "text"
    slow_ms: float = 250.0  # calls that take longer are logged; 0 for none
    otel: str | None = None  # the collector that traces go to
    otel_share: float = 1.0  # of the calls that come without a trace
    pin: bool = False  # on one core only
    tls_cert: Path | None = None  # PEM; the next two likewise
    tls_key: Path | None = None
    tls_client_ca: Path | None = None  # clients must show a certificate that it has signed

    @property
    def key(self) -> str | None:
        """What callers must send. It stands in the environment, where other accounts cannot read it."""
        return os.environ.get("PAYOFF_KEY") or None

    @property
    def pair(self) -> "Pair | None":
        """The files of what the doors show; None if they speak in the open."""
        from payoff.doors.tls import pair

        return pair(self.tls_cert, self.tls_key, self.tls_client_ca)

    @property
    def tls(self) -> "Tls | None":
        """What the doors show; None if they speak in the open."""
        from payoff.doors.tls import Tls

        files = self.pair
        return None if files is None else Tls(files)

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines that models are tried on only if they are asked for: `PAYOFF_ENGINES=tensorrt`."""
        return tuple(name.strip().lower() for name in os.environ.get("PAYOFF_ENGINES", "").split(",") if name.strip())


def flags(settings: Settings) -> list[str]:
    """The command line that `parse` reads back."""
    found: list[str] = []
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if value is not None and value is not False:
            found += [flag(one.name)] if value is True else [flag(one.name), str(value)]
    return found


def parse(arguments: list[str]) -> Settings:
    """The settings on a command line; argparse ends the process with words if it is amiss."""
    parser = argparse.ArgumentParser(prog="payoff.gateway.worker", description="`payoff up` starts it.")
    kinds = get_type_hints(Settings)
    for one in fields(Settings):
        kind, name = kinds[one.name], flag(one.name)
        if kind is bool:
            parser.add_argument(name, action="store_true")
        else:
            default: Any = None if one.default is MISSING else one.default
            parser.add_argument(name, type=_plain(kind), default=default, required=one.default is MISSING)
    return Settings(**vars(parser.parse_args(arguments)))


def flag(name: str) -> str:
    """`--hot-max` of `hot_max`."""
    return "--" + name.replace("_", "-")


def _plain(kind: Any) -> Any:
    """`int` of `int | None`."""
    return next((one for one in get_args(kind) if one is not type(None)), kind)
