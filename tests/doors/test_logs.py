"""Facts about logs: one line for each thing, the same names in both formats."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.doors import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = before
    root.setLevel(level)


def record(message: str, fields: dict[str, object], error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("payoff.slow", logging.WARNING, __file__, 1, message, None, info)
    made.created = 1_700_000_000.25
    made.fields = fields
    return made


def test_a_line_of_json_has_the_time_the_process_the_message_and_its_fields() -> None:
    line = logs.Lines("json", "worker 1").format(record("slow call", {"endpoint": "fraud", "took_ms": 251.5}))
    assert json.loads(line) == {
        "at": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "process": "worker 1",
        "logger": "payoff.slow",
        "message": "slow call",
        "endpoint": "fraud",
        "took_ms": 251.5,
    }


def test_text_says_the_same_for_people() -> None:
    line = logs.Lines("text", "worker 1").format(record("slow call", {"endpoint": "fraud", "error": "no rows here"}))
    expected = '2023-11-14T22:13:20.250Z WARNING worker 1 payoff.slow: slow call endpoint=fraud error="no rows here"'
    assert line == expected


def test_a_fault_comes_with_its_trace() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        made = record("incident", {}, error)
    assert "ValueError: broken" in json.loads(logs.Lines("json", "control").format(made))["trace"]
    assert logs.Lines("text", "control").format(made).endswith("ValueError: broken")


@given(st.text(), st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.text() | st.integers() | st.floats()))
def test_whatever_is_logged_stays_on_one_line(message: str, fields: dict[str, object]) -> None:
    for form in logs.FORMATS:
        line = logs.Lines(form, "worker 0").format(record(message.replace("%", ""), fields))
        assert "\n" not in line
        assert "\r" not in line


def test_libraries_that_chatter_are_left_out(stream: io.StringIO) -> None:
    logs.set_up("json", "control", stream)
    logging.getLogger("alembic").info("context impl")
    logging.getLogger("payoff.upkeep").info("compacted")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == "compacted"
