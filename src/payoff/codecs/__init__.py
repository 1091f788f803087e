"""Wire bytes <-> columns, for every door. This imports no Arrow: a worker that sees only JSON has no use for it."""

from payoff.codecs.answer import Answer
from payoff.codecs.codec import ROWS_MAX, Codec, Decoder

__all__ = ["ROWS_MAX", "Answer", "Codec", "Decoder"]
