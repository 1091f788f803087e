"""Models that are written and not trained, as small frozen records that become the files docs/models says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payoff.errors import BadInput


@dataclass(frozen=True, slots=True)
class Rule:
    """SQL expressions over the inputs: what a rule answers, by the name of the answer."""

    outputs: Mapping[str, str]
    inputs: Mapping[str, str] | None = None
    artefact: str = "rule.yaml"

    def to_yaml(self) -> str:
        """The file."""
        return _yaml({"outputs": dict(self.outputs)} | ({"inputs": dict(self.inputs)} if self.inputs else {}))


def rule(
    expression: str | Mapping[str, str], *, output: str = "prediction", inputs: Mapping[str, str] | None = None
) -> Rule:
    """A model that is an SQL expression over `inputs.*`, or several by name; deploy it like any other.

    `inputs` says the types ({"age": "int64"}) where no sample does.
    """
    outputs = expression if isinstance(expression, Mapping) else {output: expression}
    if not outputs or not all(isinstance(one, str) and one.strip() for one in outputs.values()):
        raise BadInput("a rule is an SQL expression over inputs.*, as in payoff.rule('inputs.age > 60')")
    return Rule(outputs, inputs)


def _yaml(content: dict[str, Any]) -> str:
    """As JSON inside, which YAML reads without surprises, one key per line."""
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in content.items())
