"""Whom the client believes over TLS, and what it shows for itself: PAYOFF_CA and PAYOFF_CLIENT_CERT."""

import os
import ssl
from dataclasses import dataclass

from payoff.errors import BadInput


@dataclass(frozen=True, slots=True)
class Trust:
    """PEM files: `ca` says which servers are believed, instead of the system's; `cert` has a certificate and its key."""

    ca: str | None = None
    cert: str | None = None

    def context(self) -> ssl.SSLContext:
        """For connections to servers. BadInput where a file is amiss."""
        made = ssl.create_default_context()
        try:
            if self.ca is not None:
                made = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                made.load_cert_chain(self.cert)
        except OSError as error:  # of ssl too
            what = f"PAYOFF_CA={self.ca}" if self.cert is None else f"PAYOFF_CA={self.ca}, PAYOFF_CLIENT_CERT={self.cert}"
            raise BadInput(f"cannot use {what}: {error.strerror or error}; expected PEM files") from error
        return made


def trust() -> Trust:
    """What the environment says."""
    return Trust(os.environ.get("PAYOFF_CA") or None, os.environ.get("PAYOFF_CLIENT_CERT") or None)
