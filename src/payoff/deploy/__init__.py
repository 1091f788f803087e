"""The life of a version on an endpoint: one table of legal moves, one door for every order."""

from payoff.deploy.file import EndpointFile, diff, parse, render
from payoff.deploy.intake import Intake, Taken
from payoff.deploy.orders import Desk, Done
from payoff.deploy.phase import VERBS

__all__ = ["VERBS", "Desk", "Done", "EndpointFile", "Intake", "Taken", "diff", "parse", "render"]
