"""Runs by itself, in an environment with mlflow-skinny: fetches a model from a tracking server, and says what it is.

    python -I tracking_child.py models:/churn@champion FOLDER

The last line of its output is JSON: {"folder", "facts"}, or {"error", "code", "lacks"}.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main(model: str, into: str) -> dict[str, Any]:
    """Fetch it."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    try:
        exact, facts = resolved(model)
        return {"folder": mlflow.artifacts.download_artifacts(exact, dst_path=into), "facts": facts}
    except MlflowException as error:
        return {"error": str(error)[:1500], "code": str(error.error_code)}
    except ImportError as error:
        return {"error": str(error), "lacks": str(error.name)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:1500]}


def resolved(model: str) -> tuple[str, dict[str, Any]]:
    """The version behind an alias or "latest", so that what is fetched is what is recorded; and where it came from."""
    import mlflow

    kind, _, rest = model.partition(":/")
    client = mlflow.MlflowClient()
    name, alias = rest.strip("/").rpartition("@")[::2]
    version = None
    if kind == "models" and name:
        version = client.get_model_version_by_alias(name, alias)
    elif kind == "models" and "/" in rest.strip("/"):
        name, number = rest.strip("/").rsplit("/", 1)
        if number.isdigit():
            version = client.get_model_version(name, number)
        elif number == "latest":
            found = client.search_model_versions(f"name='{name}'")
            version = max(found, key=lambda one: int(one.version), default=None)
    if version is None:
        return model, {}
    facts = {
        "name": version.name,
        "version": str(version.version),
        "run_id": version.run_id,
        "source": version.source,
        "tags": dict(version.tags or {}),
        "description": version.description,
    }
    return f"models:/{version.name}/{version.version}", facts


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3])))  # noqa: T201 - this is how it answers
