"""What a model's process cannot do, tried by one that means ill; and what it must be able to do."""

import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from payoff.errors import ModelFailed
from payoff.records.columns import Column
from payoff.runner.variables import variables
from payoff.runner.walls import walls
from tests.runner.conftest import SMALL, Start, ask_to, told

DENIED = "PermissionError"


def test_all_walls_stand_on_linux(start: Start) -> None:
    assert walls() == start().walls == dict.fromkeys(walls(), "")


@pytest.mark.parametrize(
    "deed",
    [
        "read /etc/shadow",
        "read {home}/secret",
        "read {home}/../other",
        "list {user}",
        "list /tmp",
        "list /proc",
        "read /proc/{parent}/environ",
        "write {home}/made",
        "write /dev/shm/made",
        "write {home}/artefact",
        "write /proc/self/oom_score_adj",
        "remove {home}/secret",
        "kill {parent}",
        "ptrace {parent}",
        "unshare",
        "limits",
        "unix {home}/socket",
    ],
)
def test_a_model_reaches_nothing_that_it_was_not_given(start: Start, tmp_path: Path, deed: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path.parent / "other").write_text("secret")
    (tmp_path / "artefact").write_text("model")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        deed = deed.format(home=tmp_path, parent=os.getpid(), user=Path.home())
        with pytest.raises(ModelFailed, match=rf"{DENIED}|not allowed to raise"):
            start().ask(ask_to(deed))
    assert (tmp_path / "secret").exists()
    assert (tmp_path / "artefact").read_text() == "model"


def test_a_model_changes_no_rights_and_times_of_files(start: Start, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    before = secret.stat()
    start().ask(ask_to(f"expose {secret}"))
    assert secret.stat() == before


def test_a_model_takes_nothing_of_the_machine_from_payoff(start: Start) -> None:
    def given() -> tuple[int, int, set[int]]:
        me = os.getpid()
        return os.getpriority(os.PRIO_PROCESS, me), os.sched_getscheduler(me), os.sched_getaffinity(me)

    before = given()
    start().ask(ask_to(f"starve {os.getpid()}"))
    assert given() == before


def test_a_model_reaches_no_network(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(ModelFailed, match=DENIED):
        start().ask(ask_to(f"connect {server.getsockname()[1]}"))


def test_a_model_reaches_the_network_when_it_may_but_no_local_socket(start: Start, tmp_path: Path) -> None:
    runner = start(bounds=replace(SMALL, network=True))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        runner_asks = ask_to(f"connect {server.getsockname()[1]}")
        local.bind(str(tmp_path / "socket"))
        local.listen()
        with pytest.raises(ModelFailed, match=DENIED):
            runner.ask(ask_to(f"unix {tmp_path / 'socket'}"))
        server.settimeout(60)

        def greet() -> None:
            made, _ = server.accept()
            with made:
                made.sendall(b"hello")

        greeting = threading.Thread(target=greet)
        greeting.start()
        assert told(runner.ask(runner_asks)) == ["hello"]
        greeting.join()


def test_a_model_reads_its_artefact_and_writes_to_its_scratch_folder(start: Start, tmp_path: Path) -> None:
    (tmp_path / "artefact").write_text("the model")
    runner = start()
    assert told(runner.ask(ask_to(f"read {tmp_path / 'artefact'}"))) == ["the model"]
    made = tmp_path / "scratch" / "made"
    assert told(runner.ask(ask_to(f"write {made}", f"read {made}", f"remove {made}"))) == [
        "done",
        "it was here",
        "done",
    ]


def test_a_model_is_given_no_secret(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("PAYOFF_DATABASE", "postgresql://u:hidden@h/d")
    runner = start()
    assert "hidden" not in told(runner.ask(ask_to("environ")))[0]
    assert "hidden" not in told(runner.ask(ask_to("read /proc/self/environ")))[0]


def test_a_model_is_given_no_open_file_of_ours(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"):
        assert len(told(start().ask(ask_to("fds")))[0].split()) <= 5


def test_the_home_of_a_model_is_its_scratch_folder(tmp_path: Path) -> None:
    given = variables(tmp_path, 2, False, {"PATH": "/bin", "TOKEN": "hidden", "HTTPS_PROXY": "http://u:p@proxy"})
    assert given["HOME"] == given["TMPDIR"] == str(tmp_path)
    assert given["OMP_NUM_THREADS"] == "2"
    assert given["PATH"] == "/bin"
    assert "hidden" not in str(given)
    assert "proxy" not in str(given)


def test_a_model_of_scikit_learn_works_between_the_walls(start: Start, tmp_path: Path) -> None:
    import joblib
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4))
    model = HistGradientBoostingClassifier(max_iter=10).fit(rows, rows[:, 0] > 0)
    joblib.dump(model, tmp_path / "artefact")
    runner = start("joblibbed", bounds=replace(SMALL, threads=2, memory_bytes_max=2 << 30))
    columns = {name: Column(rows[:, place].copy()) for place, name in enumerate("abcd")}
    assert np.allclose(runner.ask(columns)["probability"].values, model.predict_proba(rows)[:, 1])
