"""The other side of an answer: what a client does with the bytes that came back."""

import pyarrow as pa

from payoff.codecs import formats, samples
from payoff.codecs.jsontext import parse
from payoff.errors import BadInput


def decode(body: bytes, content_type: str) -> pa.Table:
    """The answer as a table. Arrow and Parquet keep every type; JSON and CSV give what their text looks like."""
    name = formats.by_content_type(content_type).name
    if name == "json":
        return _json(body)
    return samples.table(body, name, rows_max=2**62)


def _json(body: bytes) -> pa.Table:
    said = parse(body)
    if type(said) is dict and type(said.get("predictions")) is list:
        return samples.of_records(said["predictions"])
    if type(said) is dict and type(said.get("columns")) is dict:
        return samples.of_lists(said["columns"])
    raise BadInput("body is no answer of payoff: it has neither predictions nor columns")
