"""The hot path: answer calls on live endpoints, in batches, with every row journaled first."""

from payoff.serving.desk import Desk, Limits
from payoff.serving.live import FALLBACK_ARM, Live, prepare
from payoff.serving.models import Heat, Models
from payoff.serving.reply import Answered
from payoff.serving.seat import NotReady, Seat

__all__ = ["FALLBACK_ARM", "Answered", "Desk", "Heat", "Limits", "Live", "Models", "NotReady", "Seat", "prepare"]
