"""The hot path: answer calls on live endpoints, in batches, with every row journaled first."""

from payoff.serving.desk import Desk, Limits
from payoff.serving.live import FALLBACK_ARM, Live, Models, prepare
from payoff.serving.reply import Answered

__all__ = ["FALLBACK_ARM", "Answered", "Desk", "Limits", "Live", "Models", "prepare"]
