"""Who gives the orders, for the audit trail."""

import getpass


def whoami() -> str:
    """The name of the account this process runs under."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
