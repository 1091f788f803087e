"""From a fitted model to what it earned: deploy, ask, say what happened, read the ledger.

Start a server with `payoff up`, then: python examples/first_model.py
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

import payoff

ENDPOINT = """
endpoint: first-model
arms:
  champion: {model: first-model, version: 1}
decision: outputs.probability > 0.067    # a call costs 2 EUR, a sale brings 30
value: case when decision then (case when outcome.bought then 30 else 0 end) - 2 else 0 end
currency: EUR
fallback: {decision: false}
"""


def customers(n: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """People we may call, and whether they would buy."""
    random = np.random.default_rng(seed)
    rows = pd.DataFrame({"age": random.integers(18, 90, n), "visits": random.poisson(2, n)})
    chance = 1 / (1 + np.exp(4 - rows["visits"] - (rows["age"] > 60)))
    return rows, pd.Series(random.random(n) < chance, name="bought")


def main() -> None:
    """The story of one model."""
    seen, bought = customers(2_000, seed=1)
    model = HistGradientBoostingClassifier(max_iter=50).fit(seen, bought)

    with payoff.connect() as client:
        endpoint = client.deploy(model, name="first-model", sample=seen.head(100), reason="first try")
        client.apply(ENDPOINT, reason="what a call costs and a sale brings")

        today, truth = customers(500, seed=2)
        answers = endpoint.predict(today)
        print(answers[["probability", "decision", "arm", "version"]].head(3))
        told = endpoint.outcomes(pd.DataFrame({"prediction_id": answers["prediction_id"], "bought": truth}))
        print(f"{told['accepted']} outcomes accepted, {int(answers['decision'].sum())} people called")
        print(endpoint.roi())


if __name__ == "__main__":
    main()
