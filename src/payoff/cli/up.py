"""`payoff up`: one process tree. The supervisor owns the ports and the home, starts the rest, and replaces what dies.

It stays light on purpose: it imports no engine, so that nothing in it can fail when they do. Workers and the control
plane inherit their listening sockets, so a connection that arrives while one of them is replaced waits instead of
failing. Each child holds a pipe to the supervisor; when the supervisor dies, by whatever cause, they finish what they
hold and leave.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from payoff.client.key import sound
from payoff.doors import is_loopback
from payoff.errors import BadInput, Conflict, Unavailable
from payoff.gateway.board import Board, make_board
from payoff.gateway.settings import Settings as Worker
from payoff.gateway.settings import flag, flags
from payoff.store import sheets

if TYPE_CHECKING:
    from payoff.doors.tls import Pair

BACKOFF_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Settings:
    """What `payoff up` was asked for."""

    home: Path
    workers: int
    http: str = "127.0.0.1:8000"
    grpc: str | None = "127.0.0.1:8001"  # None: there is no such door
    flight: str | None = None
    console: str = "127.0.0.1:8080"
    sync: bool = False
    tls: "Pair | None" = None
    each: Mapping[str, Any] = field(default_factory=dict)  # of every worker: gateway.settings.Settings by name


@dataclass(slots=True)
class Child:
    """One process of the tree: how to start it, and how often it died young."""

    name: str
    command: list[str]
    fds: tuple[int, ...]
    worker: int | None = None  # its number, if it is one
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    deaths: int = 0
    due_s: float = 0.0


@dataclass(slots=True)
class Tree:
    """The children, and the board on which workers say how many connections they have."""

    children: list[Child]
    board: Board
    stopping: bool = False


def address(text: str) -> tuple[str, int]:
    """ "127.0.0.1:8000" or "[::1]:8000" as host and port."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65_535:
        raise BadInput(f"{text!r} is no address; write HOST:PORT, for example 127.0.0.1:8000")
    return host.strip("[]") or "127.0.0.1", int(port)


def shown(cert: Path | None, key: Path | None, client_ca: Path | None) -> "Pair | None":
    """What the doors show to callers over TLS, if anything. BadInput if it is nothing to show."""
    if cert is None and key is None and client_ca is None:
        return None
    from payoff.doors import tls

    found = tls.pair(cert, key, client_ca)
    if found is not None:
        tls.check(found)
    return found


def beside(http: str) -> str:
    """Where the gRPC door is if nobody says so: at the next port of the HTTP door's host, or at any if that has any."""
    host, port = address(http)
    return f"{f'[{host}]' if ':' in host else host}:{port + 1 if port else 0}"


def has_grpcio(server: str) -> str:
    """The gRPC server that was asked for; BadInput if it is not there."""
    if server == "grpcio" and find_spec("grpc") is None:
        raise BadInput("--grpc-server grpcio needs grpcio; install it with: pip install 'payoff[grpc]'")
    return server


def key_for(settings: Settings, environment: dict[str, str]) -> tuple[str | None, bool]:
    """The key that every door asks for, if any, and whether it was made just now (then it must be shown, once).

    BadInput if the one given is none that a caller could send.
    """
    if given := sound(environment.get("PAYOFF_KEY")):
        return given, False
    doors = (settings.http, settings.grpc, settings.flight, settings.console)
    asked = [door for door in doors if door is not None]
    if all(is_loopback(address(door)[0]) for door in asked):
        return None, False
    return secrets.token_urlsafe(24), True


