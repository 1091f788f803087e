"""The acts: a champion loses its edge and is stopped, a challenger proves itself, and in the end no model pays."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from payoff.client import Client, connect
from payoff.demo import bank, books
from payoff.demo.replaying import Day, Replay, replaying
from payoff.demo.server import Server

Say = Callable[[str], None]
SAMPLE_ROWS = 200
HEAD = "month     calls  subscribed  AUC v1  AUC v2      earned   everybody   answered by"


@dataclass(slots=True)
class Month:
    """What the bank itself saw in a month."""

    name: str
    calls: int = 0
    subscribed: int = 0
    earned: float = 0.0
    everybody: float = 0.0


@dataclass(slots=True)
class Story:
    """The demo on a running server, told by `say`."""

    server: Server
    say: Say
    rows: int | None = None
    days_per_s: float = 0.0
    calls: pd.DataFrame = field(default_factory=bank.calls)
    client: Client = field(init=False)
    month: Month | None = None
    told: int = 0  # orders
    answering: str = ""
    last: Day = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = connect(self.server.api)

    @property
    def end(self) -> int:
        """The row after the last one that is replayed."""
        all_rows = len(self.calls)
        return all_rows if self.rows is None else min(all_rows, bank.CHAMPION_ROWS.stop + self.rows)

    def play(self) -> None:
        """All acts."""
        self.first_act()
        url = self.client.endpoint(bank.ENDPOINT).url
        with replaying(self.server, url, bank.CHAMPION_ROWS.stop, self.days_per_s) as replay:
            self.say(HEAD)
            self.call_until(replay, min(self.end, bank.CHALLENGER_ROWS.stop))
            if self.end > bank.CHALLENGER_ROWS.stop:
                self.challenge()
                self.call_until(replay, self.end)
            self.close_month()

    def first_act(self) -> None:
        """Train, deploy, and say what it is about."""
        rows = self.calls[bank.CHAMPION_ROWS]
        self.say(f"Training v1 on the first {len(rows):,} calls, May to August 2008 ...")
        self.deploy(rows, "the first model")
        self.client.apply(bank.POLICY, reason="what a call is worth, and when to stop")
        self.tell_orders()

    def challenge(self) -> None:
        """A model trained on what happened since then runs beside."""
        rows = self.calls[bank.CHALLENGER_ROWS]
        self.close_month()
        self.say(f"Training v2 on {len(rows):,} calls of the crisis, and deploying it as challenger ...")
        self.deploy(rows, "trained in the crisis", as_="challenger")
        self.tell_orders()

    def deploy(self, rows: pd.DataFrame, reason: str, **how: Any) -> None:
        """One command puts a fitted model into production."""
        sample = rows[bank.FEATURES].sample(SAMPLE_ROWS, random_state=0)
        self.client.deploy(bank.train(rows), name=bank.ENDPOINT, sample=sample, reason=reason, **how)

    def call_until(self, replay: Replay, row: int) -> None:
        """The bank's days up to a row, with what happens on them."""
        for day in replay.until(row):
            if self.month is None or self.month.name != day["day"][:7]:
                self.close_month()
                self.month = Month(day["day"][:7])
            self.month.calls += day["calls"]
            self.month.subscribed += day["subscribed"]
            self.month.earned += day["earned"]
            self.month.everybody += day["everybody"]
            self.last = day
            self.tell_orders()

    def close_month(self) -> None:
        """One line for a month that is over."""
        month, self.month = self.month, None
        if month is None:
            return
        aucs = (books.auc(self.client, month.name, version) for version in (1, 2))
        ranked = " ".join(f"{'-' if auc is None else f'{auc:.2f}':>7}" for auc in aucs)
        share = f"{month.subscribed / month.calls:.1%}"
        money = f"{month.earned:11,.0f} {month.everybody:11,.0f}"
        self.say(f"{month.name:8} {month.calls:6,} {share:>11} {ranked} {money}   {self.answering}")

    def tell_orders(self) -> None:
        """Whatever was ordered since the last look, by people or by guards."""
        orders = self.client.orders(bank.ENDPOINT, limit=1000)
        for order in reversed(orders[: len(orders) - self.told]):
            told = books.dated(self.client, self.calls, order)
            version = f" v{told['version']}" if told["version"] else ""
            head = f"  >> {told['date']}: {told['order'].upper()}{version} by {told['by']}: {told['reason']}"
            self.say(textwrap.fill(head, 118, subsequent_indent="     "))
        if self.told != len(orders):
            self.answering = answering(self.client.endpoint(bank.ENDPOINT).describe()["arms"])
        self.told = len(orders)


def answering(arms: list[dict[str, Any]]) -> str:
    """Who answers, in a few words."""
    live = [f"v{arm['version']}" for arm in arms if arm["role"] == "champion"] or ["fallback: call everybody"]
    live += [f"v{arm['version']} {arm['traffic']:.0%}" for arm in arms if arm["role"] == "challenger"]
    return ", ".join(live)


def result(story: Story, picture: Path, report: Path) -> dict[str, Any]:
    """The whole demo as one object for machines, with where its picture and its report are."""
    roi = story.client.endpoint(bank.ENDPOINT).roi()
    answered = int(story.last.get("answered", 0))
    journaled = int(books.ask(story.client, "answered")["n"].iloc[0])
    return {
        "orders": books.orders(story.client, story.calls),
        "versions": [_version(row) for row in roi],
        "answered": answered,
        "journaled": journaled,
        "failed_requests": int(story.last.get("failed", 0)),
        "outcomes": int(story.last.get("outcomes", 0)),
        "findings": [finding["text"] for finding in reversed(story.client.findings(bank.ENDPOINT))],
        "conclusion": roi.note,
        "assumptions": ASSUMPTIONS,
        "picture": str(picture),
        "report": str(report),
    }


ASSUMPTIONS = [
    "a subscribed deposit is worth 60 EUR, a call costs 2 EUR and 24 EUR per hour: our numbers, not the bank's",
    "every outcome is known here only because the bank called everybody: with a model that says no, most banks would "
    "never learn what those customers would have done",
]


def _version(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("model", "version", "role", "answered", "matured", "value", "cost", "net", "vs_fallback", "verdict")
    return {name: row.get(name) for name in kept} | {"interval": [row.get("low"), row.get("high")]}
