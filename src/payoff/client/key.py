"""The key that opens a server's doors, as an HTTP header can carry it."""

from payoff.errors import BadInput


def sound(key: str | None) -> str | None:
    """The key itself, or None if there is none; BadInput, which never shows it, if no header can carry it."""
    if not key:
        return None
    if not all("!" <= one <= "~" for one in key):
        raise BadInput(
            f"the key (PAYOFF_KEY) {_fault(key)}, which no HTTP header can carry; "
            "use plain ASCII letters, digits and signs without white space"
        )
    return key


def _fault(key: str) -> str:
    if not key.strip():
        return "is blank"
    if not key.isascii():
        return "has a character beyond ASCII"
    return "has white space or a control character in it"
