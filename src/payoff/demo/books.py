"""What the demo reads from payoff's own books, by `payoff sql`, as any analyst could."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from payoff.client import Client
from payoff.demo import bank

CALL = "(case when outcome.subscribed then 60 else 0 end) - 2 - outcome.duration_s / 3600.0 * 24"
ROWS_MAX = 1_000_000


@lru_cache(maxsize=1)
def statements() -> dict[str, str]:
    """The SQL of books.sql by name."""
    text = Path(__file__).with_name("books.sql").read_text()
    parts = [part.partition("\n") for part in text.split("-- name: ")[1:]]
    return {name.strip(): sql.rstrip().rstrip(";") for name, _, sql in parts}


def ask(client: Client, name: str, **values: str) -> pd.DataFrame:
    """The rows of a statement."""
    frame: pd.DataFrame = client.sql_arrow(statements()[name].format(call=CALL, **values), ROWS_MAX).to_pandas()
    return frame


def daily(client: Client) -> pd.DataFrame:
    """One row per day on which customers were called; see books.sql."""
    return ask(client, "daily").fillna(0.0)


def auc(client: Client, month: str, version: int) -> float | None:
    """How well a version ranked the customers of "2008-10" it was asked about; None if there is nothing to rank."""
    from sklearn.metrics import roc_auc_score

    scores = ask(client, "scores", month=month, version=str(version))
    if scores["truth"].nunique() < 2:
        return None
    return float(roc_auc_score(scores["truth"].astype(bool), scores["score"]))


def orders(client: Client, calls: pd.DataFrame) -> list[dict[str, Any]]:
    """Every order, oldest first, with the story's date."""
    return [dated(client, calls, order) for order in reversed(client.orders(bank.ENDPOINT, limit=1000))]


def dated(client: Client, calls: pd.DataFrame, order: dict[str, Any]) -> dict[str, Any]:
    """An order with the story's date, how many predictions its verdict rests on, and how many had been answered."""
    at = order["at"].removesuffix("Z").replace("T", " ")
    answered = int(ask(client, "count_before", at=at)["n"].iloc[0])
    row = min(bank.CHAMPION_ROWS.stop + max(answered - 1, 0), len(calls) - 1)
    evidence = order["evidence"]
    return {
        "order": order["verb"],
        "version": evidence.get("version"),
        "date": str(calls["called_on"].iloc[row]),
        "after_predictions": evidence.get("tested", answered),
        "answered_by_then": answered,
        "by": order["author"],
        "reason": order["reason"],
    }
