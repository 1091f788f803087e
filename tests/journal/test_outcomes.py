"""Late, repeated and corrected outcomes resolve to the last correction, exactly."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.journal.compact import compact
from tests.journal.conftest import ENDPOINT, House

ROWS = 6
Told = tuple[int, bool | None, float | None]
TOLD = st.tuples(
    st.integers(0, ROWS - 1), st.none() | st.booleans(), st.none() | st.integers(-4, 4).map(lambda quarter: quarter / 4)
)
STEPS = st.lists(st.one_of(st.lists(TOLD, min_size=1, max_size=5), st.sampled_from(["close", "compact"])), max_size=8)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_the_last_correction_wins_whole(steps: list[list[Told] | str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        writer = house.writer()
        made = house.answer(writer, range(ROWS))
        truth: dict[str, tuple[bool | None, float | None]] = {}
        for step in steps:
            if isinstance(step, str):
                writer.close()
                writer = house.writer("control")
                if step == "compact":
                    compact(house.home)
                continue
            house.learn(writer, [made[row] for row, _, _ in step], [s for _, s, _ in step], [v for _, _, v in step])
            truth.update({made[row]: (subscribed, value) for row, subscribed, value in step})
        seen = house.rows('select prediction_id, to_json(outcome), "value" from outcomes')
        writer.close()
        house.journal.close()
    told = {str(each): (str(outcome), value) for each, outcome, value in seen}
    names = {None: "null", True: "true", False: "false"}
    assert told == {
        each: (f'{{"subscribed":{names[subscribed]},"duration_s":60.0}}', value)
        for each, (subscribed, value) in truth.items()
    }


def test_the_order_of_segments_does_not_matter_only_the_time_of_the_outcome(house: House) -> None:
    """Two writers, and the one with the earlier word is compacted last."""
    (made,) = house.answer(house.writer(), [2])
    early, late = house.writer("early"), house.writer("late")
    house.learn(early, [made], [False])
    house.learn(late, [made], [True])
    late.close()
    compact(house.home)
    early.close()
    compact(house.home)
    assert house.rows("select outcome.subscribed from outcomes") == [(True,)]
    assert house.rows("select count(*) from outcome_log") == [(2,)]


def test_an_outcome_of_another_endpoint_does_not_count_here(house: House) -> None:
    writer = house.writer()
    (made,) = house.answer(writer, [2])
    house.learn(writer, [made], [True], endpoint="other")
    (line,) = house.journal.statement(ENDPOINT, "1.0")
    assert line.with_outcome == 0
