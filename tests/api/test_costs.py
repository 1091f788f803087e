"""What everything costs, over HTTP, metered by a real payoff."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from payoff.api.costs import moment_us
from payoff.errors import BadInput
from payoff.ledger.focus import COLUMNS
from tests.api.conftest import deploy
from tests.shared import PATIENCE_S, until

Made = dict[str, Any]
NOON_US = 1_793_534_400_000_000  # 2026-11-01T12:00:00Z
DAY_US = 86_400_000_000
KINDS = ("cpu", "memory", "gpu", "fees", "idle", "overhead", "fixed")


@pytest.fixture(scope="module")
def costly(http: httpx.Client) -> Made:
    """An endpoint that has answered a hundred rows, when it has been metered."""
    made: Made = deploy(http, name="costly", endpoint="costly").json()
    rows = [{"age": 20.0, "balance": 0.0}] * 100
    httpx.post(made["url"], json=rows, timeout=PATIENCE_S).raise_for_status()
    until(lambda: metered(http), "what the endpoint must earn")
    return made


def metered(http: httpx.Client) -> bool:
    """Whether somebody has metered since the endpoint answered."""
    lines = http.get("/costs", params={"endpoint": "costly", "since": "2d"}).json()["lines"]
    return any(line["break_even"] for line in lines)


def test_all_lines_are_the_bill(http: httpx.Client, costly: Made) -> None:
    found = http.get("/costs", params={"since": "2d"}).json()
    micros = [round(line["total"] * 1e6) for line in found["lines"]]
    assert sum(micros) == round(found["bill"]["total"] * 1e6) == round(found["booked"]["total"] * 1e6) > 0
    for line in found["lines"]:
        assert round(sum(line[kind] for kind in KINDS) * 1e6) == round(line["total"] * 1e6)
    assert found["machine"]["used_core_hours"] > 0
    assert found["machine"]["used_memory_gb_hours"] > 0
    assert found["assumptions"]


def test_an_endpoint_s_lines_say_what_its_version_must_earn(http: httpx.Client, costly: Made) -> None:
    found = http.get("/costs", params={"endpoint": "costly", "since": "2d"}).json()
    (line,) = found["lines"]
    assert (line["who"], line["predictions"], line["watched"]) == ("costly v1 on costly", 100, False)
    assert line["cpu_seconds"] > 0
    assert line["total"] <= found["bill"]["total"]
    assert line["break_even"].startswith("must earn ")
    assert line["break_even"].endswith(f" {found['currency']} a day to stay loaded")


@pytest.mark.parametrize("by", ["hour", "day", "month"])
def test_periods_add_up_to_the_same(http: httpx.Client, costly: Made, by: str) -> None:
    found = http.get("/costs", params={"since": "2d", "by": by}).json()
    lines = [round(line["predictions"]) for line in found["lines"] if line["endpoint"] == "costly"]
    periods = [period["predictions"] for period in found["periods"] if period["endpoint"] == "costly"]
    assert sum(lines) == sum(periods) == 100


def test_rows_in_the_columns_of_focus(http: httpx.Client, costly: Made) -> None:
    reply = http.get("/costs/focus", params={"endpoint": "costly", "since": "2d"})
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert reply.headers["content-type"].startswith("text/csv")
    assert tuple(rows[0]) == COLUMNS
    assert {row["ResourceId"] for row in rows} == {"costly/costly@1"}


def test_a_wrong_price_is_named_and_nothing_is_booked_wrong(http: httpx.Client, costly: Made, home: Path) -> None:
    (home / "prices.yaml").write_text("fees: {costly: inputs.agee}")
    try:
        reply = http.get("/costs")
    finally:
        (home / "prices.yaml").unlink()
    assert (reply.status_code, "did you mean inputs.age" in reply.json()["error"]["what"]) == (400, True)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"since": "soon"}, 400, "how long ago"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, 400, "not after"),
        ({"by": "week"}, 400, "hour, day, month"),
        ({"endpoint": "nope"}, 404, "nope"),
        ({"since": "9999999d"}, 400, "how long ago"),
        ({"since": "2000-01-01", "until": "2000-02-01"}, 200, ""),
    ],
)
def test_what_cannot_be_asked_is_told(
    http: httpx.Client, costly: Made, query: dict[str, str], status: int, words: str
) -> None:
    reply = http.get("/costs", params=query)
    assert (reply.status_code, words in reply.text) == (status, True)


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("2026-11-01", NOON_US - DAY_US // 2),
        ("2026-11", NOON_US - DAY_US // 2),
        ("2026-11-01T12:00", NOON_US),
        ("2026-11-01T13:00+01:00", NOON_US),
        ("7d", NOON_US - 7 * DAY_US),
        ("90m", NOON_US - DAY_US // 16),
    ],
)
def test_moments_as_people_write_them(text: str, expected_us: int) -> None:
    assert moment_us("since", text, NOON_US) == expected_us


@pytest.mark.parametrize("text", ["", "d", "2026-13", "yesterday", "-1d", "2026-11-01T25:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="how long ago"):
        moment_us("until", text, NOON_US)
