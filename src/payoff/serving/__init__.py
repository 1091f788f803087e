"""The hot path: answer calls on live endpoints, in batches, with every row journaled first."""

from payoff.serving.admission import Limits
from payoff.serving.desk import Desk
from payoff.serving.form import Caller, Form
from payoff.serving.live import Live, prepare
from payoff.serving.models import Heat, Models
from payoff.serving.reply import Answered
from payoff.serving.seat import NotReady, Seat
from payoff.serving.streams import FALLBACK_ARM

__all__ = [
    "FALLBACK_ARM",
    "Answered",
    "Caller",
    "Desk",
    "Form",
    "Heat",
    "Limits",
    "Live",
    "Models",
    "NotReady",
    "Seat",
    "prepare",
]
