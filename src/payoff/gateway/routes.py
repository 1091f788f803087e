"""The inference door's paths: `/predict/ENDPOINT` for rows, `/v2/...` for the Open Inference Protocol.

Parse, ask the desk once, reply. What goes wrong becomes a status and a sentence; nothing a caller sends ends a worker.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from math import ceil
from typing import Any

from payoff.codecs import compression, formats
from payoff.codecs.codec import Codec
from payoff.doors import admit, kind, status
from payoff.errors import BadInput, Busy, NotFound, NotRead, PayoffError, Unauthorized
from payoff.gateway import metrics, rows
from payoff.gateway.aside import Aside
from payoff.gateway.http import Connection
from payoff.gateway.patience import Patience, patience
from payoff.gateway.reply import Reply, refusal
from payoff.gateway.request import LARGE_BYTES, Head, Request
from payoff.gateway.stream import streams
from payoff.gateway.streamed import Streamed
from payoff.gateway.tensors import Tensors
from payoff.gateway.v2 import V2
from payoff.gateway.wished import take_specially
from payoff.serving import Desk, Live

Way = Callable[[Request], None]
Find = Callable[[], tuple[Live, Any]]  # an endpoint as it is now, and the form of its calls
log = logging.getLogger("payoff.gateway")

_PREDICT = "/predict/"
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer/?")
_DIGITS_MAX = 12
_LARGE_BODIES_MAX = 8  # that wait, if all are as large as may be
_HINT = "POST rows to /predict/ENDPOINT, or use /v2/models/ENDPOINT/infer"


class Routes:
    """From a request to a reply, by way of the desk.

    Where a request leads follows from its head alone. It is found once, and kept with the head (`Head.way`).
    """

    def __init__(self, desk: Desk, v2: V2, key: str | None, hosts: frozenset[str] | None, body_bytes_max: int) -> None:
        self._desk = desk
        self._v2 = v2
        self._key = key
        self._hosts = hosts
        self._body_bytes_max = body_bytes_max
        self._aside = Aside(self._fail, _LARGE_BODIES_MAX * body_bytes_max)
        self._later: set[asyncio.Task[None]] = set()

    def answer(self, request: Request) -> None:
        """See that one request hears its answer, now or when the desk has it."""
        try:
            way: Way | None = request.head.way
            if way is None:
                admit(request.headers, self._key, self._hosts)
                way = request.head.way = self._way(request.head)
            way(request)
        except Exception as error:
            self._fail(error, request)

    def _fail(self, error: Exception, request: Request) -> None:
        self._count(error, request.path)
        request.hear(error)

    def _count(self, error: Exception, path: str) -> None:
        """A call that did not come as far as the desk, which counts the others."""
        name = path[len(_PREDICT) :] if path.startswith(_PREDICT) else (_INFER.fullmatch(path) or ("", ""))[1]
        self._desk.turned_away(name, "http", error)

    def stream(self, connection: Connection, head: Head, chunked: bool) -> Streamed | None:
        """A request whose rows are answered while it is sent; None for others, and for what is refused when whole."""
        name = head.path[len(_PREDICT) :].rstrip("/")
        if not head.path.startswith(_PREDICT) or head.method != b"POST":
            return None
        try:
            admit(head.headers, self._key, self._hosts)
            codec, answer_codec = _codecs(head)
            plain = _coding(head) is None
        except PayoffError:
            return None
        if not plain or not streams(codec, answer_codec, b"transfer-encoding" in head.headers):
            return None
        return Streamed(connection, head, chunked).open(self._desk, lambda: self._desk.find(name), codec, answer_codec)

    def _way(self, head: Head) -> "Way":
        """Where a head leads; a packed body is unpacked on the way."""
        way, coding = self._way_of_plain(head), _coding(head)
        return way if coding is None else self._unpacking(way, coding)

    def _unpacking(self, way: "Way", coding: str) -> "Way":
        most = self._body_bytes_max

        def unpack(request: Request) -> None:
            body = request.body
            if (small := compression.at_once(body, coding, min(LARGE_BYTES, most))) is not None:
                go_on(request, small)
            else:
                self._aside.do(request, partial(compression.unpack, body, coding, most), partial(go_on, request))

        def go_on(request: Request, body: bytes) -> None:
            request.body = body
            way(request)

        return unpack

    def _way_of_plain(self, head: Head) -> "Way":
        path = head.path
        if path.startswith(_PREDICT):
            return self._to_rows(path[len(_PREDICT) :].rstrip("/"), head)
        if path == "/metrics":
            return self._to_metrics(head)
        found = _INFER.fullmatch(path)
        return self._to_infer(found[1], found[2], head) if found else self._to_rest(head)

    # -- rows

    def _to_rows(self, name: str, head: Head) -> "Way":
        _expect(head, b"POST")
        codec, answer_codec = _codecs(head)
        desk, limits = self._desk, patience(head)

        def find() -> tuple[Live, Any]:
            live = desk.find(name)
            return live, rows.form(live, codec, answer_codec)

        def ask(request: Request) -> None:
            if len(request.body) > LARGE_BYTES:
                self._ask_aside(request, find, limits, ask)
                return
            live, form = find()
            asked = form.ask(request.body)
            if limits is None:
                desk.take(live, form, asked, asked.rows, request)
            else:
                until_us = limits.deadline_us()
                desk.take(live, form, asked, asked.rows, request, priority=limits.priority, deadline_us=until_us)

        return ask

    def _ask_aside(self, request: Request, find: Find, limits: Patience | None, again: Way) -> None:
        """Read a large body aside, as the endpoint takes it now, and ask the endpoint as it is then."""
        live, form = find()
        priority, until_us = (0, None) if limits is None else (limits.priority, limits.deadline_us())

        def take(asked: Any) -> None:
            now, own = find()
            if now.inputs != live.inputs:  # another revision went live meanwhile, and takes other columns
                again(request)
                return
            request.body = b""
            self._desk.take(now, own, asked, asked.rows, request, priority=priority, deadline_us=until_us)

        self._aside.do(request, partial(form.whole, request.body), take)

    # -- Open Inference Protocol

    def _to_infer(self, name: str, version: str | None, head: Head) -> "Way":
        _expect(head, b"POST")
        header_length = _length(head)
        desk, v2, limits = self._desk, self._v2, patience(head)
        fetch = v2.regions.read

        def ask(request: Request) -> None:
            live = desk.lives.get(name) if version is None else None
            if live is None:
                live = v2.live(name, version)
            form = Tensors.of(live)
            known = form.shapes.find(request.body, header_length) if limits is None else None
            if known is not None:
                desk.take(live, form.seen, known, known.shape.request.rows, request)
                return
            asked = form.ask(request.body, header_length, fetch)
            form.shapes.keep(request.body, header_length, asked)
            if limits is not None or asked.parameters or asked.wishes:
                take_specially(desk, v2.regions, live, asked, request, limits)
            else:
                desk.take(live, form, asked, asked.rows, request)

        return ask

    def _to_rest(self, head: Head) -> "Way":
        """Everything under /v2 that is not inference."""
        answers = self._v2.answers(head.path)
        if answers is None:
            _expect(head, b"GET", b"HEAD")
            raise NotFound(f"there is no {head.path[:200]!r} on this door; {_HINT}")
        _expect(head, *answers)
        answer = answers[head.method]

        def tell(request: Request) -> None:
            said = answer(request.body)
            if isinstance(said, Reply):
                request.hear(said)
            else:
                self._promise(said, request)

        return tell

    # -- what the workers counted

    def _to_metrics(self, head: Head) -> "Way":
        """On a thread: with many endpoints it takes a while, and calls go first."""
        _expect(head, b"GET", b"HEAD")
        accept, home = _text(head, b"accept", ""), self._v2.home
        loop = asyncio.get_running_loop()
        return lambda request: self._promise(loop.run_in_executor(None, metrics.scrape, home, accept), request)

    def _promise(self, coming: Awaitable[Reply], request: Request) -> None:
        """An answer that is not there yet."""
        task = asyncio.get_running_loop().create_task(_tell_later(coming, request))
        self._later.add(task)
        task.add_done_callback(self._later.discard)


class MethodRefused(BadInput):
    """The path is right and the method is not."""


class CodingRefused(NotRead):
    """The body is packed in a way that is not read here."""


def explain(error: Exception, request: Any) -> Reply:
    """An error as a reply. Ours are made for the caller; a fault gets a number that stands in the log too."""
    if isinstance(error, MethodRefused):
        return refusal(405, error.args[0], "bad_input", b"allow: %b\r\n" % error.args[1])
    if isinstance(error, PayoffError):
        return refusal(status(error), str(error), kind(error), _hints(error))
    incident = secrets.token_hex(4)
    log.error("incident %s on %r", incident, request.path[:200], exc_info=error)
    return refusal(500, f"payoff failed here; look for incident {incident} in its log and report it", "internal")


def _hints(error: PayoffError) -> bytes:
    """Header lines that tell a program what to do (RFC 9110, 11.6.1, 10.2.3 and 15.5.16)."""
    if isinstance(error, Unauthorized):
        return b'www-authenticate: Bearer realm="payoff"\r\n'
    if isinstance(error, Busy):
        return b"retry-after: %d\r\n" % ceil(error.retry_after_s or 1)
    if isinstance(error, CodingRefused):
        return b"accept-encoding: %b\r\n" % ", ".join(compression.CODINGS).encode()
    if isinstance(error, NotRead):
        return b"accept: %b\r\n" % ", ".join(formats.spoken()).encode()
    return b""


def _expect(head: Head, *methods: bytes) -> None:
    if head.method not in methods:
        allowed = b", ".join(methods)
        raise MethodRefused(f"{head.method.decode()} is not possible here; use {allowed.decode()}: {_HINT}", allowed)


def _codecs(head: Head) -> tuple[Codec, Codec]:
    """The format of the rows, and that of the answers."""
    codec = formats.by_content_type(_text(head, b"content-type", "application/json"))
    return codec, formats.negotiate(_text(head, b"accept", "*/*"), codec)


def _text(head: Head, header: bytes, default: str) -> str:
    value = head.headers.get(header)
    return default if value is None else value.decode("latin-1")


def _length(head: Head) -> int | None:
    value = head.headers.get(b"inference-header-content-length")
    if value is None:
        return None
    if not value.isdigit() or len(value) > _DIGITS_MAX:
        said = value[:40].decode("latin-1")
        raise BadInput(f"Inference-Header-Content-Length is {said!r}; it must be a number of bytes")
    return int(value)


def _coding(head: Head) -> str | None:
    try:
        return compression.coding(_text(head, b"content-encoding", ""))
    except NotRead as error:
        raise CodingRefused(str(error)) from error


async def _tell_later(coming: Awaitable[Reply], request: Request) -> None:
    try:
        request.hear(await coming)
    except Exception as error:
        request.hear(error)
