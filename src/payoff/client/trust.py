"""Whom the client believes over TLS, and what it shows for itself: PAYOFF_CA and PAYOFF_CLIENT_CERT."""

import os
import ssl
from dataclasses import dataclass

from payoff.errors import BadInput


@dataclass(frozen=True, slots=True)
class Trust:
    """PEM files. `ca`: who signs the servers that are believed; None are those that the system knows.
    `cert`: one's own certificate, and its key."""

    ca: str | None = None
    cert: str | None = None

    def context(self) -> ssl.SSLContext:
        """For connections to servers. BadInput where a file is amiss."""
        try:
            made = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                made.load_cert_chain(self.cert)
        except OSError as error:  # ssl's errors are among them
            named = {"PAYOFF_CA": self.ca, "PAYOFF_CLIENT_CERT": self.cert}
            which = " or ".join(f"{name}={path}" for name, path in named.items() if path)
            raise BadInput(f"cannot use {which}: {error.strerror or error}; expected PEM") from error
        return made


SYSTEM = Trust()


def trust() -> Trust:
    """What the environment says."""
    return Trust(os.environ.get("PAYOFF_CA") or None, os.environ.get("PAYOFF_CLIENT_CERT") or None)
