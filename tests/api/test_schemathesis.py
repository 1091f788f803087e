"""The API keeps to its own OpenAPI document, whatever is asked: no failure of ours, and its own words in its own shape.

What a caller may write in a name, an expression or a file is more than a schema can say, so a request that fits the
document may be refused; nothing else is let pass.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from payoff.demo.server import Server, running
from tests.api.conftest import FILE, SAMPLE, deploy
from tests.shared import PATIENCE_S

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
NAMES = {"endpoint": "calls", "model": "calls", "version": 1, "alias": "prod"}


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A payoff of its own, with an endpoint that has answered."""
    with running(tmp_path_factory.mktemp("described") / "home", workers=1) as server:
        with httpx.Client(base_url=f"{server.api}/api", timeout=PATIENCE_S) as http:
            assert deploy(http, name="calls").status_code == 201
            assert http.put("/endpoints/calls", content=FILE.format(name="calls")).status_code == 200
            assert http.post(f"{server.inference}/predict/calls", json=SAMPLE).status_code == 200
        yield server


@pytest.fixture(scope="module")
def operations(lived_in: Server) -> list[Any]:
    """Everything the document describes; what takes the endpoint away comes last."""
    document = httpx.get(f"{lived_in.api}/api/docs/openapi.json", timeout=PATIENCE_S).json()
    described: list[Any] = list(schemathesis.openapi.from_dict(document).get_all_operations())
    found = [one.ok() for one in described]
    assert len(found) > 40
    return sorted(found, key=lambda operation: operation.method == "delete")


def ask(server: Server, case: Case[Any], named: bool) -> None:
    """One request, about what there is if `named`, and everything that must hold for its answer."""
    if named:
        case.path_parameters.update({name: NAMES[name] for name in NAMES.keys() & case.path_parameters.keys()})
    door = server.inference if case.path.startswith("/predict") else server.api
    case.validate_response(case.call(base_url=door, timeout=PATIENCE_S), checks=CHECKS)


@pytest.mark.parametrize("named", [True, False], ids=["what there is", "anything"])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does not fit"])
def test_whatever_is_asked_is_answered_as_the_document_says(
    lived_in: Server, operations: list[Any], mode: GenerationMode, named: bool
) -> None:
    kept = [operation for operation in operations if not (named and operation.method == "delete")]
    for operation in kept:

        @settings(
            max_examples=12,  # of each of some fifty operations, in four ways
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: Case[Any]) -> None:
            ask(lived_in, case, named)

        try:
            asked()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # an operation without parameters cannot be asked wrongly
