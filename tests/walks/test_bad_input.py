"""Promise 8: what is wrong gets an answer that helps, and nothing is lost, left half done or dead after it."""

import gzip
import json
import os
import pickle
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import payoff
from payoff.demo.server import Server, running
from tests.shared import until
from tests.walks import models

pytestmark = pytest.mark.slow

GOOD = {"age": 40, "balance": 10.5, "job": "tech"}
GOOD_JSON = json.dumps(GOOD).encode()
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
BLIND = "00000000-0000-7000-8000-000000000000"

VALUED = """
endpoint: {name}
arms: {{champion: {{model: times, version: 1}}}}
decision: outputs.y > 0
value: case when decision then 10 - outcome.cost else 0 end
guards:
  - {{when: loses money, against: fallback, error: 5%, do: kill}}
fallback: {{decision: false}}
"""


class House:
    """One running payoff, and what may not change when it refuses something."""

    def __init__(self, home: Path, server: Server) -> None:
        self.home, self.server = home, server
        self.client = httpx.Client(timeout=120)

    def ask(self, path: str, body: bytes, content_type: str = "application/json", **headers: str) -> httpx.Response:
        """A call at the inference door."""
        return self.client.post(
            self.server.inference + path, content=body, headers={"content-type": content_type, **headers}
        )

    def order(self, endpoint: str, **command: Any) -> httpx.Response:
        return self.client.post(f"{self.server.api}/api/endpoints/{endpoint}/orders", json=command)

    def learn(self, endpoint: str, *rows: dict[str, Any]) -> httpx.Response:
        return self.client.post(f"{self.server.api}/api/endpoints/{endpoint}/outcomes", json=list(rows))

    def cli(self, *words: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of the CLI, as a process."""
        command = [sys.executable, "-m", "payoff.cli.main", *map(str, words)]
        told = {**os.environ, "PAYOFF_URL": self.server.api, **(env or {})}
        return subprocess.run(command, capture_output=True, text=True, timeout=300, env=told, check=False)

    def processes(self) -> list[int]:
        """The supervisor's own: control plane and workers, not what they start for a moment."""
        return sorted(pid for pid in models.children(self.server.pid) if "payoff." in models.command(pid))

    def kept(self) -> dict[str, Any]:
        """Models, revisions, blobs and leftovers."""
        listed = {name: self.client.get(f"{self.server.api}/api/{name}").json() for name in ("models", "endpoints")}
        folders = ("artifacts", "intake", "run/uploads")
        files = {one: sorted(p.name for p in (self.home / one).rglob("*") if p.is_file()) for one in folders}
        return listed | files

    def answered(self, endpoint: str) -> int:
        """How many predictions the journal has."""
        return len(self.predictions(endpoint))

    def predictions(self, endpoint: str) -> set[str]:
        body = {"sql": f"select id from predictions where endpoint = '{endpoint}'", "limit": 1_000_000}
        return {row[0] for row in self.client.post(f"{self.server.api}/api/sql", json=body).json()["rows"]}

    def log(self) -> str:
        return (self.home / "server.log").read_text("utf-8", "replace")


def mixed() -> bytes:
    """An ONNX model over a whole number, a number and a text."""
    columns = [("age", TensorProto.INT64), ("balance", TensorProto.DOUBLE), ("job", TensorProto.STRING)]
    nodes = [
        helper.make_node("Cast", ["age"], ["years"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["years", "balance"], ["score"]),
        helper.make_node(
            "LabelEncoder",
            ["job"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["tech"],
            values_int64s=[7],
            default_int64=-1,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in columns],
        [
            helper.make_tensor_value_info("score", TensorProto.DOUBLE, [None, 1]),
            helper.make_tensor_value_info("code", TensorProto.INT64, [None, 1]),
        ],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def wide() -> bytes:
    """An ONNX model that takes `x` and one column more."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "income"], ["y"])],
        "wide",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("x", "income")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.array([0], np.float32), "unused")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(made.SerializeToString())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("bad-input")
    with running(folder / "home", workers=2) as server:
        client = payoff.connect(server.api)
        client.deploy(str(models.saved(folder, 2)), name="times")
        (folder / "mixed.onnx").write_bytes(mixed())
        client.deploy(str(folder / "mixed.onnx"), name="mixed")
        yield House(folder / "home", server)


@pytest.fixture(autouse=True)
def _nobody_died(house: House) -> Iterator[None]:
    """After every bad input: the same processes, no stack trace, and good input is answered."""
    before, said = house.processes(), len(house.log())
    yield
    assert house.processes() == before
    assert "Traceback" not in house.log()[said:]
    assert house.ask("/predict/mixed", GOOD_JSON).json()["predictions"][0]["score"] == 420.0


def refused(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """A command that failed well: its exit status, words that help, and no fault of ours."""
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    for fault in ("Traceback", "payoff failed", "PAYOFF_DEBUG"):
        assert fault not in done.stderr, done.stderr


# -- rows that do not fit, at the inference door

ROWS = [
    ("wrong column", b'{"agee":40,"balance":1,"job":"tech"}', ("agee", "did you mean 'age'")),
    ("unknown column", b'{"age":40,"balance":1,"job":"tech","z":1}', ("'z'", "age, balance, job")),
    ("wrong type", b'{"age":40.5,"balance":1,"job":"tech"}', ("age", "40.5", "int64")),
    ("a bool as a number", b'{"age":true,"balance":1,"job":"tech"}', ("age", "True", "int64")),
    ("a number as text", b'{"age":40,"balance":1,"job":7}', ("job", "7", "text")),
    ("missing column", b'{"age":40,"job":"tech"}', ("missing column 'balance'", "float64")),
    ("null", b'{"age":null,"balance":1,"job":"tech"}', ("age", "null", "int64")),
    ("NaN", b'{"age":40,"balance":NaN,"job":"tech"}', ("NaN", "null")),
    ("infinity", b'{"age":40,"balance":1e400,"job":"tech"}', ("large",)),
    ("text in a number", b'[%s,{"age":"forty","balance":1,"job":"a"}]' % GOOD_JSON, ("row 1", "forty", "int64")),
    ("beyond int64", b'{"age":9223372036854775808,"balance":1,"job":"tech"}', ("age", "int64")),
    ("truncated", b'[{"age":40,"balance":1,"jo', ("not JSON", "end")),
    ("empty", b"", ("not JSON", "empty")),
    ("no object", b"3", ("records",)),
    ("unequal columns", b'{"age":[40,41],"balance":[1],"job":["a"]}', ("age", "2", "balance", "1")),
    ("too deep", b"[" * 100_000, ("depth",)),
    ("half a surrogate", b'{"age":40,"balance":1,"job":"\\ud800"}', ("surrogate",)),
    ("not UTF-8", b'{"age":40,"balance":1,"job":"\xff"}', ("UTF-8",)),
]  # fmt: skip


@pytest.mark.parametrize(("body", "words"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_rows_that_do_not_fit_are_refused_with_the_column_and_what_was_expected(
    house: House, body: bytes, words: tuple[str, ...]
) -> None:
    before = house.answered("mixed")
    reply = house.ask("/predict/mixed", body)
    assert reply.status_code == 400
    assert reply.json()["kind"] == "bad_input"
    for word in words:
        assert word in reply.json()["error"]
    assert house.answered("mixed") == before


def test_nan_in_csv_is_refused_and_named(house: House) -> None:
    reply = house.ask("/predict/mixed", b"age,balance,job\n40,NaN,tech\n", CSV)
    assert reply.status_code == 400
    assert "balance" in reply.json()["error"]


@pytest.mark.parametrize("content_type", ["application/xml", "application/json; charset=utf-16", "\xff\xfe"])
def test_a_content_type_that_is_not_read_is_answered_with_those_that_are(house: House, content_type: str) -> None:
    reply = house.client.post(
        f"{house.server.inference}/predict/mixed",
        content=GOOD_JSON,
        headers=[(b"content-type", content_type.encode("latin-1"))],
    )
    assert reply.status_code == 415
    assert reply.headers["accept"].startswith("application/json, ")
    assert "application/json" in reply.json()["error"] or "UTF-8" in reply.json()["error"]


@pytest.mark.parametrize("content_type", [CSV, ARROW, "application/vnd.apache.parquet"])
def test_json_under_another_content_type_is_refused(house: House, content_type: str) -> None:
    assert house.ask("/predict/mixed", GOOD_JSON, content_type).status_code == 400


def test_a_packed_body_is_read_or_refused_with_the_codings_that_are(house: House) -> None:
    packed = gzip.compress(GOOD_JSON)
    assert house.ask("/predict/mixed", packed, **{"content-encoding": "gzip"}).status_code == 200
    for coding, status in (("br", 415), ("deflate", 400), ("gzip, gzip", 415)):
        reply = house.ask("/predict/mixed", packed, **{"content-encoding": coding})
        assert reply.status_code == status
        assert coding.partition(",")[0] in reply.json()["error"]


def test_an_unknown_endpoint_is_answered_with_those_there_are(house: House) -> None:
    reply = house.ask("/predict/mixd", b"{}")
    assert reply.status_code == 404
    assert "mixd" in reply.json()["error"]
    assert "mixed, times" in reply.json()["error"]
    assert house.ask("/predict/..%2f..%2fetc%2fpasswd", b"{}").status_code == 404
    refused(house.cli("predict", "mixd", __file__, "--format", "csv"), 1, "mixd", "mixed")
    refused(house.cli("kill", "mixd", "--reason", "x"), 1, "mixd", "mixed")


TEN_MB = [
    ("one text", b'{"age":40,"balance":1,"job":' + b'"' + b"a" * 10_000_000 + b'"}', 200),
    ("a text for a number", b'{"age":"' + b"a" * 10_000_000 + b'","balance":1,"job":"a"}', 400),
    ("one name", b'{"' + b"a" * 10_000_000 + b'":1}', 400),
    ("names", ("{" + ",".join(f'"k{i}":1' for i in range(700_000)) + "}").encode(), 400),
    ("nesting", b"[" * 10_000_000, 400),
    ("nothing", b" " * 10_000_000, 400),
    ("cut short", b"[" + b'{"age":40,"balance":1,"job":"a"},' * 310_000, 400),
]


@pytest.mark.parametrize(("body", "status"), [one[1:] for one in TEN_MB], ids=[one[0] for one in TEN_MB])
def test_ten_megabytes_of_json_get_a_short_answer(house: House, body: bytes, status: int) -> None:
    reply = house.ask("/predict/mixed", body)
    assert reply.status_code == status
    assert len(reply.content) < 2_000


@pytest.mark.slow
def test_ten_megabytes_of_rows_do_not_make_others_wait(tmp_path: Path) -> None:
    """A worker that is busy with one caller's rows still answers the others, and hears of a kill."""
    with running(tmp_path / "home", workers=1) as server:
        payoff.connect(server.api).deploy(str(models.saved(tmp_path, 2)), name="times")
        url = f"{server.inference}/predict/times"
        body = b"[" + b",".join([b'{"x":1.5}'] * 500_000) + b"]"
        big = threading.Thread(target=lambda: httpx.post(url, content=body, timeout=300))
        waits_s = []
        with httpx.Client(timeout=300) as client:
            client.post(url, content=b'{"x":1}')
            big.start()
            while big.is_alive():
                waits_s.append(client.post(url, content=b'{"x":1}').elapsed.total_seconds())
    assert max(waits_s) < sum(waits_s) / 2  # a worker that does nothing else lets one call wait all the time


# -- HTTP itself, in raw bytes


def raw(house: House, sent: bytes) -> bytes:
    """What the inference door says to these bytes until it ends the connection, as a last request asks it to."""
    host, port = house.server.inference.removeprefix("http://").split(":")
    heard = b""
    with socket.create_connection((host, int(port)), 120) as connection:
        connection.sendall(sent + head(house, "GET", "/v2/health/live", "Connection: close"))
        while piece := connection.recv(65_536):
            heard += piece
    return heard


def head(house: House, method: str, path: str, *lines: str) -> bytes:
    host = house.server.inference.removeprefix("http://")
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


BODY = b'{"x":1}'
SMUGGLED = [
    ("Content-Length: 7", "Transfer-Encoding: chunked"),
    ("Content-Length: 7", "Content-Length: 8"),
    ("Content-Length: -7",),
    ("Content-Length: 99999999999999999999999",),
    ("Content-Length : 7",),
    ("Content-Length:\r\n 7",),
    ("Transfer-Encoding: xchunked",),
]


@pytest.mark.parametrize("lines", SMUGGLED)
def test_a_body_whose_end_is_unclear_ends_the_connection(house: House, lines: tuple[str, ...]) -> None:
    heard = raw(house, head(house, "POST", "/predict/times", *lines) + BODY)
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"content-type: ") == 1


def test_a_request_that_offers_an_upgrade_keeps_its_body(house: House) -> None:
    """Java's HttpClient offers h2c with every plain request; its body is no request of its own."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Content-Length: 7")
    heard = raw(house, head(house, "POST", "/predict/times", *offer) + BODY)
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert b'"y":2.0' in heard
    assert heard.count(b"content-type: ") == 2


@pytest.mark.parametrize("path", ["/v2", "/v2/models/times", "/nothing"])
def test_the_answer_to_head_has_no_body(house: House, path: str) -> None:
    heard = raw(house, head(house, "HEAD", path))
    _, _, rest = heard.partition(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 200 ")


def test_two_host_headers_are_refused(house: House) -> None:
    heard = raw(house, head(house, "GET", "/v2").replace(b"Host:", b"Host: evil.example\r\nHost:", 1))
    assert heard.split()[1] in (b"400", b"401")


@pytest.mark.parametrize("length", ["-1", "x", "99999999", "9" * 5_000])
def test_a_header_length_that_lies_is_refused(house: House, length: str) -> None:
    reply = house.ask("/v2/models/times/infer", BODY, **{"inference-header-content-length": length})
    assert reply.status_code == 400
    assert "b'" not in reply.json()["error"]


def test_what_is_too_large_is_called_too_large(house: House) -> None:
    heard = raw(house, head(house, "POST", "/predict/times", "Content-Length: 999999999"))
    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in heard


# -- models and samples


def cut_in_half(folder: Path) -> Path:
    whole = models.times(17)
    (folder / "half.onnx").write_bytes(whole[: len(whole) // 2])
    return folder / "half.onnx"


def test_files_that_are_no_models_are_refused_and_leave_nothing(house: House, tmp_path: Path) -> None:
    before = house.kept()
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "text.onnx").write_text("age,job\n1,tech\n")
    refused(house.cli("deploy", cut_in_half(tmp_path)), 1, "half.onnx", "cut short", "export or copy it again")
    refused(house.cli("deploy", tmp_path / "empty.onnx"), 1, "empty.onnx", "is empty")
    refused(house.cli("deploy", tmp_path / "folder.onnx"), 1, "folder.onnx", "is an empty folder")
    refused(house.cli("deploy", tmp_path / "absent.onnx"), 1, "absent.onnx", "there is no")
    refused(house.cli("deploy", tmp_path / "text.onnx"), 1, "text.onnx", "onnx")
    refused(house.cli("deploy"), 2, "PATH")
    assert house.kept() == before


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("name", ["evil.pkl", "evil.joblib", "evil.onnx"])
def test_a_pickle_that_would_run_a_command_runs_none(house: House, tmp_path: Path, name: str) -> None:
    before, trace = house.kept(), tmp_path / "trace"
    (tmp_path / name).write_bytes(pickle.dumps(Evil(trace)))
    (tmp_path / "sample.csv").write_text("x\n1\n2\n")
    refused(house.cli("deploy", tmp_path / name, "--sample", tmp_path / "sample.csv"), 1, name, "system", "ONNX")
    assert not trace.exists()
    assert house.kept() == before


SAMPLES = [
    ("no rows", "x\n", "no rows"),
    ("other columns", "z,w\n1,2\n", "z, w"),
    ("text", "x\nabc\n", "abc"),
    ("ragged", "x\n1,2,3\n", "columns"),
    ("nothing", "", "empty"),
    ("beyond float32", "x\n1e300\n", "1e+300"),
]


@pytest.mark.parametrize(("sample", "word"), [one[1:] for one in SAMPLES], ids=[one[0] for one in SAMPLES])
def test_a_sample_that_does_not_fit_is_refused_and_leaves_nothing(
    house: House, tmp_path: Path, sample: str, word: str
) -> None:
    before = house.kept()
    (tmp_path / "sample.csv").write_text(sample)
    model = models.saved(tmp_path, 19)
    refused(house.cli("deploy", model, "--name", "fresh", "--sample", tmp_path / "sample.csv"), 1, word)
    assert house.kept() == before


def test_a_sample_that_does_not_fit_is_refused_for_known_bytes_too(house: House, tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_text("z,w\n1,2\n")
    model = models.saved(tmp_path, 2)  # those that run already
    refused(house.cli("deploy", model, "--name", "times", "--sample", tmp_path / "sample.csv"), 1, "z, w")


@pytest.mark.parametrize("name", ["a/b", "../../x", "ünï", "a" * 64, "..", "-x", "a\nb"])
def test_a_name_that_cannot_be_one_is_refused(house: House, tmp_path: Path, name: str) -> None:
    before = house.kept()
    refused(house.cli("deploy", models.saved(tmp_path, 23), f"--name={name}"), 1, "cannot name a model")
    assert house.kept() == before


def test_the_name_of_an_uploaded_file_never_becomes_a_path(house: House, tmp_path: Path) -> None:
    file = (f"../../../..{tmp_path}/pwned.onnx", models.times(29))
    reply = house.client.post(f"{house.server.api}/api/deploy", files={"artifact": file})
    assert reply.status_code == 201
    assert reply.json()["model"] == "pwned"
    assert not (tmp_path / "pwned.onnx").exists()
    assert not list(house.home.rglob("pwned.onnx"))


def test_an_upload_that_breaks_off_leaves_nothing(house: House) -> None:
    before = house.kept()
    host, port = house.server.api.removeprefix("http://").split(":")
    part = b'--B\r\nContent-Disposition: form-data; name="artifact"; filename="x.onnx"\r\n\r\n' + models.times(31)
    lines = (f"Host: {host}:{port}", "Content-Type: multipart/form-data; boundary=B", f"Content-Length: {len(part)}")
    with socket.create_connection((host, int(port)), 120) as connection:
        connection.sendall("\r\n".join(["POST /api/deploy HTTP/1.1", *lines, "", ""]).encode() + part)
        assert b" 400 " in connection.recv(4096)
    assert house.kept() == before


def test_a_version_that_needs_another_column_does_not_break_the_callers_of_an_endpoint(
    house: House, tmp_path: Path
) -> None:
    """Either it is refused, or those who call as before are answered as before."""
    (tmp_path / "wide.onnx").write_bytes(wide())
    house.cli("deploy", models.saved(tmp_path, 37), "--name", "steady")
    house.cli("deploy", tmp_path / "wide.onnx", "--name", "steady", "--as", "challenger", "--traffic", "50%")
    assert [house.ask("/predict/steady", BODY).status_code for _ in range(10)] == [200] * 10


# -- endpoint files, orders, outcomes, SQL

MIXED = "endpoint: mixed\narms: {champion: {model: mixed, version: 1}}\n"
FILES = [
    ("empty", "", "empty"),
    ("binary", b"\x80\x04\x95", "UTF-8"),
    ("a tag", "endpoint: !!python/object/apply:os.system ['true']\n", "YAML"),
    ("an alias", "endpoint: &a mixed\narms: {champion: {model: *a, version: 1}}\n", "anchors"),
    ("a typo", f"{MIXED}desicion: true\n", "did you mean 'decision'"),
    ("twice", "endpoint: mixed\nendpoint: mixed\n", "twice"),
    ("a guard", MIXED + "guards: [{when: bleeds, do: kill}]\n", "loses money"),
    ("an action", MIXED + "guards: [{when: loses money, do: explode}]\n", "kill"),
    ("a query", f"{MIXED}decision: (select 1)\n", "query"),
    ("a comment", f'{MIXED}decision: "1); drop table orders; --"\n', "comment"),
    ("a function", f"{MIXED}decision: read_text('/etc/passwd') = ''\n", "read_text"),
    ("no version", MIXED.replace("version: 1", "version: 99"), "no version 99"),
    ("a path", MIXED.replace("endpoint: mixed", "endpoint: ../../x"), "../../x"),
]


@pytest.mark.parametrize(("file", "word"), [one[1:] for one in FILES], ids=[one[0] for one in FILES])
def test_an_endpoint_file_that_is_wrong_is_refused_and_changes_nothing(
    house: House, tmp_path: Path, file: str | bytes, word: str
) -> None:
    before = house.kept()
    (tmp_path / "endpoint.yaml").write_bytes(file if isinstance(file, bytes) else file.encode())
    refused(house.cli("apply", tmp_path / "endpoint.yaml"), 1, word)
    assert house.kept() == before


def apply(house: House, name: str) -> None:
    reply = house.client.put(f"{house.server.api}/api/endpoints/{name}", content=VALUED.format(name=name))
    assert reply.status_code == 200, reply.text


def test_an_order_that_cannot_be_recorded_is_not_carried_out_and_the_audit_trail_stays_readable(house: House) -> None:
    """Evidence nested without end: either all of it is done, or none."""
    apply(house, "audited")
    body = b'{"verb":"kill","reason":"x","evidence":{"a":%s%s}}' % (b"[" * 900, b"]" * 900)
    path = f"{house.server.api}/api/endpoints/audited"
    reply = house.client.post(f"{path}/orders", content=body, headers={"content-type": "application/json"})
    revision = house.client.get(path).json()["revision"]
    assert revision == (1 if reply.status_code >= 400 else 2)
    assert house.client.get(f"{house.server.api}/api/orders").status_code == 200


def test_evidence_has_a_limit(house: House) -> None:
    apply(house, "limited")
    reply = house.order("limited", verb="kill", reason="x", evidence={"a": "x" * 5_000_000})
    assert reply.status_code in (400, 413)


def test_outcomes_that_do_not_fit_are_refused_whole(house: House) -> None:
    apply(house, "learner")
    told = house.ask("/predict/learner", BODY).json()["predictions"][0]["prediction_id"]
    good = {"prediction_id": told, "cost": 1.0}
    bad: list[dict[str, Any]] = [
        {"prediction_id": "hello", "cost": 1}, {"prediction_id": None, "cost": 1}, {"prediction_id": told},
        {"prediction_id": told, "cost": "x"}, {"prediction_id": told, "cosst": 1},
        {"prediction_id": told, "cost": 1, "value": 1e300}, {"prediction_id": f"{told}' or 1=1 --", "cost": 1},
    ]  # fmt: skip
    for row in bad:
        reply = house.learn("learner", good, row)
        assert reply.status_code == 400, (row, reply.text)
        assert "row 1" in reply.json()["error"]["what"], reply.text
    other = house.ask("/predict/times", BODY).json()["predictions"][0]["prediction_id"]
    replies = [house.learn("learner", {"prediction_id": one, "cost": 1}).json() for one in (other, BLIND, told, told)]
    assert [(one["accepted"], one["unknown"]) for one in replies] == [(0, 1), (0, 1), (1, 0), (1, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("cost", ["1e300", "-1e300", "inf", "1e15"])
def test_an_absurd_outcome_blinds_neither_the_statement_nor_the_guard(house: House, cost: str) -> None:
    name = f"absurd{cost.replace('-', 'm').replace('+', '')}"
    apply(house, name)
    ask = f"/predict/{name}"
    told = house.ask(ask, BODY).json()["predictions"][0]["prediction_id"]
    house.client.post(
        f"{house.server.api}/api/endpoints/{name}/outcomes",
        content=f"prediction_id,cost\n{told},{cost}\n",
        headers={"content-type": CSV},
    )
    refunds = [30.0, 25.0, 2.0, 40.0]
    for _ in range(15):
        answers = house.ask(ask, b"[" + b",".join([BODY] * 40) + b"]").json()["predictions"]
        if answers[0]["arm"] == "fallback":
            break
        rows = [{"prediction_id": one["prediction_id"], "cost": refunds[i % 4]} for i, one in enumerate(answers)]
        last = house.learn(name, *rows).json()["outcome_id"]
        until_judged(house, name, last)
    else:
        pytest.fail("600 decisions that lose 14 each on average, and no kill")
    assert house.client.get(f"{house.server.api}/api/endpoints/{name}/roi").status_code == 200
    assert house.client.get(f"{house.server.api}/api/endpoints/{name}/roi/days").status_code == 200


def until_judged(house: House, name: str, outcome_id: str) -> None:
    """Wait until the guards have seen all outcomes up to this one, or have killed."""
    path = f"{house.server.api}/api/endpoints/{name}"

    def done() -> bool:
        orders = house.client.get(f"{house.server.api}/api/orders", params={"endpoint": name}).json()["orders"]
        judged = house.client.get(f"{path}/judged").json()["outcome_id"] or ""
        return judged >= outcome_id or any(one["verb"] == "kill" for one in orders)

    until(done, "the guards have judged every outcome, or have killed")


@pytest.mark.parametrize("question", [
    "select * from read_csv('/etc/passwd')", "copy (select 1) to '/tmp/payoff-pwned'", "attach '/tmp/payoff.db'",
    "set memory_limit='100GB'", "install httpfs", "select 1; select 2", "create table t as select 1", "", "selct 1",
    "select * from '/etc/passwd'", "from glob('/*')", "call dbgen(sf=1)", "select nope from predictions",
])  # fmt: skip
def test_sql_that_may_not_run_is_refused_with_what_may(house: House, question: str) -> None:
    refused(house.cli("sql", question), 1)


@pytest.mark.parametrize("value", ["timestamp 'infinity'", "date '99999-01-01'", "date 'infinity'", "'nan'::double"])
def test_sql_answers_what_json_has_no_word_for(house: House, value: str) -> None:
    assert house.cli("sql", f"select {value} as x").returncode == 0


@pytest.mark.parametrize("before", ["zzz", "x' or 1=1 --", BLIND])
def test_a_page_before_an_id_that_is_none_is_no_fault_of_ours(house: House, before: str) -> None:
    reply = house.client.get(f"{house.server.api}/api/endpoints/mixed/predictions", params={"before": before})
    assert reply.status_code == (200 if before == BLIND else 400)


def test_answers_that_cannot_be_written_are_refused_before_anybody_is_asked(house: House, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x\n1\n")
    before = house.answered("times")
    done = house.cli("predict", "times", tmp_path / "rows.csv", "-o", tmp_path / "absent" / "out.csv")
    refused(done, 1, "out.csv")
    assert house.answered("times") == before


# -- places: disks, ports, homes


def up(home: str | Path, *words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """`payoff up` where it must not come up."""
    command = [sys.executable, "-m", "payoff.cli.main", "up", "--home", str(home), "--workers", "1", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=cwd, env={**os.environ, **env}, check=False
    )


def test_a_port_in_use_is_named_with_the_flag_that_chooses_another(house: House, tmp_path: Path) -> None:
    http, console = (door.removeprefix("http://") for door in (house.server.inference, house.server.api))
    refused(up(tmp_path / "a", "--http", http, "--console", "127.0.0.1:0"), 1, http, "in use", "--http")
    refused(up(tmp_path / "b", "--http", "127.0.0.1:0", "--console", console), 1, console, "in use", "--console")


def test_a_second_payoff_on_the_same_home_is_refused_and_the_first_goes_on(house: House) -> None:
    done = up(house.home, "--http", "127.0.0.1:0", "--console", "127.0.0.1:0")
    refused(done, 1, str(house.home), str(house.server.pid), "--home")
    assert f"http {house.server.inference.removeprefix('http://')}" in (house.home / "run" / "doors").read_text()


def test_a_home_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    doors = ("--http", "127.0.0.1:0", "--console", "127.0.0.1:0")
    refused(up(tmp_path / "file", *doors), 1, "file", "--home")
    refused(up(tmp_path / "file" / "x", *doors), 1, "file", "--home")
    refused(up(tmp_path / ("d" * 300), *doors), 1, "--home")
    refused(up("/proc/payoff", *doors), 1, "/proc/payoff", "--home")


@pytest.mark.parametrize("key", ["sesame\n", " ", "sésame"])
def test_a_key_that_no_header_can_carry_is_refused_at_the_start(house: House, tmp_path: Path, key: str) -> None:
    taken = house.server.inference.removeprefix("http://")  # it may not come up, whatever it makes of the key
    refused(up(tmp_path / "home", "--http", taken, "--console", "127.0.0.1:0", PAYOFF_KEY=key), 1, "PAYOFF_KEY")


def test_a_key_that_no_header_can_carry_is_refused_by_the_client_and_not_printed(house: House) -> None:
    done = house.cli("models", env={"PAYOFF_KEY": "open\nsesame"})
    refused(done, 1, "PAYOFF_KEY")
    assert "sesame" not in done.stderr


@pytest.mark.slow
def test_a_relative_home_and_one_with_spaces_and_a_long_path_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = models.saved(tmp_path, 2)
    for home in (Path("relative home"), tmp_path / "with spaces é" / ("x" * 60) / ("y" * 60)):
        with running(home, workers=1) as server:
            client = payoff.connect(server.api)
            client.deploy(str(model), name="times")
            assert httpx.post(f"{server.inference}/predict/times", content=BODY, timeout=120).status_code == 200
            reply = httpx.post(f"{server.api}/api/sql", json={"sql": "select count(*) from predictions"}, timeout=120)
            assert reply.json().get("rows") == [[1]], (home, reply.text)


@pytest.mark.slow
def test_every_door_and_every_path_asks_for_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYOFF_KEY", "sesame")
    command = [sys.executable, "-m", "payoff.cli.main", "up", "--home", str(tmp_path / "home"), "--workers", "1"]
    command += ["--http", "127.0.0.1:0", "--console", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    client = httpx.Client(timeout=120)  # the doors are there before those who answer at them
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        said = dict(line.split()[:2] for line in lines)
        inference, api = said["inference"], said["api"].removesuffix("/api/docs")
        paths = ["/", "/nothing", *(f"/v2{one}" for one in ("", "/health/live", "/health/ready", "/models/x"))]
        doors = [inference + one for one in [*paths, "/predict/x"]]
        doors += [api + one for one in ("/", "/api/health", "/api/docs", "/api/docs/openapi.json", "/api/orders")]
        for door in doors:
            for told in ("", "Bearer", "Bearer wrong", "Bearer sesame2", "Basic sesame", "sesame"):
                assert client.get(door, headers={"authorization": told}).status_code == 401, (door, told)
            assert client.get(door, headers={"authorization": "Bearer sesame"}).status_code != 401
        assert "sesame" not in "".join(lines)
        for pid in models.children(process.pid):
            assert "sesame" not in models.command(pid)
    finally:
        process.terminate()
        process.communicate()


class Disk:
    """A home on a disk that can be filled: a small file system, or a limit on files where none may be mounted."""

    def __init__(self, folder: Path) -> None:
        self.home, self._filler = folder / "home", folder / "filler"
        self._server: Server | None = None
        self.own = _mounted(folder)

    def fill(self, server: Server, leave: int = 0) -> None:
        """No room any more, but for some bytes."""
        if not self.own:
            self._limit(server, leave)
            return
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass
        os.truncate(self._filler, self._filler.stat().st_size - leave)

    def free(self, server: Server) -> None:
        if self.own:
            self._filler.unlink()
        else:
            self._limit(server, resource.RLIM_INFINITY)

    def _limit(self, server: Server, size: int) -> None:
        for pid in models.children(server.pid):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def _mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "disk").mkdir()
    made = Disk(tmp_path / "disk")
    yield made
    if made.own:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)


@pytest.mark.slow
def test_a_full_disk_stops_answers_and_uploads_with_words_and_all_goes_on_when_there_is_room(
    disk: Disk, tmp_path: Path
) -> None:
    with running(disk.home, workers=1) as server:
        full = House(disk.home, server)
        assert full.cli("deploy", models.saved(tmp_path, 2), "--name", "times").returncode == 0
        apply(full, "times")
        processes, before = full.processes(), full.kept()
        told: set[str] = set()
        disk.fill(server)
        reply = full.ask("/predict/times", b"[" + b",".join([BODY] * 100) + b"]")
        for _ in range(200):  # the last page of the segment may have room for a few
            if reply.status_code != 200:
                break
            told |= {row["prediction_id"] for row in reply.json()["predictions"]}
            reply = full.ask("/predict/times", b"[" + b",".join([BODY] * 100) + b"]")
        assert reply.status_code == 503
        assert reply.json()["kind"] == "unavailable"
        assert "journal" in reply.json()["error"]
        assert "--home" in reply.json()["error"]
        refused(full.cli("deploy", models.saved(tmp_path, 3), "--name", "more"), 1, "room on the disk")
        time.sleep(2.5)  # housekeeping comes by in the meantime
        disk.free(server)
        assert full.kept() == before
        assert full.predictions("times") == told  # every answer, and nothing that nobody heard
        assert full.ask("/predict/times", BODY).status_code == 200
        assert full.cli("deploy", models.saved(tmp_path, 3), "--name", "more").returncode == 0
        assert full.cli("kill", "times", "--reason", "a drill").returncode == 0
        assert full.ask("/predict/times", BODY).json()["predictions"][0]["arm"] == "fallback"
        assert full.processes() == processes
        status = disk.home / "run" / "worker-0.json"
        said = status.stat().st_mtime_ns
        until(lambda: status.stat().st_mtime_ns > said, "the worker reports again")


@pytest.mark.slow
def test_a_call_that_fits_the_disk_only_in_part_leaves_no_predictions_that_nobody_heard_of(
    disk: Disk, tmp_path: Path
) -> None:
    with running(disk.home, workers=1) as server:
        full = House(disk.home, server)
        assert full.cli("deploy", models.saved(tmp_path, 2), "--name", "times").returncode == 0
        disk.fill(server, leave=500_000)
        rows = 20_000  # some 70 bytes each
        reply = full.ask("/predict/times", b"[" + b",".join([BODY] * rows) + b"]")
        assert reply.status_code == 503
        assert full.predictions("times") == set()
