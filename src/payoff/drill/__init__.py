"""Fire drills: a losing model on a copy of an endpoint, under recorded traffic, and how long it takes to be stopped."""

from payoff.drill.drill import Drill, drill
from payoff.drill.report import Report

__all__ = ["Drill", "Report", "drill"]
