"""What to say about a name that is not there: the closest one, and the first few that are."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from payoff.errors import NotFound

_SHOWN = 10


def missing(what: str, name: str, there: Iterable[str], otherwise: str) -> NotFound:
    """`what` is "model", "endpoint"; `otherwise` is said where there is none at all, and names the way out."""
    names = sorted(there)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    return NotFound(f"no {what} called {_shortened(name)}{hint} {_listed(names) if names else otherwise}")


def no_number(what: str, number: int, there: Sequence[int]) -> NotFound:
    """For versions and revisions, which count 1, 2, 3: `what` is "model 'fraud' has no version"."""
    return NotFound(f"{what} {number}; it has {f'1 to {max(there)}' if len(there) > 1 else 'only 1'}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"there {'is' if len(names) == 1 else 'are'}: {', '.join(names[:_SHOWN])}{more}"


def _shortened(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}...")
