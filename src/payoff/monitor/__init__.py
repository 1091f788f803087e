"""Watching what every version earns, and giving the orders that follow."""

from payoff.monitor.figures import plain
from payoff.monitor.report import Day, daily, report
from payoff.monitor.roi import Roi, Row
from payoff.monitor.watch import Judged, Watch

__all__ = ["Day", "Judged", "Roi", "Row", "Watch", "daily", "plain", "report"]
