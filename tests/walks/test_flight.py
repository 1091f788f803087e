"""Arrow Flight with all workers behind it: over TLS, with a key, with workers that die; told by pyarrow's client."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme

import payoff
from payoff.codecs.untyped import pa
from payoff.demo.server import Server, running
from payoff.errors import BadInput, NotFound
from tests.shared import until
from tests.walks import models
from tests.walks.test_tls import Files, issued, serial, shown_at, up
from tests.walks.test_tls import connect as handshake
from tests.walks.test_workers import even, replaced, shared, workers

pytestmark = pytest.mark.slow

flight: Any = import_module("pyarrow.flight")
KEY = "k" * 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("flight")
    with running(folder / "home", workers=2, flags=("--flight", "127.0.0.1:0")) as found:
        payoff.connect(found.api).deploy(str(models.saved(folder, 2)), name="times")
        yield found


@pytest.fixture
def endpoint(server: Server) -> Iterator[payoff.Endpoint]:
    with payoff.connect(server.api) as client:
        yield client.endpoint("times")


@contextmanager
def clients(endpoint: payoff.Endpoint, count: int) -> Iterator[list[Any]]:
    """Connections that have asked once."""
    with ExitStack() as stack:
        found = [stack.enter_context(flight.connect(endpoint.describe()["urls"]["flight"])) for _ in range(count)]
        for one in found:
            assert doubled(one, 3) == [0, 2, 4]
        yield found


def doubled(client: Any, rows: int, **how: Any) -> list[float]:
    """What a client is answered to 0, 1, 2, ..."""
    options = flight.FlightCallOptions(timeout=120, **how)
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("times"), options)
    with writer:
        batch = pa.record_batch({"x": np.arange(rows, dtype=np.float32)})
        writer.begin(batch.schema)
        writer.write_batch(batch)
        writer.done_writing()
        found: list[float] = reader.read_all()["y"].to_pylist()
    return found


def test_connections_are_spread_over_the_workers(server: Server, endpoint: payoff.Endpoint) -> None:
    """One that comes later to the door gets those that come then."""
    with ExitStack() as stack:
        count = 0

        def another() -> bool:
            nonlocal count
            count += 16
            stack.enter_context(clients(endpoint, 16))
            return even(shared(server, server.flight, count))

        until(another, "both workers have their share of the connections")


def test_a_worker_that_dies_takes_neither_the_door_nor_the_clients_along(
    server: Server, endpoint: payoff.Endpoint
) -> None:
    with clients(endpoint, 4) as found:
        before = workers(server)
        os.kill(before[0], signal.SIGKILL)
        replaced(server, before[0])
        for one in found:
            one.wait_for_available(120)  # it may still have to hear that its connection is no more
        assert [doubled(one, 3) for one in found] == [[0, 2, 4]] * 4


def test_a_worker_that_is_told_to_leave_loses_no_answer(server: Server, endpoint: payoff.Endpoint) -> None:
    frame = pa.table({"x": np.arange(300_000, dtype=np.float32)})
    with ThreadPoolExecutor(1) as pool:
        asked = [pool.submit(endpoint.predict, frame, flight=True) for _ in range(3)]
        os.kill(workers(server)[0], signal.SIGTERM)
        for one in asked:
            assert np.array_equal(one.result()["y"].to_numpy(), 2 * np.arange(300_000))


def test_a_frame_is_answered_over_flight_as_it_is_over_http(endpoint: payoff.Endpoint) -> None:
    pd = import_module("pandas")
    frame = pd.DataFrame({"x": np.arange(120_000, dtype=np.float32)}, index=range(7, 120_007))
    by_http, by_flight = endpoint.predict(frame), endpoint.predict(frame, flight=True)
    assert by_flight.drop(columns="prediction_id").equals(by_http.drop(columns="prediction_id"))
    assert by_flight["prediction_id"].is_unique
    assert endpoint.predict([{"x": 4.0}], flight=True)[0]["y"] == 8
    assert endpoint.predict(frame.head(0), flight=True).columns.equals(by_http.columns)


def test_what_goes_wrong_over_flight_is_the_error_that_it_is_over_http(
    server: Server, endpoint: payoff.Endpoint
) -> None:
    with pytest.raises(BadInput, match="column 'x' is of the Arrow type string"):
        endpoint.predict([{"x": "four"}], flight=True)
    with pytest.raises(NotFound, match="no endpoint called 'nobody'"):
        payoff.client.Endpoint(endpoint._wire, "nobody", {"url": endpoint.url}).predict([{"x": 1.0}], flight=True)


def test_a_server_without_the_door_says_how_to_open_one(home: Path, tmp_path: Path) -> None:
    with running(home, workers=1) as server, payoff.connect(server.api) as client:
        made = client.deploy(str(models.saved(tmp_path, 2)), name="times")
        with pytest.raises(NotFound, match="start it with --flight HOST:PORT"):
            made.predict({"x": 4}, flight=True)


@pytest.fixture
def signer() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, signer: trustme.CA) -> Files:
    return issued(tmp_path / "tls", signer)


def test_over_tls_only_who_signed_is_believed_and_a_new_certificate_needs_no_restart(
    home: Path, tmp_path: Path, files: Files, signer: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYOFF_CA", str(files.ca))
    monkeypatch.setenv("PAYOFF_KEY", KEY)
    headers = [(b"authorization", f"Bearer {KEY}".encode())]
    with up(home, files, "--flight", "127.0.0.1:0") as doors, ExitStack() as stack:
        client = stack.enter_context(payoff.connect(f"https://{doors['console']}"))
        made = client.deploy(str(models.saved(tmp_path, 2)), name="times")
        assert made.predict({"x": 4}, flight=True)["y"] == 8
        place, root = f"grpc+tls://{doors['flight']}", files.ca.read_bytes()
        line = stack.enter_context(flight.connect(place, tls_root_certs=root))
        assert doubled(line, 3, headers=headers) == [0, 2, 4]
        with pytest.raises(flight.FlightUnauthenticatedError, match="asks for its key"):
            doubled(line, 3)
        stranger = stack.enter_context(flight.connect(place, tls_root_certs=trustme.CA().cert_pem.bytes()))
        with pytest.raises(flight.FlightUnavailableError):
            doubled(stranger, 3, headers=headers)
        with handshake(doors["flight"], files) as shown:
            assert shown.selected_alpn_protocol() == "h2"
            old = serial(shown)
        fresh = issued(tmp_path / "fresh", signer)
        fresh.cert.replace(files.cert)
        fresh.key.replace(files.key)
        until(lambda: shown_at(doors["flight"], files) != old, "the new certificate is shown")
        assert doubled(line, 3, headers=headers) == [0, 2, 4]
        assert doubled(stack.enter_context(flight.connect(place, tls_root_certs=root)), 3, headers=headers) == [0, 2, 4]


def test_with_a_client_ca_only_callers_that_it_signed_come_in(
    home: Path, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, own = issued(tmp_path / "caller", trustme.CA()), tmp_path / "own.pem"
    own.write_bytes(caller.cert.read_bytes() + caller.key.read_bytes())
    monkeypatch.setenv("PAYOFF_CA", str(files.ca))
    monkeypatch.setenv("PAYOFF_CLIENT_CERT", str(own))
    with up(home, files, "--flight", "127.0.0.1:0", "--tls-client-ca", str(caller.ca)) as doors:
        with payoff.connect(f"https://{doors['console']}") as client:
            made = client.deploy(str(models.saved(tmp_path, 2)), name="times")
            assert made.predict({"x": 4}, flight=True)["y"] == 8
        place, root = f"grpc+tls://{doors['flight']}", files.ca.read_bytes()
        with flight.connect(place, tls_root_certs=root) as line, pytest.raises(flight.FlightUnavailableError):
            doubled(line, 3)
