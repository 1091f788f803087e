"""Models that are written and not trained, as small frozen records that become the files docs/models speaks of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payoff.errors import BadInput

Step = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What a file says, key by key; `artefact` is what the file is called."""

    artefact: str
    content: Mapping[str, Any]

    def to_yaml(self) -> str:
        """The file: JSON inside, which YAML reads without surprises, one key per line."""
        said = {key: value for key, value in self.content.items() if value is not None}
        return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in said.items())


def rule(
    expression: str | Mapping[str, str], *, output: str = "prediction", inputs: Mapping[str, str] | None = None
) -> Written:
    """A model that is an SQL expression over `inputs.*`, or several by the names of what they answer.

    `inputs` says their types ({"age": "int64"}) where no sample does.
    """
    outputs = expression if isinstance(expression, Mapping) else {output: expression}
    if not outputs or not all(isinstance(one, str) and one.strip() for one in outputs.values()):
        raise BadInput("a rule is an SQL expression over inputs.*, as in payoff.rule('inputs.age > 60')")
    return Written("rule.yaml", {"outputs": dict(outputs), "inputs": inputs and dict(inputs)})


def remote(
    url: str,
    *,
    model: str,
    version: str | int | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: str | None = None,
    rows_max: int | None = None,
    inputs: Mapping[str, str] | None = None,
    outputs: Sequence[str] | None = None,
) -> Written:
    """A model that stays on another server, one that speaks the Open Inference Protocol.

    A header's value names a variable of the server's environment; `timeout` is as in "2s".
    """
    said = {"remote": url, "model": model, "version": version, "timeout": timeout, "rows_max": rows_max}
    more = {"headers": headers and dict(headers), "inputs": inputs and dict(inputs), "outputs": outputs and [*outputs]}
    return Written("remote.yaml", said | more)


def chain(
    steps: Sequence[Step],
    *,
    together: bool = False,
    outputs: Sequence[str] | None = None,
    combine: Mapping[str, str] | None = None,
) -> Written:
    """A model made of versions: one after the other, or side by side (`together`) and their answers combined.

    A step is "NAME", "NAME@3", "NAME@alias" or a mapping (model, version, name, inputs). `combine` says for each
    answer of steps together how it is made, as in {"probability": "mean"}.
    """
    key = "together" if together else "chain"
    said = {key: [_step(one) for one in steps], "outputs": outputs and [*outputs], "combine": combine and dict(combine)}
    return Written("chain.yaml", said)


def _step(one: Step) -> dict[str, Any]:
    if isinstance(one, Mapping):
        return dict(one)
    if not isinstance(one, str):
        raise BadInput(f"a step is a {type(one).__name__}; write 'NAME@VERSION' or {{'model': NAME, 'version': 3}}")
    model, at, version = one.partition("@")
    return {"model": model} | ({"version": int(version) if version.isdigit() else version} if at else {})
