"""How artefacts are recognised, made servable, loaded and run over columns."""

from payoff.flavors.flavor import FLAVORS, Arrival, Ask, Flavor, Loaded, Prepared, Run, Said, Servable, Surroundings
from payoff.flavors.golden import check
from payoff.flavors.recognise import recognise, taken

__all__ = [
    "FLAVORS",
    "Arrival",
    "Ask",
    "Flavor",
    "Loaded",
    "Prepared",
    "Run",
    "Said",
    "Servable",
    "Surroundings",
    "check",
    "recognise",
    "taken",
]