def lock(home: Path) -> TextIO:
    """Make the home this supervisor's own until it exits."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (home / "lock").open("a+")
    except OSError as error:
        raise Unavailable(f"cannot use {home} as home: {error.strerror}; choose another with --home DIR") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "another process"
        raise Conflict(
            f"{home} is in use by payoff up (process {owner}); "
            "use that one, stop it first, or choose another home with --home DIR"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def listen(door: str, flag: str, patience_s: float = 3.0, shared: bool = False) -> socket.socket:
    """The door's listening socket. Children of a supervisor that just died need a moment to let go of it.

    `shared`: it only keeps the place, at which others listen themselves.
    """
    host, port = address(door)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    until = time.monotonic() + patience_s
    while True:
        door_socket = socket.socket(family, socket.SOCK_STREAM)
        door_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_the_gone(door_socket)
        if shared:
            door_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            door_socket.bind((host, port))
            if not shared:
                door_socket.listen(BACKLOG)
            return door_socket
        except OSError as error:
            door_socket.close()
            if time.monotonic() > until:
                raise Unavailable(
                    f"cannot listen on {door}: {error.strerror}; choose another with {flag} HOST:PORT"
                ) from error
            time.sleep(0.1)


def _notice_the_gone(door_socket: socket.socket) -> None:
    """Connections are probed when nothing comes, and end when what is sent to them finds nobody; they inherit this."""
    door_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3),
                          ("TCP_USER_TIMEOUT", 300_000)):  # fmt: skip
        if hasattr(socket, option):  # the second is macOS's name of the first, the last is Linux's; seconds, and ms
            door_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def where(door_socket: socket.socket) -> str:
    """HOST:PORT as the socket really got it (port 0 means any)."""
    host, port = door_socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reached_at(door_socket: socket.socket) -> str:
    """What to tell callers: a door on every address is reached by the machine's name."""
    place = where(door_socket)
    return place.replace("0.0.0.0", socket.gethostname()).replace("[::]", socket.gethostname())  # noqa: S104


def can_pin(asked: bool) -> bool:
    """Whether to pin workers, as asked; BadInput where the system knows no such thing."""
    if asked and not hasattr(os, "sched_setaffinity"):
        raise BadInput("--pin needs Linux; here the system chooses the cores: leave it out")
    return asked


def scheme(settings: Settings) -> str:
    """How to speak to the doors."""
    return "http" if settings.tls is None else "https"


def run(settings: Settings, say: Callable[[str], None]) -> None:
    """Start everything, keep it running, and stop it gracefully on SIGTERM or SIGINT."""
    key, fresh = key_for(settings, dict(os.environ))
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock(settings.home))
        sheets.sweep(settings.home)
        asked = {"http": settings.http, "grpc": settings.grpc, "flight": settings.flight, "console": settings.console}
        shared = {"grpc"} if settings.each.get("grpc_server") == "grpcio" else {""}
        doors = {
            name: stack.enter_context(listen(door, f"--{name}", shared=name in shared))
            for name, door in asked.items()
            if door is not None
        }
        read, write = os.pipe()
        stack.callback(os.close, write)
        board_fd = make_board(settings.workers)
        stack.callback(os.close, board_fd)
        tree = Tree(children(settings, doors, read, board_fd), Board(board_fd, settings.workers))
        _write_doors(settings, doors)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(tree, "stopping", True))
        environment = {**os.environ, **({"PAYOFF_KEY": key} if key else {})}
        _greet(settings, doors, key if fresh else None, say)
        keep(tree, environment, say)
        stop(tree)


def children(settings: Settings, doors: Mapping[str, socket.socket], lifeline: int, board: int) -> list[Child]:
    """The control plane and the workers, as commands."""
    http, console = doors["http"], doors["console"]
    control = [sys.executable, "-m", "payoff.api.control", "--home", str(settings.home)]
    control += ["--lifeline-fd", str(lifeline), *(["--sync"] if settings.sync else []), "--fd", str(console.fileno())]
    control += ["--http-url", f"{scheme(settings)}://{reached_at(http)}"]
    control += ["--log-format", str(settings.each.get("log_format", "text"))]
    tls = _tls(settings.tls)
    control += [text for name, path in tls.items() for text in (flag(name), str(path))]
    worker = Worker(
        home=settings.home, fd=http.fileno(), grpc_fd=_fd(doors, "grpc"), flight_fd=_fd(doors, "flight"),
        workers=settings.workers, lifeline_fd=lifeline, board_fd=board, sync=settings.sync, **tls, **settings.each,
    )  # fmt: skip
    return [
        Child("control", control, (console.fileno(), lifeline)),
        *(_worker(replace(worker, index=index)) for index in range(settings.workers)),
    ]


