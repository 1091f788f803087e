"""Arrow's arrays and functions as the type checker sees them here: not at all.

The stubs are six versions behind pyarrow and reject calls that are right; what these calls do is covered by tests.
"""

from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.csv

Array = Any
ChunkedArray = Any
Scalar = Any

pa: Any = pyarrow
pc: Any = pyarrow.compute
pa_csv: Any = pyarrow.csv
