"""What exists and who changed it: models and versions; endpoints, revisions, orders; findings, verdicts, usage."""

from payoff.registry.chain import Broken
from payoff.registry.models import Model
from payoff.registry.registry import Registry, connect
from payoff.registry.verdicts import Filed

__all__ = ["Broken", "Filed", "Model", "Registry", "connect"]
