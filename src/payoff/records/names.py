"""What a model or an endpoint may be called: names become URLs and folders, so they are plain."""

import re

from payoff.errors import BadInput

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]|\.(?!\.)){0,62}")


def check(name: str, what: str) -> str:
    """The name itself, if it may be one; `what` ("endpoint", "model") is for the message."""
    if _NAME.fullmatch(name):
        return name
    raise BadInput(
        f"{name[:80]!r} cannot name {'an' if what[0] in 'aeiou' else 'a'} {what}; "
        "use 1 to 63 of a-z, 0-9, '-', '_' and single '.', starting with a letter or digit"
    )


def suggest(text: str) -> str:
    """A legal name near `text`: "Term Deposit.pkl" becomes "term-deposit.pkl"."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower())
    return re.sub(r"\.{2,}", ".", plain).strip("-._")[:63] or "model"


_DRILL = re.compile(r".+\.drill-[0-9a-z]{1,16}")


def drill_of(endpoint: str, mark: str) -> str:
    """The name of the copy of an endpoint for one drill: `mark`, some of 0-9 and a-z, is of no other one.

    What a drill kills stays killed, so no copy is used twice.
    """
    end = f".drill-{mark}"
    return f"{endpoint[: 63 - len(end)].rstrip('-_.')}{end}"


def is_drill(endpoint: str) -> bool:
    """Whether this is such a copy: it is in nobody's books and answers nobody when the drill is over."""
    return _DRILL.fullmatch(endpoint) is not None
