"""`load` of the Open Inference Protocol: whichever worker hears it, all have the endpoint warm when it is answered."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from payoff.records import Role
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.gateway import endpoints
from tests.gateway.test_grpc import Doors, doors
from tests.gateway.test_worker import revision
from tests.shared import PATIENCE_S
from tests.walks import models

NAMES = ("echo", "scores", "times")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    endpoints.publish(tmp_path)
    return tmp_path


@pytest.fixture
def workers(home: Path) -> Iterator[list[Doors]]:
    """Two workers of a home, that keep one model loaded; each with doors of its own, so that one can be asked."""
    with ExitStack() as stack:
        found = [stack.enter_context(doors(home, "--index", str(index), "--hot-max", "1")) for index in (0, 1)]
        for door in found:
            httpx.get(f"{door.url}/v2/health/live", timeout=PATIENCE_S)  # it is there
        yield found


def warm(home: Path) -> dict[int, list[str]]:
    """What each worker has loaded, as it says."""
    return {status.worker: [one.model for one in status.resident] for status in live.statuses(home)}


def load(door: Doors, name: str) -> httpx.Response:
    return httpx.post(f"{door.url}/v2/repository/models/{name}/load", timeout=PATIENCE_S)


def test_whoever_is_asked_to_load_an_endpoint_all_workers_have_it_warm(home: Path, workers: list[Doors]) -> None:
    for round_ in range(2):
        for number, name in enumerate(NAMES):
            asked = workers[(number + round_) % 2]
            if number == 0:
                triton.InferenceServerClient(asked.grpc).load_model(name)
            else:
                assert load(asked, name).status_code == 200
            assert warm(home) == {0: [name], 1: [name]}


def test_what_cannot_be_loaded_is_told_with_its_reason_and_can_be_asked_again(home: Path, workers: list[Doors]) -> None:
    content = models.times(2)
    blob = Blobs(home / "artifacts").path(Blobs(home / "artifacts").put(content))
    load(workers[0], "echo")
    blob.rename(home / "away")
    for door in workers:
        reply = load(door, "times")
        assert (reply.status_code, "is missing from artifacts/" in reply.json()["error"]) == (422, True)
    with pytest.raises(InferenceServerException, match="is missing from artifacts/"):
        triton.InferenceServerClient(workers[1].grpc).load_model("times")
    (home / "away").rename(blob)
    assert load(workers[1], "times").status_code == 200
    assert warm(home) == {0: ["times"], 1: ["times"]}


def test_a_worker_that_has_left_is_not_waited_for(home: Path, workers: list[Doors]) -> None:
    workers[1].process.terminate()
    workers[1].process.wait(PATIENCE_S)
    assert load(workers[0], "echo").status_code == 200
    assert warm(home) == {0: ["echo"]}


def test_nobody_unloads_an_endpoint_in_any_worker(home: Path, workers: list[Doors]) -> None:
    assert load(workers[0], "times").status_code == 200
    for door in workers:
        reply = httpx.post(f"{door.url}/v2/repository/models/times/unload", timeout=PATIENCE_S)
        assert (reply.status_code, "moves only by orders" in reply.json()["error"]) == (409, True)
    assert warm(home) == {0: ["times"], 1: ["times"]}


def test_wishes_of_an_endpoint_that_is_removed_go_with_it(home: Path) -> None:
    first = live.want_warm(home, "times")
    assert live.want_warm(home, "times") > first
    assert live.want_warm(home, "echo") > first
    live.remove(home, "times")
    assert live.wanted_warm(home).keys() == {"echo"}
