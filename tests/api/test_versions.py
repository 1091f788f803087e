"""Versions one by one and side by side: what differs, and how far their answers to the same rows are apart."""

import json
from typing import Any

import httpx
import pytest

SAMPLE = [{"age": age, "visits": age % 7} for age in range(20, 30)]
FIRST = "rule: inputs.age * 2.0 + 0 * inputs.visits\ninputs: {age: int64, visits: int64}\n"
SECOND = "rule: inputs.age * 2.0 + inputs.visits\ninputs: {age: int64, visits: int64, job: text or null}\n"
THIRD = "rule: inputs.age * 2.0 + inputs.weight\ninputs: {age: int64, weight: float64}\n"


def deployed(http: httpx.Client, text: str, sample: list[dict[str, Any]] | None, **form: str) -> None:
    files: dict[str, Any] = {"artifact": ("rule.yaml", text.encode())}
    if sample:
        files["sample"] = ("sample.json", json.dumps(sample).encode())
    done = http.post("/deploy", files=files, data=form)
    assert done.status_code == 201, done.text


@pytest.fixture(scope="session")
def rules(http: httpx.Client) -> str:
    """A model with three versions; the third takes another column and has no sample."""
    deployed(http, FIRST, SAMPLE, name="rules", metrics='{"auc": 0.5}', author="ann")
    deployed(http, SECOND, [row | {"job": "x"} for row in SAMPLE], name="rules", metrics='{"auc": 0.6}', author="ann")
    deployed(http, THIRD, None, name="rules", endpoint="other-rules", author="ann")
    http.put("/models/rules/aliases/best", json={"version": 2})
    return "rules"


def test_a_version_is_found_by_number_alias_and_latest(http: httpx.Client, rules: str) -> None:
    for said, number in (("1", 1), ("best", 2), ("latest", 3)):
        assert http.get(f"/models/{rules}/versions/{said}").json()["version"] == number
    first = http.get(f"/models/{rules}/versions/1").json()
    assert first["lineage"] == {"metrics": {"auc": 0.5}}
    assert first["served"]["sampled"]
    assert http.get(f"/models/{rules}/versions/9").status_code == 404


def test_two_versions_answer_the_sample_rows_of_the_first(http: httpx.Client, rules: str) -> None:
    found = http.get(f"/models/{rules}/diff", params={"before": "1", "after": "best"}).json()
    assert found["inputs"] == {"added": [{"name": "job", "is": "text or null"}], "gone": [], "changed": []}
    assert {"name": "lineage.metrics.auc", "before": 0.5, "after": 0.6} in found["facts"]
    assert (found["rows"], found["rows_of"], found["notes"]) == (10, "the sample rows of rules v1", [])
    (gap,) = found["answers"]
    visits = [row["visits"] for row in SAMPLE]
    assert gap["rows_differing"] == sum(map(bool, visits))
    assert gap["largest"] == max(visits)
    assert gap["mean"] == pytest.approx(sum(visits) / len(visits))
    assert gap["after"] - gap["before"] == max(visits)
    assert [one["version"] for one in found["speed"]] == ["rules v1", "rules v2"]
    assert all(one["rows_per_s"] > 0 for one in found["speed"])


def test_rows_of_ones_own_may_be_asked(http: httpx.Client, rules: str) -> None:
    files = {"sample": ("rows.csv", b"age,visits,job\n33,0,x\n40,0,\n")}
    found = http.post(f"/models/{rules}/diff", params={"before": "rules@1", "after": "rules@v2"}, files=files).json()
    assert (found["rows"], found["rows_of"]) == (2, "the sample")
    assert found["answers"][0]["rows_differing"] == 0


@pytest.mark.parametrize(("before", "after", "words"), [
    pytest.param("1", "3", "rules v3 also takes weight, which the rows lack", id="other inputs"),
    pytest.param("3", "3", "neither version has sample rows", id="no rows"),
])  # fmt: skip
def test_what_cannot_be_asked_is_told_and_the_rest_compared(
    http: httpx.Client, rules: str, before: str, after: str, words: str
) -> None:
    found = http.get(f"/models/{rules}/diff", params={"before": before, "after": after}).json()
    assert words in found["notes"][0]
    assert (found["rows"], found["answers"]) == (0, [])
    assert found["before"] == {"model": "rules", "version": int(before)}


def test_versions_that_are_none_are_named(http: httpx.Client, rules: str) -> None:
    assert http.get(f"/models/{rules}/diff", params={"before": "1", "after": "9"}).status_code == 404
    reply = http.post(f"/models/{rules}/diff", params={"before": "1", "after": "2"}, data={"a": "b"}, files={"x": b"y"})
    assert (reply.status_code, "one file, 'sample'" in reply.text) == (400, True)
