"""Who gives the orders, and from which state of which code: for the audit trail and the lineage of versions."""

import getpass
import subprocess


def whoami() -> str:
    """The name of the account this process runs under."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def code() -> str | None:
    """The commit of the current folder's git work tree, with "-dirty" if tracked files differ; None outside of one."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None  # no git, no work tree, no commit yet
    return done.stdout.strip() or None
