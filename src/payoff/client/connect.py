"""The front door of the client: where the server is, and with which key."""

import os

from payoff.client.client import Client
from payoff.client.trust import trust
from payoff.client.wire import Wire

URL = "http://127.0.0.1:8080"


def connect(url: str | None = None, key: str | None = None) -> Client:
    """A client of the server at `url`; nothing is sent until it is used.

    Without arguments: PAYOFF_URL or http://127.0.0.1:8080, and the key in PAYOFF_KEY if there is one. Over https,
    PAYOFF_CA names the file of who signs the server's certificate, and PAYOFF_CLIENT_CERT one's own, with its key.
    """
    place = url or os.environ.get("PAYOFF_URL") or URL
    return Client(Wire(place, key or os.environ.get("PAYOFF_KEY") or None, trust()))
