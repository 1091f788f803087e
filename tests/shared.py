"""What the tests of all rooms share: environments, built once outside their homes, and patience with what others do."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ENVIRONMENTS = Path(os.environ.get("PAYOFF_ENVIRONMENTS") or Path(__file__).parents[1] / ".environments").resolve()
"""Where the environments of all tests are: in .environments, unless told otherwise."""
PATIENCE_S = 300.0  # only what hangs takes longer, on any machine
Found = TypeVar("Found")


def until(look: Callable[[], Found | None], expected: str) -> Found:
    """What `look` finds, as soon as it finds something; where it never does, the test fails with what was expected."""
    end = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < end, f"expected within {PATIENCE_S:g} s: {expected}"
        time.sleep(0.02)
    return found
