"""Rows in bulk over Arrow Flight: one exchange for each part of a table, each on a connection of its own.

A connection stays with one worker; the server spreads connections over its workers.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payoff.client.said import error_of
from payoff.client.trust import Trust
from payoff.errors import Unavailable

if TYPE_CHECKING:
    import pyarrow

ANSWER_S_MAX = 600.0  # for one part
IDLE_MAX = 8  # connections kept
FULL = ("busy", "unavailable")


class Flights:
    """The connections to one Flight door. One thread, one connection at a time."""

    def __init__(self, url: str, key: str | None, trust: Trust) -> None:
        self._url = url
        self._headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        self._shown = _shown(trust) if url.startswith("grpc+tls:") else {}
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    def answers(self, endpoint: str, part: "pyarrow.Table") -> Iterator["pyarrow.Table"]:
        """Answers to the rows of a part, piece by piece, in order. They end early where the server has no room for
        more: nothing was done with the rest. Raises the error that the server says, or Unavailable if nobody does."""
        from pyarrow import flight

        client, begun = self._take(), False
        try:
            for answers in _exchange(client, endpoint, part, self._headers):
                begun = True
                yield answers
        except flight.FlightError as error:
            client.close()
            kind, words = _said(error)
            if kind is None and isinstance(error, flight.FlightCancelledError) and not begun:
                return  # a server that is leaving had not looked at the call yet: what it looks at, it answers in words
            if kind is None:
                raise Unavailable(f"the Flight door at {self._url} broke off: {words}") from error
            if kind not in FULL:
                raise error_of(kind, words) from error
        except BaseException:
            client.close()
            raise
        else:
            self._give_back(client)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    def _take(self) -> Any:
        from pyarrow import flight

        with self._lock:
            if self._idle:
                return self._idle.pop()
        return flight.connect(self._url, **self._shown)

    def _give_back(self, client: Any) -> None:
        with self._lock:
            if len(self._idle) < IDLE_MAX:
                self._idle.append(client)
                return
        client.close()


def _exchange(client: Any, endpoint: str, part: "pyarrow.Table", headers: Any) -> Iterator["pyarrow.Table"]:
    """One batch is sent, and read whole by the server before it answers: nobody waits for the other to read."""
    import pyarrow as pa
    from pyarrow import flight

    options = flight.FlightCallOptions(timeout=ANSWER_S_MAX, headers=headers)
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_path(endpoint), options)
    writer.begin(part.schema)
    for batch in part.combine_chunks().to_batches()[:1]:
        writer.write_batch(batch)
    writer.done_writing()
    for chunk in reader:
        yield pa.Table.from_batches([chunk.data])
    writer.close()


def _said(error: Any) -> tuple[str | None, str]:
    """What kind of error the server says it is, and its words; None if it was not the server who said it."""
    with suppress(ValueError, KeyError):
        said = json.loads(error.extra_info)
        return said["kind"], said["error"]
    return None, str(error).splitlines()[0].partition(". gRPC client debug context")[0]


def _shown(trust: Trust) -> dict[str, Any]:
    """Whom a connection believes, and what it shows."""
    trust.context()  # says what is amiss with the files
    ca = {} if trust.ca is None else {"tls_root_certs": Path(trust.ca).read_bytes()}
    own = b"" if trust.cert is None else Path(trust.cert).read_bytes()
    return ca | ({"cert_chain": own, "private_key": own} if own else {})
