"""What every HTTP door shares: who may come in, and which status an error is."""

from payoff.doors.admit import LOOPBACK, admit, is_loopback
from payoff.doors.status import STATUS, kind, status

__all__ = ["LOOPBACK", "STATUS", "admit", "is_loopback", "kind", "status"]
