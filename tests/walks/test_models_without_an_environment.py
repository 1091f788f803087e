"""Rules, remotes and chains over HTTP: one payoff asks another, chains what it says, and falls back when it is gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from payoff.client import connect
from payoff.client.client import Client
from payoff.demo.server import Server, running
from tests.flavors.peer import Peer, serving
from tests.shared import until

pytestmark = pytest.mark.slow

SCORE = "outputs: {score: 'coalesce(inputs.amount / 100, 0)', label: 'inputs.amount > 50'}\ninputs: {amount: float64}\n"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For all tests; each has models of its own."""
    with running(tmp_path_factory.mktemp("here") / "home", workers=1) as server:
        yield server


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "there", workers=1) as server:
        yield server


def deploy(client: Client, folder: Path, name: str, text: str, **more: Any) -> None:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    client.deploy(path, name, **more)


def ask(server: Server, endpoint: str, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    reply = httpx.post(f"{server.inference}/predict/{endpoint}", json={"rows": rows}, timeout=120)
    assert reply.status_code == 200, reply.text
    return list(reply.json()["predictions"])


def test_a_chain_of_a_rule_here_and_a_model_on_another_payoff(here: Server, there: Server, tmp_path: Path) -> None:
    with connect(there.api) as client:
        deploy(client, tmp_path, "score", SCORE)
    with connect(here.api) as client:
        deploy(client, tmp_path, "clean", "rule: coalesce(raw, 0)\noutput: amount\ninputs: {raw: float64 or null}\n")
        sample = [{"amount": 10.0}, {"amount": 90.0}]
        deploy(client, tmp_path, "far", f"remote: {there.inference}\nmodel: score\ntimeout: 120s\n", sample=sample)
        deploy(client, tmp_path, "whole", "chain: [{model: clean}, {model: far}]\n")
        far = client.versions("far")[0]
        assert (far["flavor"], far["served"]["flavor"]) == ("remote", "remote")
        assert client.versions("whole")[0]["provenance"]["steps"] == ["clean v1", "far v1"]
    rows = ask(here, "whole", {"raw": 20.0}, {"raw": None}, {})
    assert [row["score"] for row in rows] == [0.2, 0.0, 0.0]
    assert [row["label"] for row in ask(here, "far", {"amount": 51.0}, {"amount": 50.0})] == [True, False]


def test_the_fallback_answers_while_a_remote_is_gone_and_the_remote_when_it_is_back(
    here: Server, tmp_path: Path
) -> None:
    peer = Peer()
    with serving(peer), connect(here.api) as client:
        deploy(client, tmp_path, "sums", f"remote: {peer.url}\nmodel: sums\noutputs: [total]\ntimeout: 120s\n")
        file = tmp_path / "endpoint.yaml"
        file.write_text(
            "endpoint: sums\narms: {champion: {model: sums, version: 1}}\ndecision: outputs.total > 5\n"
            "fallback: {decision: false, total: 0}\n"
        )
        client.apply(file, reason="a fallback")
        row = {"a": 4.0, "b": 2, "c": "x"}
        assert ask(here, "sums", row)[0]["decision"] is True
        peer.status = 503
        fallen = [ask(here, "sums", row)[0] for _ in range(5)]
        assert [one["decision"] for one in fallen] == [False] * 5
        assert "refused (503): not today" in fallen[0]["why"]
        peer.status = 200
        until(lambda: ask(here, "sums", row)[0]["decision"] is True, "the remote is asked again")


def test_the_same_file_is_a_new_version_once_latest_moved(here: Server, tmp_path: Path) -> None:
    with connect(here.api) as client:
        deploy(client, tmp_path, "grade", SCORE)
        deploy(client, tmp_path, "graded", "chain: [{model: grade}]\n")
        deploy(client, tmp_path, "graded", "# again\nchain: [{model: grade, version: latest}]\n")
        assert [version["version"] for version in client.versions("graded")] == [1]
        deploy(client, tmp_path, "grade", SCORE.replace("100", "10"))
        deploy(client, tmp_path, "graded", "chain: [{model: grade}]\n")
        assert [version["provenance"]["steps"] for version in client.versions("graded")] == [["grade v2"], ["grade v1"]]
    assert ask(here, "graded", {"amount": 5.0})[0]["score"] == 0.5


def test_two_versions_side_by_side_are_one_model(here: Server, tmp_path: Path) -> None:
    with connect(here.api) as client:
        deploy(client, tmp_path, "mark", SCORE)
        deploy(client, tmp_path, "mark", SCORE.replace("100", "50"))
        text = "together: [{name: a, model: mark, version: 1}, {name: b, model: mark, version: 2}]\n"
        text += "combine: {score: mean, label: vote, agree: a.label = b.label}\n"
        deploy(client, tmp_path, "both", text)
    row = ask(here, "both", {"amount": 60.0})[0]
    assert row["score"] == pytest.approx(0.9)
    assert (row["label"], row["agree"]) == (True, True)
