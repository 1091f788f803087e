"""How a deploy goes can be asked while it runs and when it is over."""

import pytest

from payoff.api import progress
from payoff.api.progress import Deploys
from payoff.errors import BadInput, Conflict, NotFound


def test_a_deploy_tells_its_steps_while_it_runs_and_how_it_ended() -> None:
    deploys = Deploys()
    with deploys.running("deploy-1") as run:
        with run.steps.step("upload"):
            pass
        with run.steps.step("environment"):
            view = deploys.view("deploy-1")
            run.reply = {"version": 1}
    assert (view["state"], [step["what"] for step in view["steps"]]) == ("running", ["upload"])
    assert view["doing"]["what"] == "environment"
    done = deploys.view("deploy-1")
    assert (done["state"], done["doing"], done["reply"]) == ("done", None, {"version": 1})
    assert [step["what"] for step in done["steps"]] == ["upload", "environment"]


def test_a_refusal_is_kept_with_its_kind() -> None:
    deploys = Deploys()
    with pytest.raises(BadInput), deploys.running("deploy-1") as run, run.steps.step("recognise"):
        raise BadInput("no model")
    view = deploys.view("deploy-1")
    assert (view["state"], view["error"]) == ("failed", {"kind": "bad_input", "what": "no model"})
    assert view["doing"] is None


def test_a_fault_is_a_failure_too() -> None:
    deploys = Deploys()
    with pytest.raises(ZeroDivisionError), deploys.running("deploy-1"):
        raise ZeroDivisionError
    assert deploys.view("deploy-1")["state"] == "failed"


def test_an_id_is_used_once_and_plain() -> None:
    deploys = Deploys()
    with deploys.running("deploy-1"), pytest.raises(Conflict), deploys.running("deploy-1"):
        pass
    for wrong in ("short", "a/b/c/d/e", "x" * 65):
        with pytest.raises(BadInput, match="no id"), deploys.running(wrong):
            pass
    with pytest.raises(NotFound, match="deploy again"):
        deploys.view("deploy-2")


def test_the_oldest_that_are_over_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "RUNS_MAX", 2)
    deploys = Deploys()
    with deploys.running("runs-long"):
        for name in ("deploy-1", "deploy-2"):
            with deploys.running(name):
                pass
        assert deploys.view("runs-long")["state"] == "running"
        assert deploys.view("deploy-2")["state"] == "done"
        with pytest.raises(NotFound):
            deploys.view("deploy-1")
