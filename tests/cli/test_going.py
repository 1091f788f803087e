"""A deploy is told step by step, once each; what is interrupted says what becomes of it."""

from typing import Any

import pytest

from payoff.cli import pairs
from payoff.cli.going import Going
from payoff.errors import BadInput


def view(*done: str, doing: str | None = None) -> dict[str, Any]:
    steps = [{"what": what, "seconds": 0.5} for what in done]
    return {"steps": steps, "doing": None if doing is None else {"what": doing, "seconds": 9.0}}


def test_each_step_is_told_once_and_what_goes_on_not_at_all_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Going() as going:
        going.hear(view("upload", doing="environment"))
        going.hear(view("upload", "environment", doing="load"))
        going.rest(view("upload", "environment", "load")["steps"])
    assert capsys.readouterr().out == "    0.500 s  upload\n    0.500 s  environment\n    0.500 s  load\n"


def test_a_terminal_shows_what_goes_on_and_clears_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with Going() as going:
        going.hear(view("upload", doing="environment"))
    said = capsys.readouterr().out
    assert "    9.000 s  environment ..." in said
    assert said.endswith(" \r")


@pytest.mark.parametrize(("done", "words"), [
    pytest.param([], "nothing was deployed", id="before it was sent"),
    pytest.param(["upload"], "the server goes on", id="after"),
])  # fmt: skip
def test_an_interruption_says_what_becomes_of_it(
    done: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    going = Going(quiet=True)
    going.hear(view(*done))
    with pytest.raises(KeyboardInterrupt), going:
        raise KeyboardInterrupt
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_pairs_are_texts_numbers_or_what_yaml_reads() -> None:
    assert pairs.texts(["a=b=c"], "tag") == {"a": "b=c"}
    assert pairs.numbers(["auc=0.9", "rows=1e3"], "metric") == {"auc": 0.9, "rows": 1000.0}
    assert pairs.values(["n=3", "on=true", "name=x", "quoted='3'", "list=[1, 2]", "day=2020-01-01"], "option") == {
        "n": 3, "on": True, "name": "x", "quoted": "3", "list": [1, 2], "day": "2020-01-01",
    }  # fmt: skip
    for read, said, words in (
        (pairs.texts, ["a"], "not KEY=VALUE"),
        (pairs.texts, ["a=1", "a=2"], "twice"),
        (pairs.numbers, ["auc=high"], "say a number"),
        (pairs.values, ["a=["], "YAML cannot read"),
    ):
        with pytest.raises(BadInput, match=words):
            read(said, "flag")
