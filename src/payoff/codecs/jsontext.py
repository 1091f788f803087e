"""JSON text to plain Python values, with errors that say where and what to do."""

from typing import Any

import orjson

from payoff.codecs.checks import shorten
from payoff.errors import BadInput

_NOT_JSON = ("NaN", "Infinity", "-Infinity", "-NaN", "nan", "inf", "-inf")


def parse(body: bytes | memoryview, where: str = "body") -> Any:
    """What the text says; BadInput gives the position. Nesting is limited by orjson to about a thousand levels."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{where} is not JSON: {_explain(error)}") from error


def _explain(error: orjson.JSONDecodeError) -> str:
    """orjson's own words, and for the usual mistakes what to do about them."""
    at = error.pos - 1 if error.doc[max(error.pos - 1, 0) : error.pos] == "-" else error.pos
    rest = error.doc[at : at + 20]
    for word in _NOT_JSON:
        if rest.startswith(word):
            return f"{word} at character {at} is not JSON: send null, or a number"
    if error.msg.startswith("number is infinity"):
        return f"{error}: a number as large as this is not a number that can be computed with"
    if error.msg.startswith("unexpected content after document"):
        return f"{error}: JSON lines are sent as application/x-ndjson"
    return f"{error}, near {shorten(rest)}" if rest.strip() else str(error)
