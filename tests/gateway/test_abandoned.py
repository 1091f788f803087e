"""Callers who hang up: their rows are not run, and nobody else notices; who closes only his side is answered."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from payoff.journal.query import Journal
from payoff.records import Arm, Revision, Role, Served
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.gateway.test_worker import SIGNATURE, reported, worker
from tests.shared import PATIENCE_S, until
from tests.walks import models


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    served = Served("onnx", Blobs(path / "artifacts").put(models.slow(3)), SIGNATURE)
    live.publish(path, Revision("slow", 1, 0, "me", "", (Arm("champion", Role.CHAMPION, "slow", 1, served),)))
    return path


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with worker(home) as found:
        yield found


def send(url: str, xs: list[float]) -> socket.socket:
    """A request on a connection of its own."""
    place = urlsplit(url)
    body = json.dumps({"x": xs}).encode()
    line = socket.create_connection((place.hostname, place.port or 0), PATIENCE_S)
    line.sendall(b"POST /predict/slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    return line


def whole(line: socket.socket) -> bytes:
    """All that comes."""
    return b"".join(iter(lambda: line.recv(1 << 16), b""))


def abandoned(url: str) -> int:
    """Calls that were not run, for nobody waited for them."""
    said = httpx.get(f"{url}/metrics", timeout=PATIENCE_S).text
    return sum(int(count) for count in re.findall(r'payoff_requests_total{[^}]*status="abandoned"} (\d+)', said))


def test_rows_of_callers_who_hung_up_are_not_run(home: Path, url: str) -> None:
    assert httpx.post(f"{url}/predict/slow", json={"x": [1.0]}, timeout=PATIENCE_S).status_code == 200
    sent = 1

    def counted() -> bool:
        nonlocal sent
        with send(url, [float(x) for x in range(30)]) as busy:  # keeps the model busy
            for number in range(5):
                send(url, [1000.0 + number]).close()
            busy.shutdown(socket.SHUT_WR)
            assert b"87.0" in whole(busy)
        sent += 35
        return abandoned(url) >= 5

    until(counted, "five callers who hung up are counted")
    reported(home, lambda status: status.counters["abandoned"] >= 5)
    assert httpx.post(f"{url}/predict/slow", json={"x": [2.0]}, timeout=PATIENCE_S).status_code == 200
    with closing(Journal(home)) as journal:
        ((recorded,),) = journal.connect().sql("select count(*) from predictions").fetchall()
    assert recorded <= sent + 1 - 5


def test_callers_who_only_say_no_more_are_answered_however_long_it_takes(url: str) -> None:
    with send(url, [float(x) for x in range(30)]) as busy:
        waiting = [send(url, [100.0 + number]) for number in range(5)]
        for line in (busy, *waiting):
            line.shutdown(socket.SHUT_WR)
        for number, line in enumerate(waiting):
            with line:
                head, _, body = whole(line).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert json.loads(body)["predictions"][0]["y"] == 3 * (100 + number)
