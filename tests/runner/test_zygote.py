"""Processes that fork for models: what they share, what they do not, and their end."""

import os
import signal
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from payoff.errors import ModelFailed
from payoff.records.columns import Column
from payoff.records.model import Bounds
from payoff.runner import kinds
from payoff.runner.crew import Crew
from payoff.runner.runner import Runner
from payoff.runner.zygote import Zygotes
from tests.runner.conftest import KINDS, PYTHON, SMALL, ask_to, told
from tests.runner.test_runner import ends, gave_back, lives, open_files

ROWS = {name: Column(np.array([0.5, -0.5])) for name in "abcd"}


def begin(zygotes: Zygotes, folder: Path, kind: str = "wild", bounds: Bounds = SMALL) -> Runner:
    """A runner from these zygotes."""
    artefact, scratch = folder / "artefact", folder / "scratch"
    return Runner.start(PYTHON, kind, artefact, {}, bounds, scratch, kinds_path=KINDS, zygotes=zygotes)


def parent(pid: int) -> int:
    """Of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_models_of_one_environment_share_a_zygote(zygotes: Zygotes, tmp_path: Path) -> None:
    first, second = begin(zygotes, tmp_path), begin(zygotes, tmp_path)
    assert parent(first.pid) == parent(second.pid) != os.getpid()
    first.close()
    assert told(second.ask(ask_to("nothing"))) == ["done"]
    second.close()


def test_a_model_outside_the_known_folders_or_with_the_network_starts_the_long_way(
    zygotes: Zygotes, tmp_path: Path
) -> None:
    with_network = begin(zygotes, tmp_path, bounds=Bounds(network=True))
    assert parent(with_network.pid) == os.getpid()
    with_network.close()
    narrow = Zygotes(read=[tmp_path, KINDS], write=[tmp_path / "elsewhere"])
    runner = begin(narrow, tmp_path)
    assert parent(runner.pid) == os.getpid()
    runner.close()
    narrow.close()


def test_a_model_starts_the_long_way_when_the_zygote_has_gone_and_its_children_with_it(tmp_path: Path) -> None:
    zygotes = Zygotes(read=[tmp_path, KINDS], write=[tmp_path])
    runner = begin(zygotes, tmp_path)
    os.kill(parent(runner.pid), signal.SIGKILL)
    assert ends(runner.pid)
    with pytest.raises(ModelFailed, match="process ended"):
        runner.ask(ask_to("nothing"))
    again = begin(zygotes, tmp_path)
    assert told(again.ask(ask_to("nothing"))) == ["done"]
    again.close()
    zygotes.close()


def test_closing_the_zygotes_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    begin(Zygotes(read=[], write=[]), tmp_path).close()
    before = open_files()
    zygotes = Zygotes(read=[tmp_path, KINDS], write=[tmp_path])
    runner = begin(zygotes, tmp_path)
    mother = parent(runner.pid)
    zygotes.close()
    assert ends(runner.pid)
    assert not lives(mother)
    runner.close()
    assert gave_back(before)


def test_models_from_one_zygote_do_not_draw_the_same_numbers(zygotes: Zygotes, tmp_path: Path) -> None:
    drawn = []
    for _ in range(2):
        runner = begin(zygotes, tmp_path)
        drawn.append(runner.ask(ask_to("answer {'a': np.random.rand(1)}"))["a"].values[0])
        runner.close()
    assert drawn[0] != drawn[1]


def test_what_a_kind_imports_is_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "kind.py").write_text("PRELOAD: tuple[str, ...] = ('sklearn', 'pandas')\nraise SystemExit\n")
    assert kinds.preload(tmp_path / "kind.py") == ("sklearn", "pandas")
    (tmp_path / "kind.py").write_text("PRELOAD = ('jax',)\nFORK = False\n")
    assert kinds.preload(tmp_path / "kind.py") is None
    (tmp_path / "kind.py").write_text("import os\n")
    assert kinds.preload(tmp_path / "kind.py") == ()


def test_a_model_of_scikit_learn_answers_from_a_fork_and_starts_again_after_a_crash(
    zygotes: Zygotes, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(100, 4))
    model = RandomForestClassifier(5, random_state=0).fit(rows, rows[:, 0] > 0)
    joblib.dump(model, tmp_path / "artefact")
    bounds = Bounds(threads=2, memory_bytes_max=2 << 30)
    crew = Crew(
        PYTHON, "joblibbed", tmp_path / "artefact", {}, bounds, tmp_path / "s", kinds_path=KINDS, zygotes=zygotes
    )
    crew.start()
    expected = model.predict_proba(np.stack([column.values for column in ROWS.values()], axis=1))[:, 1]
    for _ in range(2):
        assert np.allclose(crew.run(ROWS)["probability"].values, expected)
        pid = crew.pids[0]
        os.kill(pid, signal.SIGKILL)
        assert ends(pid)
    crew.close()
