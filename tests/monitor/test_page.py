"""The page: everything in it, nothing loaded, no words of strangers as markup, every picture with its words."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from payoff.monitor.page import amount, page
from payoff.monitor.picture import Curve, bar, evidence, meter, plot

VOID = {"meta", "line", "rect", "polyline"}


class Reader(HTMLParser):
    """Checks that tags are closed in order, and keeps what is asked of them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def statement(**more: Any) -> dict[str, Any]:
    row = {
        "model": "m", "version": 2, "role": "champion", "matured": 1_000, "in_flight": 34, "value": 812.5, "cost": 3.2,
        "net": 809.3, "low": 520.0, "high": 1_100.0, "verdict": "no verdict", "explanation": "It <earns>.",
        "uplift": {"baseline": "the 5% hold-out", "causal": True, "net": 421.0, "low": 210.0, "high": 632.0},
    }  # fmt: skip
    found = {
        "endpoint": "term-deposit", "at": "2026-11-22T14:30:00+00:00", "currency": "EUR", "revision": 7,
        "note": "A note.",
        "headline": {"subject": "m v2", "decisions": 1_000, "how": "", **row["uplift"]},  # type: ignore[dict-item]
        "total": {"net": 809.3, "roi": 252.9, "cost_per_thousand": 3.2, "break_even_per_day": 0.52},
        "in_flight": {"decisions": 34, "early": 4, "early_value": -12.0, "expected": 23.0, "low": 15.0, "high": 31.0},
        "waterfall": [
            {"what": "Gross value", "amount": 812.5, "kind": "gross", "note": "1,000 matured decisions"},
            {"what": "Compute", "amount": -3.2, "kind": "cost", "note": ""},
            {"what": "Net", "amount": 809.3, "kind": "net", "note": ""},
        ],
        "course": [
            {"decisions": n, "at": "2026-11-22T14:00:00+00:00", "value": 9.0 * n, "baseline": 4.0 * n, "cost": 0.1 * n}
            for n in (1, 500, 1_000)
        ],
        "versions": [row], "watched": [row | {"version": 3, "role": "shadow", "uplift": None, "low": None}],
        "plug": {
            "meters": [{"name": "m v2", "question": "loses money against holdout", "e_value": 14.0, "threshold": 100.0,
                        "tested": 1_000, "do": "kill"}],
            "limits": [{"who": "m v2", "when": "drawdown", "found": 310.0, "above": 500.0, "over": "since its best",
                        "do": "kill"}],
            "last_drill": {"at": "2026-11-20T10:00:00+00:00", "text": "stopped after 41 decisions"},
            "orders": [{"at": "2026-11-22T10:30:00+00:00", "verb": "kill", "author": "guard", "reason": "it lost"}],
        },
        "assumptions": ["a decision is worth: 60"],
    }  # fmt: skip
    return found | more


def test_everything_a_finance_person_asks_for_is_on_the_page() -> None:
    text = read(page([statement()])).text
    for words in (
        "Net value of m v2 against the 5% hold-out", "+421.00\u00a0EUR", "Between +210.00\u00a0EUR and +632",
        "Gross value", "Compute", "cost per thousand decisions", "to break even", "34 decisions in flight",
        "Not part of any sum", "14 of 100", "310.00 of 500.00", "stopped after 41 decisions", "it lost",
        "a decision is worth: 60", "nothing to compare with",
    ):  # fmt: skip
        assert words in text, words


def test_it_loads_nothing_and_runs_nothing() -> None:
    html = page([statement()])
    assert not re.search(r"https?://|@import|url\(|<script|<link|<img|<iframe|\son\w+=", html)


def test_words_of_strangers_are_words() -> None:
    nasty = "<script>alert(1)</script>"
    html = page([statement(endpoint=nasty, note=nasty, assumptions=[nasty])])
    assert nasty not in html
    assert nasty in read(html).text


def test_pictures_have_a_title_or_stand_beside_their_words() -> None:
    found = read(page([statement()])).seen
    pictures = [attrs for tag, attrs in found if tag == "svg"]
    assert pictures
    assert all("aria-hidden" in attrs or attrs.get("role") == "img" for attrs in pictures)
    assert sum(tag == "title" for tag, _ in found) == 1 + sum(attrs.get("role") == "img" for attrs in pictures)
    assert all(attrs.get("scope") for tag, attrs in found if tag == "th")


def test_what_is_not_causal_is_marked() -> None:
    lead = statement()["headline"] | {"causal": False, "baseline": "what answered before it"}
    assert "what answered before it not causal" in read(page([statement(headline=lead)])).text


def test_without_an_interval_it_says_why() -> None:
    lead = statement()["headline"] | {"low": None, "high": None, "how": "too few"}
    assert "No interval yet: too few" in read(page([statement(headline=lead)])).text


def test_without_a_headline_guards_or_rows_there_still_is_a_page() -> None:
    plug: dict[str, Any] = {"meters": [], "limits": [], "last_drill": None, "orders": []}
    text = read(page([statement(headline=None, plug=plug, course=[], versions=[], watched=[])])).text
    assert "A note." in text
    assert "Last drill: never" in text
    assert "Nothing answered yet" in text
    assert "There are no endpoints yet" in read(page([])).text


def test_each_endpoint_has_an_article_of_its_own() -> None:
    found = read(page([statement(), statement(endpoint="other")]))
    assert [tag for tag, _ in found.seen].count("article") == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234.5, "1,234.50"), (-0.5, "\u22120.50"), (0.0, "0.00"), (250_000.4, "250,000"), (0.0044, "0.0044"),
     (0.000002, "0.000002"), (None, "not known")],
)  # fmt: skip
def test_amounts_are_written_as_people_read_them(value: float | None, expected: str) -> None:
    assert amount(value) == expected


def test_the_meter_is_logarithmic_with_the_threshold_where_it_belongs() -> None:
    assert evidence(1.0, 100.0) == (0.25, 0.75)
    assert evidence(100.0, 100.0) == (0.75, 0.75)
    assert 'class="loss"' in meter(100.0, 100.0)
    assert 'class="gain"' in meter(1.0, 100.0)


def test_a_bar_never_leaves_its_place() -> None:
    for begin, end in ((0.0, 1e9), (5.0, 5.0), (-3.0, 2.0), (10.0, 10.0)):
        found = re.search(
            r'<rect class="gain" x="([\d.]+)" y="1.5" width="([\d.]+)"', bar(begin, end, (-3.0, 10.0), "gain")
        )
        assert found is not None
        assert 0 <= float(found[1]) <= float(found[1]) + float(found[2]) <= 100.01


def test_a_single_point_is_no_picture() -> None:
    assert plot("t", [Curve("a", "earned", [(1.0, 1.0)])], ("a", "b"), []) == ""
