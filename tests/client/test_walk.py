"""From a notebook: a fitted model in, answers out as the same kind of frame, outcomes back, and what it earned."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import payoff
from payoff.client import Client, Endpoint
from payoff.errors import BadInput, Conflict, NotFound
from tests.shared import until

FILE = """
endpoint: notebook
arms:
  champion: {model: notebook, version: 1}
decision: outputs.probability > 0.5
value: case when decision then (case when outcome.subscribed then 60 else 0 end) - 2 else 0 end
fallback: {decision: true}
"""


@pytest.fixture(scope="session")
def model(customers: pd.DataFrame) -> Pipeline:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["job"]), (StandardScaler(), ["age", "balance"])
    )
    subscribed = (customers["age"] > 45) | (customers["job"] == "student")
    return make_pipeline(columns, LogisticRegression()).fit(customers, subscribed.astype(int))


@pytest.fixture(scope="session")
def endpoint(client: Client, model: Pipeline, customers: pd.DataFrame) -> Endpoint:
    made = client.deploy(model, name="notebook", sample=customers.head(20), reason="the first try")
    client.apply(FILE)
    return made


def test_pandas_in_pandas_out_with_the_same_index(endpoint: Endpoint, model: Pipeline, customers: pd.DataFrame) -> None:
    answers = endpoint.predict(customers)
    assert list(answers.index) == list(customers.index)
    assert answers["probability"].to_numpy() == pytest.approx(model.predict_proba(customers)[:, 1], abs=1e-5)
    assert answers["prediction_id"].is_unique
    assert set(answers["version"]) == {1}


@pytest.mark.parametrize("kind", ["arrow", "dicts", "one dict"])
def test_other_kinds_come_back_as_themselves(endpoint: Endpoint, customers: pd.DataFrame, kind: str) -> None:
    rows = customers.to_dict("records")[:3]
    frame: Any = {"arrow": pa.Table.from_pylist(rows), "dicts": rows, "one dict": rows[0]}[kind]
    answers = endpoint.predict(frame)
    assert type(answers) is type(frame)
    said = {"arrow": lambda: answers.to_pylist()[0], "dicts": lambda: answers[0], "one dict": lambda: answers}[kind]()
    assert isinstance(said["decision"], bool)


def test_a_frame_too_large_for_one_request_is_answered_in_order(
    endpoint: Endpoint, customers: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payoff.client.frames.REQUEST_ROWS_MAX", 7)
    split = endpoint.predict(customers)
    monkeypatch.undo()
    assert np.array_equal(split["probability"], endpoint.predict(customers)["probability"])


def test_outcomes_become_money(client: Client, endpoint: Endpoint, customers: pd.DataFrame) -> None:
    answers = endpoint.predict(customers)
    told = endpoint.outcomes(answers[["prediction_id"]].assign(subscribed=True))
    assert (told["accepted"], told["unknown"], told["unknown_ids"]) == (40, 0, [])
    roi = endpoint.roi()
    (row,) = roi.rows
    assert row["value"] == 58 * int(answers["decision"].sum())
    assert "notebook v1" in repr(roi)
    assert list(roi.to_frame()["watched"]) == [False]
    counted = client.sql("select count(*) as n from outcomes where endpoint = 'notebook'")
    assert counted["n"][0] == 40


def test_outcomes_in_several_requests_are_counted_as_one(
    endpoint: Endpoint, customers: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = np.where(np.isin(np.arange(40), [9, 20]), np.inf, 1.0)
    told = endpoint.predict(customers)[["prediction_id"]].assign(subscribed=True, value=value, part="a test")
    monkeypatch.setattr("payoff.client.frames.REQUEST_ROWS_MAX", 8)
    with pytest.raises(BadInput, match=r"^the first 8 rows were taken; of those after them, row 1 \(the first is 0\)"):
        endpoint.outcomes(told)
    done = endpoint.outcomes(told, keep_good=True)
    assert (done["accepted"], done["repeated"], done["refused"]) == (38, 8, 2)
    assert [one["row"] for one in done["refusals"]] == [9, 20]
    assert done["reasons"] == {"no amount of money": 2}
    assert endpoint.refused(limit=1)["latest"][0]["what"].startswith("value is inf")


def wrong(client: Client) -> list[str]:
    """The parts that are not well; outcomes that were refused are no part's fault."""
    return [one["part"] for one in client.health()["parts"] if one["state"] != "ok" and one["part"] != "outcomes"]


