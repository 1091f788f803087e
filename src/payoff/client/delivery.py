"""A deploy on its way: sent in a thread, asked after meanwhile, and not lost where only the connection is."""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from payoff.client.form import Form
from payoff.client.said import error_of
from payoff.client.wire import Body, Wire
from payoff.errors import NotFound, PayoffError, Unavailable

PAUSES_S = (0.05, 0.1, 0.2, 0.3, 0.5)  # between two looks; the last one for good
MISSED_MAX = 20  # looks in a row that nobody answers
Hears = Callable[[dict[str, Any]], None]


def no_ears(_: dict[str, Any]) -> None:
    """Nobody wants to know how it goes."""


class Delivery:
    """One form on its way to the server, under an id by which the server tells how it goes."""

    def __init__(self, wire: Wire, form: Form, hears: Hears = no_ears) -> None:
        self._wire, self._form, self._hears = wire, form, hears
        self._id = secrets.token_hex(16)
        self._over = threading.Event()
        self._reply: dict[str, Any] | None = None
        self._error: BaseException | None = None
        self._is_known = False  # to the server

    def run(self) -> dict[str, Any]:
        """Send it and return what the server answers, however long it takes."""
        threading.Thread(target=self._send, name="deploy", daemon=True).start()
        looks = 0
        while not self._over.wait(PAUSES_S[min(looks, len(PAUSES_S) - 1)]):
            self._look()
            looks += 1
        if isinstance(self._error, Unavailable) and self._is_known:
            return self._await(self._error)
        if self._error is not None:
            raise self._error
        assert self._reply is not None  # noqa: S101 - it is one or the other
        return self._reply

    def _send(self) -> None:
        try:
            self._reply = self._wire.post("deploy", body=Body(self._form, self._form.content_type), id=self._id)
        except BaseException as error:
            self._error = error
        finally:
            self._over.set()

    def _look(self) -> dict[str, Any] | None:
        """How it goes; None while nobody answers. NotFound, once it was known, ends the waiting."""
        try:
            view: dict[str, Any] = self._wire.get("deploys", self._id)
        except PayoffError as error:
            if isinstance(error, NotFound) and self._is_known:
                self._is_known = False
            return None
        self._is_known = True
        self._hears(view)
        return view

    def _await(self, lost: Unavailable) -> dict[str, Any]:
        """The connection was cut; the server may go on all the same, and then says how it ended."""
        missed = 0
        while self._is_known and missed < MISSED_MAX:
            view = self._look()
            missed = 0 if view else missed + 1
            if view and view["state"] == "failed":
                raise error_of(view["error"]["kind"], view["error"]["what"])
            if view and view["state"] == "done":
                reply: dict[str, Any] = view["reply"]
                return reply
            time.sleep(PAUSES_S[-1])
        raise lost
