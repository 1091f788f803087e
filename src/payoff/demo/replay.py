"""The bank's side of the demo, in a process of its own: calls customers day by day and reports what came of it.

It speaks plain HTTP, knows nothing of payoff's inside, and counts for itself what was answered. Reads lines `until N`
from standard input; writes one JSON line per story day. Outcomes come back late (three in ten after a day or two),
one in twenty is sent twice, and one in thirty is first reported with a wrong duration and corrected later.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import numpy as np
import pandas as pd

from payoff.demo import bank

ROWS_PER_CALL = 25
JUDGED_EVERY = 25  # calls to customers, before the bank waits for payoff to have judged what it was told
LATE, TWICE, CORRECTED = 0.30, 0.05, 1 / 30


class Bank:
    """A client that calls customers and waits for outcomes."""

    def __init__(self, predict_url: str, api_url: str, seed: int = 2008) -> None:
        self.predict_url = predict_url
        self.api_url = api_url
        self.http = httpx.Client(timeout=30)
        self.random = np.random.default_rng(seed)
        self.due: dict[date, list[dict[str, Any]]] = defaultdict(list)
        self.answered = self.failed = self.reported = 0
        self.newest: str | None = None

    def day(self, today: date, rows: pd.DataFrame) -> dict[str, Any]:
        """One day: ask about each customer, then report the outcomes that are known by tonight."""
        ids, decisions = [], []
        for start in range(0, len(rows), ROWS_PER_CALL):
            answer = self.ask(rows.iloc[start : start + ROWS_PER_CALL])
            ids += [row["prediction_id"] for row in answer]
            decisions += [bool(row["decision"]) for row in answer]
        self.expect(today, rows, ids)
        outcome_id = self.report(today)
        return {
            "day": today.isoformat(), "calls": len(rows), "subscribed": int(rows["subscribed"].sum()),
            "last_prediction_id": ids[-1] if ids else None, "last_outcome_id": outcome_id,
            "earned": float(bank.worth(rows)[decisions].sum()) if len(decisions) == len(rows) else 0.0,
            "everybody": float(bank.worth(rows).sum()),
            "answered": self.answered, "failed": self.failed, "outcomes": self.reported,
        }  # fmt: skip

    def ask(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Predictions for some rows; none, and a failure counted, if the server does not answer."""
        try:
            reply = self.http.post(self.predict_url, json=bank.records(rows))
            reply.raise_for_status()
        except httpx.HTTPError:
            self.failed += 1
            return []
        found: list[dict[str, Any]] = reply.json()["predictions"]
        self.answered += len(found)
        return found

    def expect(self, today: date, rows: pd.DataFrame, ids: list[str]) -> None:
        """Put the outcomes of today's calls on the days on which they will be known."""
        for id_, subscribed, duration_s in zip(ids, rows["subscribed"], rows["duration_s"], strict=False):
            truth = {"prediction_id": id_, "subscribed": bool(subscribed), "duration_s": int(duration_s)}
            known = today + timedelta(days=int(self.random.integers(1, 3)) if self.random.random() < LATE else 0)
            if self.random.random() < CORRECTED:
                self.due[known].append({**truth, "duration_s": int(duration_s) * 2})
                known += timedelta(days=1)
            self.due[known].append(truth)
            if self.random.random() < TWICE:
                self.due[known + timedelta(days=int(self.random.integers(0, 3)))].append(truth)

    def report(self, today: date) -> str | None:
        """Send every outcome known by tonight; the id of the last, if there was one."""
        outcomes = [one for day in sorted(self.due) if day <= today for one in self.due.pop(day)]
        if not outcomes:
            return None
        reply = self.http.post(f"{self.api_url}/api/endpoints/{bank.ENDPOINT}/outcomes", json=outcomes)
        if reply.is_error:
            self.failed += 1
            return None
        self.reported += len(outcomes)
        self.newest = str(reply.json()["outcome_id"])
        return self.newest

    def wait_judged(self, day: dict[str, Any], patience_s: float = 30.0) -> None:
        """Until payoff has looked at everything it was told: years pass here in minutes; judging takes real time."""
        if day["last_outcome_id"] is None:
            return
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            reply = self.http.get(f"{self.api_url}/api/endpoints/{bank.ENDPOINT}/judged")
            if not reply.is_error and (reply.json()["outcome_id"] or "") >= day["last_outcome_id"]:
                return
            time.sleep(0.002)


def days(rows: pd.DataFrame) -> Iterator[tuple[date, pd.DataFrame]]:
    """The rows of each day, in order."""
    yield from rows.groupby("called_on", sort=False)


def main(arguments: list[str]) -> None:
    """Replay from row --start on, up to wherever standard input says."""
    parser = argparse.ArgumentParser(prog="payoff.demo.replay")
    parser.add_argument("--predict-url", required=True)
    parser.add_argument("--api-url", required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--days-per-s", type=float, default=0.0, help="0: as fast as payoff judges")
    options = parser.parse_args(arguments)
    everything, customer = bank.calls(), Bank(options.predict_url, options.api_url)
    at, unjudged = options.start, JUDGED_EVERY
    for line in sys.stdin:
        until = int(line.removeprefix("until "))
        for today, rows in days(everything.iloc[at:until]):
            started = time.monotonic()
            told = customer.day(today, rows)
            unjudged += len(rows)
            if unjudged >= JUDGED_EVERY:
                customer.wait_judged(told)
                unjudged = 0
            say(told)
            if options.days_per_s:
                time.sleep(max(0.0, 1 / options.days_per_s - (time.monotonic() - started)))
        at = until
        finish(customer, last=until >= len(everything))
        say({"reached": until})


def finish(customer: Bank, last: bool) -> None:
    """After the very last call the outcomes still out come in; at every stop, what came in is judged."""
    customer.wait_judged({"last_outcome_id": customer.report(date.max) if last else customer.newest})


def say(what: dict[str, Any]) -> None:
    """One line for the story."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
