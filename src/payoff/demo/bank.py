"""The bank's calls, the models of the story, and the endpoint they live on.

A bank phones customers to sell term deposits; a prediction decides call or no call. The amounts are our assumptions:
a subscribed deposit is worth 60 EUR, a call costs 2 EUR and 24 EUR per hour. How long a call took and whether the
customer subscribed are known only afterwards: they are outcomes, never features.
"""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ENDPOINT = "term-deposit"
CHAMPION_ROWS = slice(0, 24_000)
CHALLENGER_ROWS = slice(24_000, 36_000)
TEXT = ["job", "marital", "education", "contact", "month", "poutcome"]
NUMBERS = ["age", "in_default", "balance", "housing", "loan", "campaign", "pdays", "previous"]
FEATURES = [*NUMBERS, *TEXT]

POLICY = """\
endpoint: term-deposit
arms:
  champion: {model: term-deposit, version: 1}
context: {called_on: date, call: int64}
route: {by: call}
decision: outputs.probability > 0.07
outcome: {subscribed: bool, duration_s: int64}
value: >-
  case when decision
       then (case when outcome.subscribed then 60 else 0 end) - 2 - outcome.duration_s / 3600.0 * 24
       else 0 end
currency: EUR
holdout: 5%
ramp: {steps: [10%, 25%, 50%], loss_budget: 300, step_decisions: 25}
guards:
  - {when: loses money, against: fallback, error: 1%, gain_cap: 20, do: kill}
  - {when: challenger beats champion, error: 5%, gain_cap: 60, do: promote}
fallback: {decision: true}
"""


def calls() -> pd.DataFrame:
    """All calls in the order they were made."""
    return pd.read_parquet(Path(__file__).with_name("bank-marketing.parquet"))


def train(rows: pd.DataFrame) -> Any:
    """A logistic regression over text and numbers, as any data scientist would write it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer(
        [("text", OneHotEncoder(handle_unknown="ignore"), TEXT), ("numbers", StandardScaler(), NUMBERS)]
    )
    model = Pipeline([("columns", columns), ("regression", LogisticRegression(max_iter=2000))])
    return model.fit(rows[FEATURES], rows["subscribed"].astype(int))


def worth(rows: pd.DataFrame) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """EUR that calling each of these customers earned."""
    return np.asarray(np.where(rows["subscribed"], 60.0, 0.0) - 2 - rows["duration_s"] / 3600.0 * 24)


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """What a caller sends: the features, the day and the call's number, as JSON-ready records."""
    plain = rows[[*FEATURES, "called_on"]].assign(call=rows.index).to_dict("records")
    return [{name: _plain(value) for name, value in record.items()} for record in plain]


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
