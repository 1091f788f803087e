"""Deploying over HTTP: what comes back works, and what cannot be deployed is named and leaves nothing."""

import io
import json
import pickle
import shlex
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shared import PATIENCE_S

Made = dict[str, Any]
FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\nx\r\n--b--'


class Bomb:
    """A pickle that writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "boom")


def said(reply: httpx.Response) -> tuple[int, str]:
    assert set(reply.json()) == {"error"}, reply.text
    return reply.status_code, reply.json()["error"]["what"]


def test_a_deploy_answers_with_a_curl_line_that_works(calls: Made) -> None:
    assert (calls["version"], calls["role"], calls["endpoint"]) == (1, "champion", "calls")
    assert {step["what"] for step in calls["steps"]} >= {"upload", "recognise", "try out", "record", "publish"}
    done = subprocess.run(shlex.split(calls["curl"]), capture_output=True, check=True, timeout=PATIENCE_S)
    (row,) = json.loads(done.stdout)["predictions"]
    assert row["version"] == 1


def test_the_example_row_is_the_samples_first(calls: Made) -> None:
    assert calls["example"] == {"age": 20.0, "balance": 100.0}


def test_the_same_bytes_are_the_same_version_and_may_serve_two_endpoints(
    http: httpx.Client, calls: Made, artifact: bytes
) -> None:
    form = {"name": "calls", "endpoint": "twin"}
    again = http.post("/deploy", files={"artifact": ("other.name", artifact)}, data=form)
    assert again.status_code == 201, again.text
    assert (again.json()["version"], again.json()["endpoint"]) == (1, "twin")


def test_without_a_name_the_files_name_is_taken(http: httpx.Client, artifact: bytes) -> None:
    made = http.post("/deploy", files={"artifact": ("My Model (2).onnx", artifact)}).json()
    assert (made["model"], made["endpoint"]) == ("my-model-2", "my-model-2")


def packed(**files: bytes) -> bytes:
    """A folder as `tar -cf` packs it, folders and all."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as tar:
        top = tarfile.TarInfo("./")
        top.type = tarfile.DIRTYPE
        tar.addfile(top)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return into.getvalue()


def test_a_folder_comes_as_a_tar_and_is_looked_into(http: httpx.Client) -> None:
    files = {"artifact": ("mine.tar", packed(notes=b"nothing to run"))}
    reply = http.post("/deploy", files=files, data={"folder": "yes"})
    assert said(reply)[0] == 400
    assert "mine is a folder that holds no model" in said(reply)[1]


@pytest.mark.parametrize(("content", "words"), [
    pytest.param(b"no tar at all", "packed with `tar -cf`", id="no tar"),
    pytest.param(packed(**{"../out": b"x"}), "no plain file inside it", id="a way out"),
    pytest.param(packed(**{"/etc/x": b"x"}), "no plain file inside it", id="an absolute path"),
    pytest.param(packed(**{"a": b"x", "a/b": b"x"}), "twice", id="a file that is a folder too"),
])  # fmt: skip
def test_a_folder_that_cannot_be_unpacked_is_told(http: httpx.Client, content: bytes, words: str) -> None:
    reply = http.post("/deploy", files={"artifact": ("mine.tar", content)}, data={"folder": "yes", "name": "mine"})
    assert said(reply)[0] == 400
    assert words in said(reply)[1]
    assert http.get("/models/mine/versions").status_code == 404


def test_how_a_deploy_went_can_be_asked_by_its_id(http: httpx.Client, artifact: bytes) -> None:
    files = {"artifact": ("asked.onnx", artifact)}
    made = http.post("/deploy", files=files, params={"id": "my-deploy"})
    view = http.get("/deploys/my-deploy").json()
    assert (view["state"], view["reply"]) == ("done", made.json())
    assert [step["what"] for step in view["steps"]] == [step["what"] for step in made.json()["steps"]]
    refused = http.post("/deploy", files=files, params={"id": "my-deploy"})
    assert refused.status_code == 409
    http.post("/deploy", files={"artifact": ("no.onnx", b"text")}, params={"id": "my-other-deploy"})
    view = http.get("/deploys/my-other-deploy").json()
    assert (view["state"], view["error"]["kind"]) == ("failed", "bad_input")
    assert http.get("/deploys/nobody-knows").status_code == 404


def test_where_a_version_comes_from_is_kept_and_stays(http: httpx.Client, other_artifact: bytes) -> None:
    form = {"name": "traced", "code": "9f584d0", "data": "s3://calls", "metrics": '{"auc": 0.9}', "note": "first"}
    files = {"artifact": ("m.onnx", other_artifact)}
    assert http.post("/deploy", files=files, data=form).json()["notes"] == []
    again = http.post("/deploy", files=files, data=form | {"note": "second"}).json()
    assert "traced v1 is this artefact already; code, data, metrics, note stay as they were" in again["notes"]
    (version,) = http.get("/models/traced/versions").json()["versions"]
    assert version["lineage"] == {"code": "9f584d0", "data": "s3://calls", "metrics": {"auc": 0.9}, "note": "first"}


