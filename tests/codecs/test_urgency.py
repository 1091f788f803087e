"""What a call's parameters say of how urgent it is."""

from typing import Any

import pytest

from payoff.codecs.urgency import USUAL, Urgency, urgency
from payoff.errors import BadInput


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param({}, USUAL, id="nothing said"),
        pytest.param({"customer": "c", "binary_data_output": True}, USUAL, id="nothing meant for us"),
        pytest.param({"priority": 1, "timeout": 2_000}, Urgency(1, 2_000), id="both"),
        pytest.param({"priority": "2", "timeout": "5"}, Urgency(2, 5), id="as texts"),
        pytest.param({"timeout": 0, "priority": None}, USUAL, id="none"),
        pytest.param({"sequence_id": 0, "sequence_start": False, "sequence_end": False}, USUAL, id="no sequence"),
        pytest.param({"sequence_id": ""}, USUAL, id="no sequence by its text"),
    ],
)
def test_a_call_says_how_urgent_it_is(parameters: dict[str, Any], expected: Urgency) -> None:
    assert urgency(parameters) == expected


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"timeout": -1}, "timeout is -1; expected a whole number of microseconds"),
        ({"timeout": 1.5}, "timeout is 1.5"),
        ({"timeout": True}, "timeout is True"),
        ({"timeout": 2**63}, "timeout is"),
        ({"timeout": "soon"}, "timeout is 'soon'"),
        ({"timeout": "9" * 5_000}, "timeout is"),
        ({"priority": [1]}, "priority is"),
        ({"sequence_id": 7}, "sequence_id is 7: nothing is kept between calls"),
        ({"sequence_id": "s", "timeout": 1}, "sequence_id is 's'"),
    ],
)
def test_what_cannot_be_done_is_refused(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        urgency(parameters)
