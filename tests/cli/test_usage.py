"""The command line alone: what it says without a server, how it ends, and that it starts fast."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from payoff.cli import main

COMMANDS = [
    "up", "demo", "deploy", "predict", "outcomes", "models", "endpoints", "versions", "revisions", "predictions",
    "findings", "orders", "roi", "verdict", "threshold", "experiment", "costs", "alias", "promote", "ramp", "rollback",
    "kill", "revive", "retire", "allocate", "selftest", "evaluate", "dashboard",
    "apply", "diff", "sql", "doctor", "drill", "power",
]  # fmt: skip
NOBODY = "http://127.0.0.1:9"  # the discard port: nobody listens


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Payoff = Callable[..., Done]


@pytest.fixture
def payoff(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Payoff:
    """Runs the console script's function with other words, in this process."""

    def run(*words: str, stdin: str = "", **environment: str) -> Done:
        for name, value in {"PAYOFF_URL": NOBODY, **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["payoff", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main.run()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_help_lists_every_command(payoff: Payoff) -> None:
    done = payoff("--help")
    assert done.returncode == 0
    assert [word for word in COMMANDS if f"\n  {word} " not in done.stdout] == []


def test_version_is_said(payoff: Payoff) -> None:
    assert payoff("--version").stdout.startswith("payoff 0.")


@pytest.mark.parametrize("words", [
    pytest.param(["nosuch"], id="no such command"),
    pytest.param(["kill"], id="a missing argument"),
    pytest.param(["kill", "e"], id="a kill without a reason"),
    pytest.param(["revive", "e", "--reason", "  "], id="a reason that says nothing"),
    pytest.param(["ramp", "e", "110%"], id="more than all of the traffic"),
    pytest.param(["ramp", "e", "-1"], id="an option that is none"),
    pytest.param(["orders", "--limit", "0"], id="a limit that is none"),
    pytest.param(["sql", "select 1", "--format", "xml"], id="a format that is none"),
])  # fmt: skip
def test_wrong_usage_ends_with_2_and_says_how(payoff: Payoff, words: list[str]) -> None:
    done = payoff(*words)
    assert done.returncode == 2
    assert "Error" in done.stderr or "Usage" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["models"], ["roi"], ["sql", "select 1"], ["kill", "e", "-r", "x"], ["doctor"]])
def test_without_a_server_it_says_how_to_start_one(payoff: Payoff, words: list[str]) -> None:
    done = payoff(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "payoff: nothing answers at http://127.0.0.1:9: start it with `payoff up`\n"


def test_with_json_an_error_is_an_object_on_stdout(payoff: Payoff) -> None:
    done = payoff("models", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["kind"] == "unavailable"


@pytest.mark.parametrize(("words", "said"), [
    pytest.param(["deploy", "no/such.onnx"], "there is no model file at no/such.onnx", id="no file"),
    pytest.param(["deploy", "mlflow:churn"], "names no model", id="no model of a tracking server"),
    pytest.param(["predict", "e", "rows.xlsx"], "cannot tell the format of rows.xlsx", id="a format nobody reads"),
    pytest.param(["apply", "no/such.yaml"], "there is no endpoint file", id="no endpoint file"),
    pytest.param(["models", "--url", "nonsense"], "expected something like http://", id="an address that is none"),
    pytest.param(["deploy", "pyproject.toml", "--tag", "x"], "KEY=VALUE", id="a tag that is none"),
    pytest.param(["deploy", "pyproject.toml", "--metric", "auc=good"], "say a number", id="a metric that is none"),
    pytest.param(["deploy", "pyproject.toml", "--option", "a=1", "--option", "a=2"], "twice", id="an option twice"),
    pytest.param(["deploy", "pyproject.toml", "--requirements", "no.txt"], "no requirements file", id="no such list"),
])  # fmt: skip
def test_what_cannot_be_used_is_named_without_a_stack_trace(payoff: Payoff, words: list[str], said: str) -> None:
    done = payoff(*words)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_no_endpoint_is_refused_before_anything_is_sent(payoff: Payoff) -> None:
    done = payoff("diff", "-", stdin="arms: {}")
    assert (done.returncode, "endpoint: NAME" in done.stderr) == (1, True)


def test_a_fault_is_one_line_and_a_stack_trace_only_when_asked_for(
    payoff: Payoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(main.app, "registered_commands", [*main.app.registered_commands])
    main.app.command()(broken)
    quiet = payoff("broken")
    assert (quiet.returncode, quiet.stdout, quiet.stderr.count("\n")) == (1, "", 1)
    assert "PAYOFF_DEBUG=1" in quiet.stderr
    with pytest.raises(ZeroDivisionError, match="a fault"):
        payoff("broken", PAYOFF_DEBUG="1")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom payoff.cli.main import app\n"
        "print(sorted({'httpx', 'pyarrow', 'numpy', 'rich', 'litestar', 'sqlalchemy', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_blank_home_is_refused(payoff: Payoff, command: str) -> None:
    for home in ("", " "):
        done = payoff(command, "--home", home)
        assert done.returncode == 1
        assert done.stderr == "payoff: --home is blank; say which folder: --home DIR\n"


def test_a_key_that_no_caller_could_send_is_refused_at_the_start_and_not_shown(payoff: Payoff) -> None:
    done = payoff("up", "--home", "/proc/never", PAYOFF_KEY="open sesame")
    assert done.returncode == 1
    assert "PAYOFF_KEY" in done.stderr
    assert "same" not in done.stderr


def test_an_endpoint_file_that_is_no_text_is_refused(payoff: Payoff, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"\x80\x04\x95")
    for command in ("apply", "diff"):
        done = payoff(command, str(tmp_path / "model.yaml"))
        assert done.returncode == 1
        assert "model.yaml is no text in UTF-8" in done.stderr
        assert "payoff failed" not in done.stderr


class Canned(BaseHTTPRequestHandler):
    """A server that says to everybody what it was told to say."""

    reply: ClassVar[dict[str, Any]] = {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def do_GET(self) -> None:
        body = json.dumps(self.reply).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def answering(**reply: Any) -> Iterator[str]:
    """The address of a server that answers with this."""
    handler = type("Told", (Canned,), {"reply": reply})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_kill_that_a_living_worker_has_not_followed_fails(payoff: Payoff, more: tuple[str, ...]) -> None:
    late = {"what": "worker 1 does not serve revision 7 of calls yet", "seconds": 0.0}
    for steps, status in (([late], 1), ([], 0)):
        with answering(endpoint="calls", revision=7, steps=steps, notes=[]) as url:
            done = payoff("kill", "calls", "--reason", "a drill", "--url", url, *more)
        assert done.returncode == status
        assert ("payoff: worker 1 does not serve revision 7" in done.stderr) is bool(steps)
        assert "7" in done.stdout


def test_the_head_of_a_column_moves_no_cursor(payoff: Payoff) -> None:
    with answering(columns=[{"name": "a\x1b[2J"}], rows=[[1]], truncated=False) as url:
        assert payoff("sql", "select 1", "--url", url).stdout == "a [2J\n    1\n"


def test_power_needs_no_server(payoff: Payoff) -> None:
    done = payoff("power", "--effect", "-0.5", "--gain-cap", "5")
    assert done.returncode == 0, done.stderr
    assert "until a kill at an error of 1.00%" in done.stdout
    assert "normal shape" in done.stdout


def test_power_refuses_an_error_that_is_none(payoff: Payoff) -> None:
    done = payoff("power", "--effect", "-0.5", "--error", "often")
    assert done.returncode == 1
    assert "'often' is no error" in done.stderr
