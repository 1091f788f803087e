"""How uv is called: it looks where pip looks, and is told no secret of payoff's."""

import os
import sys
from pathlib import Path

import pytest

from payoff.environments.pip import for_uv, settings
from payoff.environments.uv import Done, options, run, scrub, variables
from payoff.environments.words import own_words, refusal
from payoff.errors import BadInput, Unavailable


def conf(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pip.conf").write_text(text)
    return folder / "pip.conf"


def test_a_later_place_of_pips_settings_is_stronger(tmp_path: Path) -> None:
    user = conf(tmp_path / "pip", "[global]\nindex-url = https://user/simple\ntimeout = 5\n[install]\nno-index = no\n")
    named = conf(tmp_path / "named", "[global]\nindex_url = https://named/simple\n[list]\nformat = json\n")
    ours = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(user.parent.parent), "PIP_CONFIG_FILE": str(named)}
    told = settings(ours | {"PIP_TIMEOUT": "9", "PIP_CERT": ""})
    assert told["index_url"] == "https://named/simple"
    assert told["timeout"] == "9"
    assert told["no_index"] == "no"
    assert "format" not in told
    assert settings({"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}) == {"config_file": os.devnull}


def test_what_pip_is_told_goes_on_in_uvs_words(tmp_path: Path) -> None:
    text = """\
[global]
index-url = https://packages.example.org/simple
extra-index-url =
    https://a.example.org/simple
    https://b.example.org/simple
find-links = /srv/wheels /srv/more
trusted-host = packages.example.org
cert = /etc/company.pem
default-timeout = 60
proxy = http://proxy:3128
"""
    told = for_uv({"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(conf(tmp_path, text))})
    assert told == {
        "UV_DEFAULT_INDEX": "https://packages.example.org/simple",
        "UV_INDEX": "https://a.example.org/simple https://b.example.org/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/srv/wheels,/srv/more",
        "UV_INSECURE_HOST": "packages.example.org",
        "SSL_CERT_FILE": "/etc/company.pem",
        "UV_HTTP_TIMEOUT": "60",
        "ALL_PROXY": "http://proxy:3128",
    }


def test_what_is_said_to_uv_itself_is_stronger() -> None:
    ours = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://pip/simple",
        "UV_DEFAULT_INDEX": "https://uv/simple",
    }
    assert "UV_DEFAULT_INDEX" not in for_uv(ours)
    assert variables(ours)["UV_DEFAULT_INDEX"] == "https://uv/simple"


def test_uv_is_told_no_secret() -> None:
    ours = {"PATH": "/bin", "PAYOFF_KEY": "secret", "AWS_SECRET_ACCESS_KEY": "secret", "HTTPS_PROXY": "http://proxy"}
    told = variables(ours | {"PIP_CONFIG_FILE": os.devnull})
    assert told["PATH"] == "/bin"
    assert told["HTTPS_PROXY"] == "http://proxy"
    assert "secret" not in told.values()
    assert told["UV_PYTHON_DOWNLOADS"] == "never"


def test_wheels_only_where_the_operator_wants_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "true")
    monkeypatch.setenv("PAYOFF_WHEELS_ONLY", "1")
    assert options() == ["--no-index", "--only-binary", ":all:"]
    monkeypatch.delenv("PAYOFF_WHEELS_ONLY")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    assert options() == []


PYTHON = ("run", "--no-project", "--offline", "--python", sys.executable, "--", "python", "-c")


def test_a_call_that_takes_too_long_is_ended() -> None:
    done = run([*PYTHON, "import time; time.sleep(1_000)"], seconds_max=0.1)
    assert done.status is None


def test_uv_holds_the_lock_of_whoever_started_it(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        looks = f"import os; print(os.fstat({lock.fileno()}).st_ino)"
        held = run([*PYTHON, looks], seconds_max=600.0, holds=[lock.fileno()])
        assert held.answered.strip() == str(os.fstat(lock.fileno()).st_ino), held.said
        assert run([*PYTHON, looks], seconds_max=600.0).answered == ""


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("error: failed to write\n  cause: No space left on device (os error 28)", Unavailable, "disk is full"),
        ("error: Failed to fetch: x\n cause: HTTP status client error (401 Unauthorized)", Unavailable, "password"),
        ("error: Request failed\n cause: tcp connect error", Unavailable, "reaches its package index"),
        ("error: Failed to build `odd==1.0`\n cause: exit status 1", BadInput, "odd has no ready-made wheel"),
        ("error: odd==1.0 has no usable wheels and you require odd", BadInput, "odd has no ready-made wheel"),
        ("error: something new", BadInput, "Look at what uv says"),
    ],
)
def test_what_uv_says_and_what_it_means(said: str, kind: type[Exception], words: str) -> None:
    error = refusal(Done(2, "", said), "3.11", "built", lambda name, release: "")
    assert isinstance(error, kind)
    assert words in str(error)
    assert "uv says: error: " in str(error)


def test_uvs_words_are_shown_without_tracebacks_hints_and_passwords() -> None:
    said = """\
warning: something
error: Failed to build `odd`
  cause: it failed
         Traceback (most recent call last):
           File "x.py", line 1, in <module>
             import y
         ModuleNotFoundError: No module named 'y'

hint: rerun with --no-build-isolation
"""
    assert own_words(said) == "error: Failed to build `odd` cause: it failed ModuleNotFoundError: No module named 'y'"
    assert len(own_words("x" * 9_000)) < 2_000
    assert scrub("at https://me:word@example.org/simple and file:///x") == "at https://example.org/simple and file:///x"


def test_a_call_that_was_given_up_says_so() -> None:
    assert "not built in time" in str(
        refusal(Done(None, "", "Building odd"), "3.11", "built", lambda name, release: "")
    )
