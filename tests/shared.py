"""Where the environments of all tests are: built once, outside their homes, in .environments unless told otherwise."""

import os
from pathlib import Path

ENVIRONMENTS = Path(os.environ.get("PAYOFF_ENVIRONMENTS") or Path(__file__).parents[1] / ".environments").resolve()