def _fd(doors: Mapping[str, socket.socket], name: str) -> int | None:
    """The open file of a door, if there is such a door."""
    return doors[name].fileno() if name in doors else None


def _tls(files: "Pair | None") -> dict[str, Any]:
    """As settings of those who open doors."""
    if files is None:
        return {}
    found = {"tls_cert": files.cert, "tls_key": files.key, "tls_client_ca": files.client_ca}
    return {name: path for name, path in found.items() if path is not None}


def _worker(told: Worker) -> Child:
    """A worker, with every open file that its settings name."""
    inherited = [getattr(told, one.name) for one in fields(told) if one.name.endswith("fd")]
    command = [sys.executable, "-m", "payoff.gateway.worker", *flags(told)]
    return Child(f"worker {told.index}", command, tuple(fd for fd in inherited if fd is not None), told.index)


def keep(tree: Tree, environment: dict[str, str], say: Callable[[str], None]) -> None:
    """Start what is due and watch for deaths until somebody says stop."""
    while not tree.stopping:
        now = time.monotonic()
        for child in tree.children:
            if child.process is None and now >= child.due_s:
                start(child, environment)
            elif child.process is not None and child.process.poll() is not None:
                bury(child, now, say)
                if child.worker is not None:
                    tree.board.wipe(child.worker)
        time.sleep(0.02)


def start(child: Child, environment: dict[str, str]) -> None:
    """Start one child with its sockets, in a group of its own so that Ctrl-C reaches only the supervisor."""
    child.process = subprocess.Popen(  # noqa: S603
        child.command, pass_fds=child.fds, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )
    child.started_s = time.monotonic()


def bury(child: Child, now_s: float, say: Callable[[str], None]) -> None:
    """Note a death and when to start anew: at once after a long life, later and later after short ones."""
    assert child.process is not None  # noqa: S101
    status = child.process.returncode
    child.deaths = 1 if now_s - child.started_s > 10 else child.deaths + 1
    wait_s = BACKOFF_S[min(child.deaths, len(BACKOFF_S)) - 1]
    child.process, child.due_s = None, now_s + wait_s
    cause = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    say(f"{child.name} ended ({cause}); starting it again{f' in {wait_s:g} s' if wait_s else ''}")


def stop(tree: Tree, patience_s: float = 10.0) -> None:
    """Ask every child to finish what it holds; end those that do not within the time."""
    running = [child.process for child in tree.children if child.process is not None]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    until = time.monotonic() + patience_s
    for process in running:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _write_doors(settings: Settings, doors: Mapping[str, socket.socket]) -> None:
    run_folder = settings.home / "run"
    run_folder.mkdir(exist_ok=True, mode=0o700)
    fresh = run_folder / ".doors"
    places: dict[str, Any] = {name: where(door) for name, door in doors.items()}
    told = places | {"workers": settings.workers, "scheme": scheme(settings)}
    fresh.write_text("".join(f"{name} {value}\n" for name, value in told.items()))
    fresh.replace(run_folder / "doors")  # in one step: whoever looks sees all of it or the old one


def _greet(settings: Settings, doors: Mapping[str, socket.socket], key: str | None, say: Callable[[str], None]) -> None:
    say(f"inference  {scheme(settings)}://{where(doors['http'])}   ({settings.workers} workers)")
    if "grpc" in doors:
        say(f"grpc       {where(doors['grpc'])}")
    if "flight" in doors:
        say(f"flight     {where(doors['flight'])}")
    say(f"api        {scheme(settings)}://{where(doors['console'])}/api/docs")
    say(f"home       {settings.home}")
    if key:
        say(f"key        {key}   (shown once: every door asks for it; set PAYOFF_KEY to choose your own)")
