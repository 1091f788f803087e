"""KEY=VALUE as flags say it: texts, numbers, or whatever YAML reads in the value."""

from collections.abc import Sequence
from typing import Any

from payoff.errors import BadInput


def texts(said: Sequence[str] | None, what: str) -> dict[str, str]:
    """Each value as it stands; BadInput for what is no KEY=VALUE, or a key twice."""
    found: dict[str, str] = {}
    for one in said or ():
        key, equals, value = one.partition("=")
        if not equals or not key.strip():
            raise BadInput(f"the {what} {one[:80]!r} is not KEY=VALUE")
        if key.strip() in found:
            raise BadInput(f"the {what} {key.strip()[:40]!r} is there twice; say it once")
        found[key.strip()] = value
    return found


def numbers(said: Sequence[str] | None, what: str) -> dict[str, float]:
    """Each value as a number."""
    found: dict[str, float] = {}
    for key, value in texts(said, what).items():
        try:
            found[key] = float(value)
        except ValueError as error:
            raise BadInput(f"the {what} {key[:40]!r} is {value[:40]!r}; say a number, as in {what} auc=0.93") from error
    return found


def values(said: Sequence[str] | None, what: str) -> dict[str, Any]:
    """Each value as YAML reads it: 3 is a number, true a truth, '3' and text are texts."""
    return {key: _yaml(value, key, what) for key, value in texts(said, what).items()}


def _yaml(text: str, key: str, what: str) -> Any:
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"the {what} {key[:40]!r} is {text[:40]!r}, which YAML cannot read; put it in quotes") from error
    return found if found is None or isinstance(found, str | int | float | bool | list | dict) else text
