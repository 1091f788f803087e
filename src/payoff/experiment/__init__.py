"""Comparing versions by what they earn, with verdicts that may be read after every outcome."""

from payoff.experiment.frozen import again, pack, settings, unpack
from payoff.experiment.verdict import (
    AFTER_CHANGE,
    BEATS,
    LOSES,
    SAME,
    SINCE_LAUNCH,
    Case,
    Question,
    Rows,
    facts,
    judge,
    under,
)
from payoff.experiment.words import chance, explain, in_short, outlook

__all__ = [
    "AFTER_CHANGE", "BEATS", "LOSES", "SAME", "SINCE_LAUNCH", "Case", "Question", "Rows", "again", "chance", "explain",
    "facts", "in_short", "judge", "outlook", "pack", "settings", "under", "unpack",
]  # fmt: skip
