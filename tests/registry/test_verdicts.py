"""Verdicts are kept as they were concluded, with what they rest on."""

import math
from dataclasses import replace
from typing import Any

import pytest

from payoff.errors import BadInput, NotFound
from payoff.records import Verdict
from payoff.registry import Filed, Registry

VERDICT = Verdict("fraud", 2, "loses money against fallback", 1_234, 131.5, 100.0, -0.25, "01J")
DIGEST = "b" * 64


def file(registry: Registry, verdict: Verdict = VERDICT, endpoint: str = "fraud", at_us: int = 7) -> Filed:
    return registry.add_verdict(endpoint, at_us, verdict, {"error": 0.01, "gain_cap": None}, DIGEST, "0.1.0")


def test_a_verdict_reads_back_as_it_was_concluded(registry: Registry) -> None:
    filed = file(registry)
    assert filed.verdict == VERDICT
    assert filed == Filed(filed.id, "fraud", 7, VERDICT, {"error": 0.01, "gain_cap": None}, DIGEST, "0.1.0")
    assert registry.verdict(filed.id) == filed


def test_verdicts_come_newest_first_page_by_page(registry: Registry) -> None:
    filed = [file(registry, at_us=n) for n in range(4)]
    other = file(registry, endpoint="price")
    assert registry.verdicts() == [other, *filed[::-1]]
    assert registry.verdicts("fraud", limit=2) == [filed[3], filed[2]]
    assert registry.verdicts("fraud", before=filed[2].id) == [filed[1], filed[0]]
    assert registry.verdicts("other") == []


def test_evidence_without_end_is_kept_as_such(registry: Registry) -> None:
    sure = replace(VERDICT, e_value=math.inf, last_prediction_id=None)
    assert registry.verdict(file(registry, sure).id).verdict == sure


@pytest.mark.parametrize("changed", [{"e_value": math.nan}, {"threshold": math.nan}, {"mean": math.nan}])
def test_a_verdict_that_is_no_number_is_refused(registry: Registry, changed: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="holds no number where one belongs"):
        file(registry, replace(VERDICT, **changed))
    assert registry.verdicts() == []


def test_an_unknown_verdict_is_told(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no verdict has the number 12; list an endpoint's verdicts to see theirs"):
        registry.verdict(12)


def test_settings_that_cannot_be_kept_are_refused(registry: Registry) -> None:
    with pytest.raises(BadInput, match=r"the settings of a verdict cannot be kept: .*object"):
        registry.add_verdict("fraud", 7, VERDICT, {"model": object()}, DIGEST, "0.1.0")
