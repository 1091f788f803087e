"""What exists and who changed it: models, immutable versions, aliases; endpoints, revisions, orders, findings."""

from payoff.registry.models import Model
from payoff.registry.registry import Registry, connect

__all__ = ["Model", "Registry", "connect"]
