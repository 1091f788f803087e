"""An application that knows nothing of payoff but two addresses: standard library only.

Start a server with `payoff up`, deploy a model, then: python examples/ask_over_http.py ENDPOINT
"""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

API = os.environ.get("PAYOFF_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("PAYOFF_KEY")


def call(url: str, body: Any = None) -> Any:
    """The JSON that answers a GET, or a POST if there is a body; the server's own words if it refuses."""
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {KEY}"} if KEY else {})
    content = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers), timeout=60) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code}: {error.read().decode()}")


def main(name: str) -> None:
    """One question, one answer, and what came of it."""
    about = call(f"{API}/api/endpoints/{name}")
    row = about["example"]  # a row of the sample that the model was deployed with
    answer = call(about["urls"]["predict"], [row])["predictions"][0]
    print(f"asked {row}, {answer['arm']} v{answer['version']} answered")

    outcome = {field["name"]: True for field in about["signature"]["outcome"] if field["type"] == "bool"}
    if outcome:
        told = [{"prediction_id": answer["prediction_id"], **outcome}]
        print("outcomes accepted:", call(f"{API}/api/endpoints/{name}/outcomes", told)["accepted"])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "first-model")