def test_tags_are_kept(http: httpx.Client, other_artifact: bytes) -> None:
    form = {"name": "tagged", "tags": '{"team": "risk"}'}
    assert http.post("/deploy", files={"artifact": ("m.onnx", other_artifact)}, data=form).status_code == 201
    (version,) = http.get("/models/tagged/versions").json()["versions"]
    assert version["tags"] == {"team": "risk"}


@pytest.mark.parametrize(("form", "status", "words"), [
    pytest.param({"name": "../etc"}, 400, "cannot name a model", id="a name that is a path"),
    pytest.param({"name": "x", "endpoint": "Ä"}, 400, "cannot name an endpoint", id="an endpoint's name"),
    pytest.param({"name": "calls", "as": "king"}, 400, "champion, challenger or shadow", id="a role that is none"),
    pytest.param({"name": "calls", "traffic": "lots"}, 400, "no share", id="a share that is none"),
    pytest.param({"name": "calls", "as": "shadow", "traffic": "5%"}, 400, "only a challenger", id="a shadow's share"),
    pytest.param({"name": "new", "endpoint": "bare", "as": "shadow"}, 409, "champion first", id="a shadow of nothing"),
    pytest.param({"name": "x", "tags": "{"}, 400, "not JSON", id="tags that are no JSON"),
    pytest.param({"name": "x", "tags": '{"a": 1}'}, 400, "object of texts", id="tags that are no texts"),
    pytest.param({"name": "x", "flavor": "cobol"}, 404, "onnx", id="a flavor that is none"),
    pytest.param({"nmae": "x"}, 400, "there is no field 'nmae'", id="a field that is none"),
])  # fmt: skip
def test_a_wrong_field_is_named(
    http: httpx.Client, calls: Made, artifact: bytes, form: dict[str, str], status: int, words: str
) -> None:
    reply = http.post("/deploy", files={"artifact": ("m.onnx", artifact)}, data=form)
    assert said(reply)[0] == status
    assert words in said(reply)[1]


@pytest.mark.parametrize(("content", "words"), [
    pytest.param(b"", "empty", id="an empty file"),
    pytest.param(b"age,job\n33,admin\n", "text with columns", id="a CSV"),
    pytest.param("half", "onnx", id="half an ONNX file"),
    pytest.param("bomb", "", id="a pickle that runs a command"),
])  # fmt: skip
def test_what_is_no_model_is_refused_and_leaves_nothing(
    http: httpx.Client, home: Path, tmp_path: Path, artifact: bytes, content: bytes | str, words: str
) -> None:
    marker = tmp_path / "boom"
    body = {"half": artifact[: len(artifact) // 2], "bomb": pickle.dumps(Bomb(marker))}.get(str(content), content)
    before = sorted(path.name for path in (home / "artifacts").rglob("*"))
    reply = http.post("/deploy", files={"artifact": ("m.onnx", body)}, data={"name": "broken"})
    assert reply.status_code in (400, 422), reply.text
    assert words.lower() in said(reply)[1].lower()
    assert str(home) not in reply.text
    assert not marker.exists()
    assert sorted(path.name for path in (home / "artifacts").rglob("*")) == before
    assert not list((home / "run" / "uploads").iterdir())
    assert http.get("/models/broken/versions").status_code == 404


@pytest.mark.parametrize(("kind", "body", "status", "words"), [
    pytest.param("application/json", b"{}", 415, "multipart/form-data", id="another content type"),
    pytest.param(FORM, b"--b\r\nConte", 400, "not whole", id="an upload cut off"),
    pytest.param(FORM, PART % b"name", 400, "no file 'artifact'", id="no file"),
    pytest.param(FORM, PART % b"artifact", 400, "send it as a file", id="a file as text"),
])  # fmt: skip
def test_a_body_that_is_no_upload_is_named(http: httpx.Client, kind: str, body: bytes, status: int, words: str) -> None:
    reply = http.post("/deploy", content=body, headers={"content-type": kind})
    assert said(reply)[0] == status
    assert words in said(reply)[1]


def test_a_sample_that_does_not_fit_is_named(http: httpx.Client, other_artifact: bytes) -> None:
    files = {"artifact": ("m.onnx", other_artifact), "sample": ("sample.csv", b"age,job\n33,admin\n")}
    reply = http.post("/deploy", files=files, data={"name": "misfit"})
    assert said(reply)[0] in (400, 422)
    assert "balance" in said(reply)[1]
