"""Sends spans to an OpenTelemetry collector, OTLP over HTTP in protobuf, from a thread of its own.

What the collector does not take in time is dropped and counted: a slow collector costs a worker no memory and no call.
"""

import logging
import os
import socket
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote, urlsplit

from payoff.codecs.otlp import Span, Value, export
from payoff.errors import BadInput
from payoff.records.counts import OWN
from payoff.version import VERSION

CALLS_MAX = 4_096  # that wait to be sent
BATCH_MAX = 256  # calls in one request
EVERY_S = 1.0
TIMEOUT_S = 10.0
RETRIES_S = (0.5, 2.0)
_AGAIN = frozenset({429, 502, 503, 504})
log = logging.getLogger("payoff.traces")
Make = Callable[[], Iterable[Span]]


class Exporter:
    """The spans of one worker on their way to `url`. `own` are the numbers of this process."""

    def __init__(self, url: str, worker: int, own: memoryview, environment: Mapping[str, str] = os.environ) -> None:
        self._url = traces_url(url)
        self._headers = {"content-type": "application/x-protobuf", **pairs(environment, "OTEL_EXPORTER_OTLP_HEADERS")}
        self._resource: dict[str, Value] = {
            **pairs(environment, "OTEL_RESOURCE_ATTRIBUTES"),
            "service.name": environment.get("OTEL_SERVICE_NAME") or "payoff", "service.version": VERSION,
            "service.instance.id": f"{socket.gethostname()}/worker-{worker}", "process.pid": os.getpid(),
        }  # fmt: skip
        self._own = own
        self._waiting: deque[Make] = deque()
        self._stop = threading.Event()
        self._silent = False  # the collector did not answer the last time; that is said once
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def take(self, make: Make) -> None:
        """Spans to be made and sent soon; dropped if too many wait."""
        if len(self._waiting) >= CALLS_MAX:
            self.drop(1)
        else:
            self._waiting.append(make)

    def drop(self, calls: int) -> None:
        """Calls that should have been traced, and are not."""
        self._own[OWN["untraced_calls"]] += calls

    def close(self) -> None:
        """Send what waits, for as long as one request may take."""
        self._stop.set()
        self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            made = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            found = [span for make in made for span in make()]
            if self._send(export(self._resource, "payoff", VERSION, found)):
                self._own[OWN["spans"]] += len(found)
            else:
                self.drop(len(made))

    def _send(self, body: bytes) -> bool:
        """Whether the collector took it, at the first try or a later one."""
        for wait_s in (*RETRIES_S, None):
            said, again = self._post(body)
            if not said:
                self._silent = False
                return True
            if not again or wait_s is None or self._stop.wait(wait_s):
                break
        if not self._silent:
            log.warning("the collector at %s does not take spans: %s; they are dropped until it does", self._url, said)
        self._silent = True
        return False

    def _post(self, body: bytes) -> tuple[str, bool]:
        """What went wrong, or nothing; and whether it may go better later."""
        request = urllib.request.Request(self._url, body, self._headers)  # noqa: S310 - the scheme was looked at
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                answer.read()
                return "", False
        except urllib.error.HTTPError as error:
            return f"status {error.code}", error.code in _AGAIN
        except (OSError, ValueError) as error:
            return str(error), True


def collector(said: str | None, environment: Mapping[str, str]) -> str | None:
    """The collector that was asked for, if any: its address, or `env` for what OpenTelemetry's variable says."""
    if said is None:
        return None
    found = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "") if said == "env" else said
    if not found:
        raise BadInput("--otel env, and OTEL_EXPORTER_OTLP_ENDPOINT is not set; write --otel http://HOST:4318")
    return traces_url(found)


def traces_url(url: str) -> str:
    """Where traces go: below the collector's address, as OTEL_EXPORTER_OTLP_ENDPOINT has it; BadInput if it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadInput(f"{url!r} is no collector's address; write --otel http://HOST:4318")
    whole = url.rstrip("/")
    return whole if whole.endswith("/v1/traces") else f"{whole}/v1/traces"


def pairs(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """A variable of the form a=1,b=2, values percent-encoded, as OpenTelemetry's are."""
    found = [one.partition("=") for one in environment.get(name, "").split(",") if "=" in one]
    return {key.strip(): unquote(value.strip()) for key, _, value in found}
