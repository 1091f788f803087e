"""Rules, remotes and chains written in Python are the files that the server knows."""

import pytest
import yaml

import payoff
from payoff.errors import BadInput


def test_a_rule() -> None:
    made = payoff.rule("inputs.age > 60", output="old", inputs={"age": "int64"})
    assert yaml.safe_load(made.to_yaml()) == {"outputs": {"old": "inputs.age > 60"}, "inputs": {"age": "int64"}}
    assert made.to_yaml().startswith("outputs: ")
    with pytest.raises(BadInput, match="SQL expression"):
        payoff.rule(" ")


def test_a_remote() -> None:
    made = payoff.remote("http://127.0.0.1:9000", model="scores", timeout="2s", outputs=["score"])
    assert yaml.safe_load(made.to_yaml()) == {
        "remote": "http://127.0.0.1:9000", "model": "scores", "timeout": "2s", "outputs": ["score"],
    }  # fmt: skip


def test_a_chain() -> None:
    made = payoff.chain(["clean@2", "buyers@champion", {"model": "cap", "inputs": {"p": "probability"}}])
    assert yaml.safe_load(made.to_yaml()) == {
        "chain": [{"model": "clean", "version": 2}, {"model": "buyers", "version": "champion"},
                  {"model": "cap", "inputs": {"p": "probability"}}]
    }  # fmt: skip
    side = payoff.chain(["a", "b"], together=True, combine={"probability": "mean"})
    assert yaml.safe_load(side.to_yaml()) == {
        "together": [{"model": "a"}, {"model": "b"}],
        "combine": {"probability": "mean"},
    }
