"""Named swappable parts."""

from payoff.plugins.plugins import Plugins

__all__ = ["Plugins"]