def test_lists_know_everything(client: Client, endpoint: Endpoint) -> None:
    assert "notebook" in [row["endpoint"] for row in client.endpoints()]
    assert {one["model"]: one["flavor"] for one in client.models()}["notebook"] == "sklearn"
    assert client.versions("notebook")[0]["version"] == 1
    assert client.orders("notebook")[-1]["reason"] == "the first try"
    assert client.verify_orders()["whole"]
    assert [one["revision"] for one in endpoint.revisions()][-2:] == [2, 1]
    assert client.findings("notebook") == []
    until(lambda: not wrong(client), "every part to be ok")
    assert client.diff(FILE)["diff"] == ""


def test_a_version_is_killed_and_revived(endpoint: Endpoint, customers: pd.DataFrame) -> None:
    killed = endpoint.kill("a drill")
    assert killed["arms"][0]["role"] == "killed"
    assert set(endpoint.predict(customers)["arm"]) == {"fallback"}
    with pytest.raises(Conflict, match="revive"):
        endpoint.kill("again")
    endpoint.revive("the drill is over")
    assert set(endpoint.predict(customers)["arm"]) == {"champion"}


@pytest.mark.parametrize(("change", "words"), [
    pytest.param({"age": ["x"]}, "age", id="text in a number"),
    pytest.param({"age": None}, "age", id="a null"),
    pytest.param({"agee": 5}, "agee", id="a column too many"),
])  # fmt: skip
def test_a_wrong_row_is_named_as_the_server_names_it(
    endpoint: Endpoint, customers: pd.DataFrame, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        endpoint.predict(customers.head(1).assign(**change))


def test_what_is_not_there_is_named_with_what_is(client: Client, endpoint: Endpoint) -> None:
    with pytest.raises(NotFound, match="notebook"):
        client.endpoint("notebok")
    with pytest.raises(BadInput, match="prediction_id"):
        endpoint.outcomes([{"subscribed": True}])
    with pytest.raises(NotFound, match="there is no model file"):
        client.deploy(Path("no/such.onnx"))
    with pytest.raises(BadInput, match="endpoint: NAME"):
        client.apply({"arms": {}})
    answer = endpoint.predict({"age": 1, "job": "x", "balance": 0.0})
    with pytest.raises(BadInput, match="subscribed"):
        endpoint.outcomes([{"prediction_id": answer["prediction_id"]}])


def test_a_function_of_the_notebook_is_deployed_with_its_code(client: Client, customers: pd.DataFrame) -> None:
    offset = 7

    def score(age: int) -> float:
        return float(np.sqrt(age)) + offset

    made = client.deploy(score, name="score", sample=customers[["age"]].head(5), metrics={"r2": 0.5}, memory="1G")
    assert made.predict({"age": 49})["prediction"] == pytest.approx(14.0)
    about = client.version("score")
    assert (about["flavor"], about["served"]["flavor"], about["lineage"]["metrics"]) == (
        "python",
        "native",
        {"r2": 0.5},
    )
    assert about["served"]["place"]["bounds"]["memory_bytes_max"] == 1 << 30
    assert about["environment"]["numpy"] == np.__version__


def test_a_rule_and_a_chain_of_it_are_deployed_as_objects(client: Client, customers: pd.DataFrame) -> None:
    heard: list[str] = []
    rule = payoff.rule("inputs.age / 100.0", output="share")
    client.deploy(rule, name="share", sample=customers[["age"]], hears=lambda view: heard.append(view["state"]))
    client.alias("share", "approved", 1)
    doubled = payoff.rule("inputs.share * 2", output="twice", inputs={"share": "float64 or null"})
    client.deploy(doubled, name="twice")
    made = client.deploy(payoff.chain(["share@approved", "twice@1"]), name="both")
    assert made.predict({"age": 40})["twice"] == pytest.approx(0.8)
    assert set(heard) <= {"running", "done"}


def test_two_versions_are_compared(client: Client, customers: pd.DataFrame) -> None:
    for factor in (1, 2):
        client.deploy(payoff.rule(f"inputs.age * {factor}"), name="factor", sample=customers[["age"]].head(4))
    found = client.compare("factor@1", "factor@2")
    assert (found["rows"], found["answers"][0]["rows_differing"], found["answers"][0]["largest"]) == (4, 4, 23.0)
    on_one = client.compare("factor@1", "factor@2", sample=[{"age": 0}])
    assert (on_one["rows_of"], on_one["answers"][0]["rows_differing"]) == ("the sample", 0)
    with pytest.raises(BadInput, match="MODEL@VERSION"):
        client.compare("factor", "factor@2")
