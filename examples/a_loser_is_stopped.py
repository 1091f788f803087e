"""A model that was trained with its labels swapped goes live, and a guard stops it on the evidence of what it earned.

Start a server with `payoff up`, then: python examples/a_loser_is_stopped.py
"""

import time

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import payoff

ENDPOINT = """
endpoint: swapped
arms:
  champion: {model: swapped, version: 1}
decision: outputs.probability > 0.5
value: case when decision then (case when outcome.bought then 30 else 0 end) - 2 else 0 end
currency: EUR
guards:
  - {when: loses money, against: fallback, error: 1%, gain_cap: 30, do: kill}
fallback: {decision: false}
"""
BATCH, CALLS_MAX = 100, 6_000


def customers(n: int, random: np.random.Generator) -> tuple[pd.DataFrame, pd.Series]:
    """People we may call, and whether they would buy: those with many visits do."""
    rows = pd.DataFrame({"visits": random.poisson(2, n), "age": random.integers(18, 90, n)})
    return rows, pd.Series(rows["visits"] > 3, name="bought")


def main() -> None:
    """Calls come in, outcomes follow, until the fallback answers."""
    random = np.random.default_rng(7)
    seen, bought = customers(2_000, random)
    model = LogisticRegression().fit(seen, ~bought)  # the mistake

    with payoff.connect() as client:
        endpoint = client.deploy(model, name="swapped", sample=seen.head(100))
        client.apply(ENDPOINT, reason="with a guard")
        calls = 0
        while calls < CALLS_MAX:
            rows, truth = customers(BATCH, random)
            answers = endpoint.predict(rows)
            if (answers["arm"] == "fallback").all():
                break
            calls += BATCH
            endpoint.outcomes(pd.DataFrame({"prediction_id": answers["prediction_id"], "bought": truth}))
            time.sleep(0.5)  # calls come slowly here; a guard looks after every outcome

        order = client.orders("swapped", limit=1)[0]
        print(f"after {calls} calls: {order['verb']}, by {order['author']!r}")
        print(order["reason"])
        print(endpoint.roi())


if __name__ == "__main__":
    main()
