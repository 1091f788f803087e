"""TLS for every door: one certificate, a context for each protocol, and another certificate without a restart.

TLS 1.2 and newer with the ciphers that OpenSSL thinks good. A certificate is tried before it is used: a key that is not
its own, or a day that has passed, is said in words and not by the first caller's handshake.
"""

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from payoff.errors import BadInput

HTTP = ("http/1.1",)
HTTP2 = ("h2",)
_AMISS = {9: "is not valid yet", 10: "has expired", 26: "is not one for servers"}  # by X509_V_ERR_... of OpenSSL
log = logging.getLogger("payoff.doors")


@dataclass(frozen=True, slots=True)
class Pair:
    """Where the certificate (with those above it) and its key are, as PEM; and whose clients may come in, if asked."""

    cert: Path
    key: Path
    client_ca: Path | None = None


def pair(cert: Path | None, key: Path | None, client_ca: Path | None) -> Pair | None:
    """What three flags mean together; BadInput if one is there without the others."""
    if cert is not None and key is not None:
        return Pair(cert, key, client_ca)
    if cert is not None or key is not None:
        given, missing = ("--tls-cert", "--tls-key") if key is None else ("--tls-key", "--tls-cert")
        raise BadInput(f"{given} without {missing}; TLS needs a certificate and its key")
    if client_ca is not None:
        raise BadInput("--tls-client-ca without --tls-cert and --tls-key; TLS needs a certificate and its key")
    return None


class Tls:
    """The contexts of a process's doors; `renew` gives all of them a certificate that has changed."""

    def __init__(self, files: Pair) -> None:
        """Not checked: a process that is started anew goes on with a certificate that has expired meanwhile."""
        self._files = files
        self._made: list[ssl.SSLContext] = []
        self._stamp = _stamp(files)

    def context(self, alpn: Sequence[str] = HTTP) -> ssl.SSLContext:
        """For servers of these protocols. BadInput where a file is amiss."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        made.set_alpn_protocols(list(alpn))
        _load(made, self._files)
        self._made.append(made)
        return made

    def renew(self) -> None:
        """Take over files that have changed, for connections from now on; what is not good is said, and left."""
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            check(self._files)
            for made in self._made:
                _load(made, self._files)
        except BadInput as error:
            log.error("the new certificate is not used, the one before stays: %s", error)
        else:
            log.warning("a new certificate is used: %s", self._files.cert)


def check(files: Pair) -> None:
    """Nothing, if a client that trusts the certificate could connect with it now; BadInput otherwise."""
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(server, replace(files, client_ca=None))
    try:
        _meet(server, files.cert)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _AMISS:
            raise BadInput(f"the certificate in {files.cert} {_AMISS[error.verify_code]}; get another") from error
    except ssl.SSLError as error:
        raise BadInput(f"{files.cert} is no certificate for a server: {error.reason}") from error


def _meet(server: ssl.SSLContext, cert: Path) -> None:
    """A handshake in memory with a client that trusts this certificate and nothing else."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cert)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (server.wrap_bio(there, back, server_side=True), client.wrap_bio(back, there))
    done: set[ssl.SSLObject] = set()
    while len(done) < len(ends):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            done.add(end)


def _load(into: ssl.SSLContext, files: Pair) -> None:
    for path in (files.cert, files.key, files.client_ca):
        if path is not None:
            _readable(path)
    try:
        into.load_cert_chain(files.cert, files.key, password=_no_password)
    except ssl.SSLError as error:
        raise BadInput(_amiss(files, error)) from error
    if files.client_ca is not None:
        try:
            into.load_verify_locations(files.client_ca)
        except ssl.SSLError as error:
            raise BadInput(f"{files.client_ca} has no certificate in it: expected PEM (--tls-client-ca)") from error
        into.verify_mode = ssl.CERT_REQUIRED


def _readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}; TLS needs it") from error


def _no_password() -> str:
    raise BadInput("the key is locked with a password; payoff starts without anybody to ask: give it an open one")


def _amiss(files: Pair, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return (
            f"the key in {files.key} is not that of the certificate in {files.cert}; give the two that belong together"
        )
    return f"{files.cert} and {files.key} are no certificate and key in PEM: {error.reason or error}"


def _stamp(files: Pair) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when one of the files does."""
    return tuple(_mark(path) for path in (files.cert, files.key, files.client_ca) if path is not None)


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
