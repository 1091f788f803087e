"""What a wire format is to the rest of the house: bytes in, columns out, and an answer back into bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from payoff.codecs.answer import Answer
from payoff.records.columns import Column
from payoff.records.signature import Field

ROWS_MAX = 1_000_000

Decoder = Callable[[bytes], dict[str, Column]]
Made = TypeVar("Made")


class Decode(Protocol):
    """Bytes to one Column per field, in the order of the fields.

    A nullable field may be missing: it is then null in every row. A column that no field names is refused, unless
    its name is in `extra_ok`: then it is ignored. Raises BadInput, or TooLarge above `rows_max` rows.
    """

    def __call__(
        self, body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = ..., rows_max: int = ...
    ) -> dict[str, Column]: ...


class Prepare(Protocol):
    """Does once, for some fields, what need not be done on every call."""

    def __call__(self, fields: tuple[Field, ...], extra_ok: frozenset[str] = ..., rows_max: int = ...) -> Decoder: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One wire format. `prepare` is only there where preparing pays; ask for a decoder with `decoder()`."""

    name: str
    content_type: str
    decode: Decode
    encode: Callable[[Answer], bytes]
    prepare: Prepare | None = None

    def decoder(
        self, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
    ) -> Decoder:
        """A function of the body alone. Cheap to ask for again with the same tuple of fields."""
        if self.prepare is not None:
            return prepared(self.prepare, tuple(fields), extra_ok, rows_max)
        return partial(self.decode, fields=tuple(fields), extra_ok=extra_ok, rows_max=rows_max)


_PREPARED_MAX = 256
_prepared: dict[tuple[Any, ...], tuple[tuple[Field, ...], Any]] = {}


def prepared(prepare: Callable[..., Made], fields: tuple[Field, ...], *rest: Any) -> Made:
    """What `prepare(fields, *rest)` makes, made once for each tuple of fields.

    Fields are told apart by identity: hashing a wide signature takes longer than decoding a row of it. An entry holds
    its fields, so their identity is not given to others while it is kept.
    """
    key = (prepare, id(fields), *rest)
    held = _prepared.get(key)
    if held is None:
        if len(_prepared) >= _PREPARED_MAX:
            _prepared.clear()
        held = _prepared[key] = (fields, prepare(fields, *rest))
    made: Made = held[1]
    return made
