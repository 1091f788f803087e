"""Every example in README and docs works: its blocks run in order, against a server of their own.

```python blocks of a page share one namespace; ```sh blocks run with bash in one folder, with `payoff` on the path.
Blocks whose first line is a comment with "not run here" are left to the reader: starting a server, `make`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from payoff.demo.server import Server, running

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "models").glob("*.md"))]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = "not run here"


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and text of every block that is to run."""
    found = BLOCK.findall(page.read_text())
    return [(language, text) for language, text in found if NOT_RUN not in text.partition("\n")[0]]


def here(text: str, server: Server) -> str:
    """The same text with the default doors replaced by the server's."""
    doors = {"http://127.0.0.1:8000": server.inference, "127.0.0.1:8001": server.grpc, "127.0.0.1:8003": server.flight}
    for default, door in {**doors, "http://127.0.0.1:8080": server.api}.items():
        text = text.replace(default, door)
    return text


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_the_examples_of_a_page_run_as_they_stand(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    with running(tmp_path / "home", workers=1, flags=("--flight", "127.0.0.1:0")) as server:
        monkeypatch.setenv("PAYOFF_URL", server.api)
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        names: dict[str, object] = {}
        for language, text in blocks(page):
            if language == "python":
                exec(compile(here(text, server), page.name, "exec"), names)
                continue
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", here(text, server)], capture_output=True, text=True, timeout=600
            )
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def links(page: Path) -> list[str]:
    """The files of this project that a page points to."""
    return [link for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()) if "://" not in link]


@pytest.mark.parametrize("page", [*PAGES, *sorted((ROOT / "docs" / "decisions").glob("*.md"))], ids=lambda p: p.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    assert [link for link in links(page) if not (page.parent / link).exists()] == []
