"""TLS at every door: who is believed, what is said about a bad certificate, and another one without a restart."""

import datetime
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

import payoff
from payoff.errors import BadInput, Unavailable
from tests.shared import until
from tests.walks import models

pytestmark = pytest.mark.slow

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class Files:
    """A certificate for 127.0.0.1, its key, and who signed it."""

    cert: Path
    key: Path
    ca: Path

    def flags(self) -> list[str]:
        return ["--tls-cert", str(self.cert), "--tls-key", str(self.key)]


def issued(folder: Path, signer: trustme.CA, **how: object) -> Files:
    folder.mkdir(exist_ok=True)
    files = Files(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    made = signer.issue_cert("127.0.0.1", "localhost", **how)  # type: ignore[arg-type]
    made.private_key_pem.write_to_path(str(files.key))
    made.cert_chain_pems[0].write_to_path(str(files.cert))
    signer.cert_pem.write_to_path(str(files.ca))
    return files


@pytest.fixture(scope="module")
def signer() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, signer: trustme.CA) -> Files:
    return issued(tmp_path / "tls", signer)


def command(home: Path, *flags: str) -> list[str]:
    doors = ["--http", "127.0.0.1:0", "--console", "127.0.0.1:0", "--workers", "1"]
    return [sys.executable, "-m", "payoff.cli.main", "up", "--home", str(home), *doors, *flags]


@contextmanager
def up(home: Path, files: Files, *flags: str) -> Iterator[dict[str, str]]:
    """A payoff with TLS; gives its doors as soon as both answer."""
    with said_in(home).open("wb") as log:
        process = subprocess.Popen(command(home, *files.flags(), *flags), stderr=log)
    try:
        doors = home / "run" / "doors"
        until(lambda: doors.exists() or process.poll() is not None, "payoff up comes up")
        assert process.poll() is None
        found = dict(line.split() for line in doors.read_text().splitlines())
        for door in ("http", "console"):
            connect(found[door], files).close()
        yield found
    finally:
        process.terminate()
        process.wait()


def said_in(home: Path) -> Path:
    """Where the warnings of a payoff are."""
    return home.with_suffix(".log")


def connect(door: str, files: Files, cert: Files | None = None) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=files.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if cert is not None:
        context.load_cert_chain(cert.cert, cert.key)
    host, _, port = door.partition(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=120), server_hostname=host)


def live(line: ssl.SSLSocket) -> bool:
    line.sendall(LIVE)
    return line.recv(1 << 16).startswith(b"HTTP/1.1 200")


def admitted(door: str, files: Files, cert: Files | None) -> bool:
    """TLS 1.3 tells a caller that it is not wanted after its handshake."""
    try:
        with connect(door, files, cert) as line:
            return live(line)
    except OSError:
        return False


def serial(line: ssl.SSLSocket) -> object:
    shown = line.getpeercert()
    assert shown is not None
    return shown["serialNumber"]


def shown_at(door: str, files: Files) -> object:
    """The serial number of the certificate that a new connection is shown."""
    with connect(door, files) as line:
        return serial(line)


def test_both_doors_speak_tls_and_the_client_believes_only_who_it_is_told_to(
    home: Path, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    with up(home, files) as doors:
        console = f"{doors['scheme']}://{doors['console']}"
        with pytest.raises(Unavailable, match="name the file of who signed it in PAYOFF_CA"):
            payoff.connect(console).deploy(str(models.saved(tmp_path, 2)), name="times")
        monkeypatch.setenv("PAYOFF_CA", str(files.ca))
        client = payoff.connect(console)
        client.deploy(str(models.saved(tmp_path, 2)), name="times")
        assert client.endpoint("times").predict({"x": 4})["y"] == 8
        with connect(doors["http"], files) as line:
            assert (line.version(), line.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
            assert live(line)
        with connect(doors["grpc"], files) as line:
            assert line.selected_alpn_protocol() == "h2"
        old = ssl.create_default_context(cafile=files.ca)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        host, _, port = doors["http"].partition(":")
        with socket.create_connection((host, int(port))) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname=host)
        monkeypatch.setenv("PAYOFF_CA", str(files.key))
        with pytest.raises(BadInput, match="cannot use PAYOFF_CA="):
            payoff.connect(console).endpoint("times").predict({"x": 4})


def test_a_new_certificate_is_used_for_new_connections_and_old_ones_go_on(
    home: Path, tmp_path: Path, files: Files, signer: trustme.CA
) -> None:
    with up(home, files) as doors, connect(doors["http"], files) as line:
        assert live(line)
        old = serial(line)
        half = tmp_path / "half.pem"
        half.write_text("nonsense")
        half.replace(files.key)  # half of a change: the one before stays
        unused = b"the new certificate is not used"  # says the worker, and the control plane
        until(lambda: said_in(home).read_bytes().count(unused) == 2, "both look at the new certificate")
        assert shown_at(doors["http"], files) == old
        fresh = issued(tmp_path / "fresh", signer)
        fresh.cert.replace(files.cert)
        fresh.key.replace(files.key)
        for door in ("http", "console"):
            until(lambda door=door: shown_at(doors[door], files) != old, f"{door} shows the new certificate")  # type: ignore[misc]
        assert live(line)


def test_with_a_client_ca_only_callers_that_it_signed_come_in(
    home: Path, tmp_path: Path, files: Files, signer: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = trustme.CA()
    caller, stranger = issued(tmp_path / "caller", clients), issued(tmp_path / "stranger", signer)
    with up(home, files, "--tls-client-ca", str(caller.ca)) as doors:
        assert [admitted(doors["http"], files, cert) for cert in (caller, None, stranger)] == [True, False, False]
        own = tmp_path / "own.pem"
        own.write_bytes(caller.cert.read_bytes() + caller.key.read_bytes())
        monkeypatch.setenv("PAYOFF_CA", str(files.ca))
        monkeypatch.setenv("PAYOFF_CLIENT_CERT", str(own))
        assert payoff.connect(f"https://{doors['console']}").endpoints() == []


def test_what_is_amiss_with_a_certificate_is_said_and_nothing_starts(
    home: Path, tmp_path: Path, files: Files, signer: trustme.CA
) -> None:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    expired = issued(tmp_path / "expired", signer, not_after=yesterday, not_before=yesterday - datetime.timedelta(9))
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    early = issued(tmp_path / "early", signer, not_before=tomorrow)
    other = issued(tmp_path / "other", signer)
    text = tmp_path / "text.pem"
    text.write_text("hello")
    said = {
        "has expired": expired.flags(),
        "is not valid yet": early.flags(),
        "is not that of the certificate": ["--tls-cert", str(files.cert), "--tls-key", str(other.key)],
        "no certificate and key in PEM": ["--tls-cert", str(text), "--tls-key", str(files.key)],
        "No such file or directory": ["--tls-cert", str(tmp_path / "none.pem"), "--tls-key", str(files.key)],
        "--tls-cert without --tls-key": ["--tls-cert", str(files.cert)],
        "--tls-client-ca without": ["--tls-client-ca", str(files.ca)],
        "has no certificate in it": [*files.flags(), "--tls-client-ca", str(text)],
    }
    for words, flags in said.items():
        done = subprocess.run(command(home, *flags), capture_output=True, text=True, timeout=300)
        assert done.returncode == 1
        assert words in done.stderr
    assert not home.exists()
