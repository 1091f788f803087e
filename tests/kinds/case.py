"""A kind of artefact as the suite tries it: how its own library makes it, and what payoff should make of it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One artefact.

    `script` is Python source for an environment with `requirements`: where they come to the same as those that payoff
    finds in the artefact, one environment serves both. In an empty folder it writes the artefact, the
    sample (`sample.json`: a list of rows; or `sample.parquet`, `sample.csv`) and `expected.json`: the library's own
    answers to these rows, as {"column": [values]}. `expected` columns may be fewer than payoff answers.
    """

    name: str
    script: str
    artefact: str  # a file or folder that the script writes
    flavor: str  # what payoff must recognise it as
    served: str = "native"  # how it must run: "native" or "onnx"
    requirements: tuple[str, ...] = ()
    python: str | None = None
    said: dict[str, Any] = field(default_factory=dict)  # for client.deploy: requirements, options, ...
    sample: str | None = "sample.json"  # None: deployed without one; the rows are still in sample.json
    heavy: bool = False  # its library takes hundreds of megabytes
    tolerance: float = 1e-4  # relative
