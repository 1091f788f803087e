"""payoff: the last mile of machine learning. Deploy, answer, record, learn the outcome, judge, act."""

from typing import TYPE_CHECKING, Any

from payoff.version import VERSION

if TYPE_CHECKING:
    from payoff.client.client import Client as Client
    from payoff.client.connect import connect as connect
    from payoff.client.endpoint import Endpoint as Endpoint
    from payoff.client.written import chain as chain
    from payoff.client.written import remote as remote
    from payoff.client.written import rule as rule

__version__ = VERSION

_FACES = {
    "connect": "payoff.client.connect",
    "Client": "payoff.client.client",
    "Endpoint": "payoff.client.endpoint",
    "chain": "payoff.client.written",
    "remote": "payoff.client.written",
    "rule": "payoff.client.written",
}


def __getattr__(name: str) -> Any:
    """The client's names, imported when first used: `import payoff` itself costs nothing."""
    if name in _FACES:
        from importlib import import_module

        return getattr(import_module(_FACES[name]), name)
    raise AttributeError(f"module 'payoff' has no attribute {name!r}")
