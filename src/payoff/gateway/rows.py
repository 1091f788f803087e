"""Rows in any format, and flat answers in any format: what `/predict/ENDPOINT` speaks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from payoff.codecs import rows
from payoff.codecs.answer import Listing
from payoff.codecs.codec import Codec, prepared
from payoff.gateway import table
from payoff.gateway.reply import Reply
from payoff.gateway.tensors import ROWS_MAX
from payoff.records import Column, concat, length
from payoff.serving import Answered, Live
from payoff.serving.form import parted
from payoff.serving.part import Rows


class InJson:
    """Calls in JSON that are answered in JSON, for one live revision."""

    name = "rows-json"

    def __init__(self, live: Live) -> None:
        self._reader = prepared(rows.Rows, live.inputs, frozenset[str](), ROWS_MAX)
        self.read = self._reader.read

    def ask(self, body: bytes) -> rows.Asked:
        """What a body is, before its turn."""
        return self._reader.ask(body)

    def whole(self, body: bytes) -> rows.Asked:
        """A large body and all its rows. On a thread: it takes a while."""
        return self._reader.whole(body)

    def write(self, answered: Answered, asked: Sequence[rows.Asked], counts: Sequence[int]) -> list[Reply]:
        """Each caller lists rows as he did when he asked."""
        return [*map(Reply, rows.written(table.flat(answered), counts, [one.listing for one in asked]))]


class Decoded(NamedTuple):
    """A call that was read when it came."""

    rows: int
    columns: dict[str, Column]
    listing: Listing


class InAny:
    """Calls in one format that are answered in another, or in the same, for one live revision."""

    def __init__(self, live: Live, codec: Codec, answer_codec: Codec) -> None:
        self.name = f"rows-{codec.name}"
        self._decode = codec.decoder(live.inputs, rows_max=ROWS_MAX)
        self._answer_codec = answer_codec

    def ask(self, body: bytes) -> Decoded:
        """The rows of a body."""
        columns = self._decode(body)
        n = length(columns)
        return Decoded(n, columns, "records" if n == 1 else "columns")

    whole = ask

    def read(self, asked: Sequence[Decoded]) -> Rows:
        """The rows of all these calls."""
        return concat([one.columns for one in asked])

    def write(self, answered: Answered, asked: Sequence[Decoded], counts: Sequence[int]) -> list[Reply]:
        """One flat answer each."""
        content_type = self._answer_codec.content_type.encode()
        return [
            Reply(self._answer_codec.encode(table.flat(part, one.listing)), content_type)
            for one, part in zip(asked, parted(answered, counts), strict=True)
        ]


def form(live: Live, codec: Codec, answer_codec: Codec) -> Any:
    """How calls of these formats are read and answered on this revision."""
    key = (codec.name, answer_codec.name)
    found = live.forms.get(key)
    if found is None:
        plain = codec.name == answer_codec.name == "json"
        found = live.forms[key] = InJson(live) if plain else InAny(live, codec, answer_codec)
    return found
