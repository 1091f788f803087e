"""payoff from Python: deploy a model, ask it, say what really happened, read what it earned.

import payoff
client = payoff.connect()
endpoint = client.deploy(model, name="term-deposit", sample=X.head(100))
endpoint.predict(X)
"""

from payoff.client.client import Client
from payoff.client.connect import connect
from payoff.client.endpoint import Endpoint
from payoff.client.roi import Roi

__all__ = ["Client", "Endpoint", "Roi", "connect"]
