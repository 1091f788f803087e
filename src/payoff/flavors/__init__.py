"""How artefacts are recognised, made servable, loaded and run over columns."""

from payoff.flavors.flavor import FLAVORS, Flavor, Prepared, Run, Served
from payoff.flavors.golden import check
from payoff.flavors.recognise import recognise, taken

__all__ = ["FLAVORS", "Flavor", "Prepared", "Run", "Served", "check", "recognise", "taken"]
