"""Environments: what is asked for is resolved, built once, found again, and removed when nothing needs it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from payoff.environments.environments import MARKER, Environments, facts
from payoff.environments.resolve import FRESH_S
from payoff.errors import BadInput, NotFound, PayoffError, Unavailable
from tests.environments.wheels import wheel

pytestmark = pytest.mark.usefixtures("packages")


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "tests" / "environments")  # a name above them that means nothing here


def says(python: Path, code: str) -> str:
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def aged(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_what_is_asked_for_is_there_with_what_it_needs(environments: Environments) -> None:
    made = environments.build(["woods"])
    assert made.packages == {"numpy": "1.26.4", "trees": "1.2", "woods": "2.0"}
    assert says(made.python, "import woods, trees; print(woods.__version__, trees.__version__)") == "2.0 1.2"
    assert environments.find(made.digest) == made


def test_numpy_comes_with_every_environment(environments: Environments) -> None:
    assert environments.build([]).packages == {"numpy": "2.4.0"}


def test_requirements_that_come_to_the_same_share_an_environment(environments: Environments) -> None:
    first = environments.build(["trees==1.2"])
    built_at = (environments.root / first.digest / "pyvenv.cfg").stat().st_mtime_ns
    again = environments.build(["# the same", "Trees >= 1.1", "numpy<2"])
    assert again == first
    assert (environments.root / first.digest / "pyvenv.cfg").stat().st_mtime_ns == built_at
    assert environments.build(["trees==1.0"]).digest != first.digest


def test_an_old_release_gets_the_numpy_of_its_time(environments: Environments) -> None:
    assert environments.build(["scikit-learn==1.2.2"]).packages["numpy"] == "1.26.4"
    assert environments.build(["scikit-learn==1.9.0"]).packages["numpy"] == "2.4.0"
    assert environments.build(["scikit-learn==1.2.2", "numpy==2.4.0"]).packages["numpy"] == "2.4.0"


def test_an_old_release_goes_with_what_else_is_asked_for(environments: Environments, packages: Path) -> None:
    wheel(packages, "fresh", "1.0", ("numpy>=2",))
    assert environments.build(["scikit-learn==1.2.2", "fresh"]).packages["numpy"] == "2.4.0"


def test_what_was_resolved_is_good_for_an_hour(environments: Environments, packages: Path) -> None:
    before = environments.build(["trees"])
    wheel(packages, "trees", "1.3")
    assert environments.build(["trees"]) == before
    for file in (environments.root / "resolved").iterdir():
        aged(file, FRESH_S + 1)
    assert environments.build(["trees"]).packages["trees"] == "1.3"


def test_another_place_to_look_is_another_question(
    environments: Environments, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments.build(["trees"])
    (tmp_path / "more").mkdir()
    wheel(tmp_path / "more", "trees", "9.0")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{packages} {tmp_path / 'more'}")
    assert environments.build(["trees"]).packages["trees"] == "9.0"


def compiled(python: Path, package: str) -> list[Path]:
    """The bytecode of a package."""
    return sorted(python.parents[1].glob(f"lib/python*/site-packages/{package}/**/*.pyc"))


def test_a_release_is_compiled_once_for_all_environments_and_its_tests_never(environments: Environments) -> None:
    first, second = environments.build(["trees==1.2"]), environments.build(["woods"])
    (made,), (lent,) = compiled(first.python, "trees"), compiled(second.python, "trees")
    assert lent.samefile(made)
    assert len(compiled(second.python, "woods")) == 1
    assert says(second.python, "import trees; print(trees.__cached__)") == str(lent)
    code = "import trees, sys; print(sys.modules['trees'].__spec__.loader.get_code('trees').co_filename)"
    assert says(second.python, code) == str(lent.parents[1] / "__init__.py")


def test_the_bytecode_of_another_file_is_not_taken(environments: Environments) -> None:
    first = environments.build(["trees==1.2"])
    (made,) = compiled(first.python, "trees")
    source = made.parents[1] / "__init__.py"
    source.unlink()
    source.write_text("__version__ = 'another'\n")
    second = environments.build(["woods"])
    (own,) = compiled(second.python, "trees")
    assert not own.samefile(made)
    assert says(second.python, "import trees; print(trees.__version__)") == "1.2"


def test_a_build_that_broke_off_is_not_used(environments: Environments) -> None:
    made = environments.build(["trees==1.0"])
    (environments.root / made.digest / MARKER).unlink()
    (environments.root / made.digest / "bin" / "python").unlink()
    assert (facts(environments.root).count, facts(environments.root).unfinished) == (0, 1)
    with pytest.raises(NotFound, match="Deploy the model again"):
        environments.find(made.digest)
    assert environments.build(["trees==1.0"]) == made
    assert says(made.python, "import trees; print(trees.__version__)") == "1.0"


def test_an_environment_whose_python_is_gone_is_built_again(environments: Environments) -> None:
    made = environments.build(["trees==1.0"])
    made.python.unlink()
    made.python.symlink_to("/nowhere/python")
    with pytest.raises(NotFound, match=r"it was removed, or its Python was"):
        environments.find(made.digest)
    environments.build(["trees==1.0"])
    assert says(made.python, "print(1)") == "1"


def test_a_build_that_fails_leaves_nothing(environments: Environments, packages: Path) -> None:
    wheel(packages, "numpy", "2.3.9")
    broken = packages / "numpy-2.3.9-py3-none-any.whl"
    wheel(packages, "half", "1.0", ("numpy==2.3.9",))
    broken.write_bytes(broken.read_bytes().replace(b"__version__", b"+version__"))
    with pytest.raises(BadInput, match="the environment was"):
        environments.build(["half"])
    assert facts(environments.root).unfinished == 0


def test_two_processes_that_want_the_same_build_it_once(
    environments: Environments, at_once: Callable[[list[list[str]]], list[str]]
) -> None:
    code = (
        "import sys; from pathlib import Path; from payoff.environments.environments import Environments\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "made = Environments(Path(sys.argv[1])).build(['woods'])\n"
        "stat = (made.python.parent.parent / 'pyvenv.cfg').stat()\n"
        "print(made.digest, stat.st_ino, file=sys.stderr)"
    )
    said = at_once([[sys.executable, "-c", code, str(environments.root)]] * 3)
    assert len(set(said)) == 1
    assert environments.find(said[0].split()[0]).packages["woods"] == "2.0"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["pandsa"], r"There is no package pandsa; pandas may be meant\. uv says: .*pandsa was not found"),
        (["sklearn"], "There is no package sklearn; scikit-learn may be meant"),
        (["mycompany-models"], "There is no package mycompany-models where the server looks.*extra-index-url"),
        (["trees==1.1"], r"There is no trees 1\.1; the nearest there are: 1\.0 and 1\.2\. uv says"),
        (["trees==1.2", "numpy>=2"], "contradict each other; loosen or leave out"),
        (["newest"], "Python .*3.99.*choose another with --python"),
        (["trees=="], "One line is no requirement"),
        (["trees=1.0"], "written as for conda; for pip it is 'trees==1.0'"),
        (["-r more.txt"], r"an option \(-r\) is not followed here; put the lines of that file in its place"),
    ],
)
def test_a_refusal_has_the_resolvers_words_and_the_cure(
    wanted: list[str], words: str, environments: Environments
) -> None:
    with pytest.raises(BadInput, match=words):
        environments.build(wanted)


def test_a_python_that_is_not_there_is_told_with_those_that_are(environments: Environments) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert environments.build(["trees"], own) == environments.build(["trees"], sys.version.split()[0])
    with pytest.raises(BadInput, match=rf"the server has no Python 3\.97; it has .*{own}.*choose another: --python"):
        environments.build(["trees"], "3.97")
    with pytest.raises(BadInput, match=r"Python 3\.9 or newer, and 3\.7 was asked for"):
        environments.build(["trees"], "3.7")
    with pytest.raises(BadInput, match="'latest' is no version of Python"):
        environments.build(["trees"], "latest")


def test_an_index_that_does_not_answer_is_no_fault_of_the_requirements(
    environments: Environments, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = environments.build(["trees"])
    conf = tmp_path / "away.conf"
    conf.write_text("[global]\nindex-url = http://someone:secret@127.0.0.1:9/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(conf))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(Unavailable, match="look whether the server reaches its package index") as refused:
        environments.build(["woods"])
    assert "secret" not in str(refused.value)
    assert environments.find(known.digest) == known


def test_no_address_of_an_index_is_written_down(
    environments: Environments, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:secret@127.0.0.1:9/simple")  # not asked: no-index
    made = environments.build(["woods"])
    written = [path for path in environments.root.rglob("*") if path.is_file() and "lib" not in path.parts]
    assert not [path for path in written if b"secret" in path.read_bytes()]
    assert json.loads((environments.root / made.digest / MARKER).read_text())["packages"] == made.packages


def test_what_no_version_needs_goes_after_a_week(environments: Environments, tmp_path: Path) -> None:
    needed, old, new = (environments.build([line]) for line in ("trees==1.0", "trees==1.2", "woods"))
    for made in (needed, old):
        aged(environments.root / made.digest / MARKER, 8 * 86_400)
    assert environments.sweep([needed.digest], tmp_path / "home") == [old.digest]
    assert facts(environments.root).count == 2
    assert environments.find(new.digest) == new


def test_a_home_leaves_what_another_home_needs(environments: Environments, tmp_path: Path) -> None:
    made = environments.build(["trees==1.0"])
    environments.sweep([made.digest], tmp_path / "first")
    aged(environments.root / made.digest / MARKER, 8 * 86_400)
    assert environments.sweep([], tmp_path / "second") == []
    for note in (environments.root / "needed").iterdir():
        aged(note, 31 * 86_400)
    assert environments.sweep([], tmp_path / "second") == [made.digest]


def test_using_an_environment_keeps_it(environments: Environments, tmp_path: Path) -> None:
    made = environments.build(["trees==1.0"])
    aged(environments.root / made.digest / MARKER, 8 * 86_400)
    environments.find(made.digest)
    assert environments.sweep([], tmp_path) == []


def test_several_homes_may_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAYOFF_ENVIRONMENTS", raising=False)
    assert Environments.of(tmp_path).root == tmp_path / "environments"
    monkeypatch.setenv("PAYOFF_ENVIRONMENTS", str(tmp_path / "shared"))
    assert Environments.of(tmp_path).root == tmp_path / "shared"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(PayoffError, match=r"environments cannot be kept in .*taken"):
        Environments(tmp_path / "taken").build(["trees"])


def test_facts_tell_how_many_and_how_large(environments: Environments) -> None:
    assert facts(environments.root).count == 0
    environments.build(["trees"])
    assert facts(environments.root).count == 1
    assert 1_000 < facts(environments.root).size_bytes < 50_000_000
