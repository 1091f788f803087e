"""The process in which model files are opened: what it is given, what it may do, and how its end is told."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from payoff.errors import ModelFailed
from payoff.flavors.apart import Job, Limits, end_in_words, environment, run_apart
from tests.flavors.models import endless


def test_a_child_is_given_no_secret(tmp_path: Path) -> None:
    ours = {"PATH": "/bin", "LANG": "C", "PAYOFF_DATABASE": "postgresql://u:secret@h/d", "AWS_SECRET_ACCESS_KEY": "x"}
    given = environment(ours, tmp_path)
    assert given["PATH"] == "/bin"
    assert not any("secret" in value or "SECRET" in name for name, value in given.items())
    assert given["HOME"] == given["TMPDIR"] == str(tmp_path)


ATTEMPTS = [
    "os.system('touch MARKER')",
    "subprocess.run(['touch', 'MARKER'])",
    "os.execvp('touch', ['touch', 'MARKER'])",
    "os.fork()",
    "open('MARKER', 'w')",
    "os.open('MARKER', os.O_CREAT | os.O_WRONLY)",
    "__import__('numpy').zeros(1).tofile('MARKER')",
    "os.rename('inside', 'MARKER')",
    "os.remove('inside')",
    "os.kill(os.getppid(), 0)",
    "socket.create_connection(('127.0.0.1', 9))",
    "socket.getaddrinfo('localhost', 9)",
    "__import__('urllib.request').request.urlopen('http://127.0.0.1:9')",
]


def test_a_child_starts_nothing_reaches_nothing_and_writes_only_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    marker = tmp_path / "it-ran"
    script = f"""
import os, socket, subprocess, urllib.request, numpy
from payoff.flavors.inside import Shut, shut
open('inside', 'w').close()
shut()
open('also inside', 'w').close()
for attempt in {[attempt.replace("MARKER", str(marker)) for attempt in ATTEMPTS]!r}:
    try:
        eval(attempt)
    except Shut:
        continue
    print("not stopped:", attempt)
"""
    child = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path / "work", capture_output=True, text=True)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")
    assert not marker.exists()
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["also inside", "inside"]


def test_a_child_that_is_not_done_in_time_is_stopped(tmp_path: Path) -> None:
    job = Job(endless(tmp_path / "m.pkl"), tmp_path, "m.pkl", limits=Limits(wall_s_max=0.05))
    with pytest.raises(
        ModelFailed, match=r"m\.pkl could not be opened: it was not done after \d+ s \(the limit is 0\.05 s\), and was"
    ):
        run_apart("payoff.flavors.sklearn_child", job)
    assert [path.name for path in tmp_path.iterdir()] == ["m.pkl"]


def test_a_child_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"failed \(1\). It said last: .*No module named payoff\.flavors\.none"):
        run_apart("payoff.flavors.none", Job(tmp_path / "m", tmp_path, "m"))


def test_a_child_that_leaves_no_report_has_failed(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"the process that tried it failed \(0\)"):
        run_apart("this", Job(tmp_path / "m", tmp_path, "m"))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        pytest.param(-signal.SIGSEGV, "crashed (SIGSEGV); nothing else was harmed. It said last: oh", id="crash"),
        pytest.param(-signal.SIGXCPU, "used more than the 300 s of computing", id="busy"),
        pytest.param(-signal.SIGXFSZ, "wrote a file of more than 2,147,483,648 bytes", id="file"),
        pytest.param(3, "failed (3). It said last: oh", id="exit"),
        pytest.param(None, "not done after 7 s (the limit is 300 s)", id="time"),
    ],
)
def test_the_end_of_a_child_is_told_in_words(status: int | None, says: str) -> None:
    assert says in end_in_words(status, "first\noh\n\n", 7.1, Limits())
