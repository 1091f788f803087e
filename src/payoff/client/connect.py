"""The front door of the client: where the server is, and with which key."""

import os

from payoff.client.client import Client
from payoff.client.wire import Wire

URL = "http://127.0.0.1:8080"


def connect(url: str | None = None, key: str | None = None) -> Client:
    """A client of the server at `url`; nothing is sent until it is used.

    Without arguments: PAYOFF_URL or http://127.0.0.1:8080, and the key in PAYOFF_KEY if there is one.
    """
    return Client(Wire(url or os.environ.get("PAYOFF_URL") or URL, key or os.environ.get("PAYOFF_KEY") or None))
