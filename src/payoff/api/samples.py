"""Sample rows in a file of the caller's, as an Arrow table: what a model is checked with before it may answer."""

from pathlib import Path
from typing import TYPE_CHECKING

from payoff.codecs import formats
from payoff.errors import BadInput, TooLarge

if TYPE_CHECKING:
    import pyarrow

BYTES_MAX = 64 << 20


def read(path: Path, filename: str) -> "pyarrow.Table":
    """The rows of the file at `path`; how they are written is told by `filename`. BadInput says what does not fit."""
    from payoff.codecs import samples  # needs Arrow, which a server that nobody deploys to does not

    codec = formats.by_suffix(filename)
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise BadInput(f"the sample {filename[:80]!r} is empty; give some 100 rows of what the model is asked")
    if size_bytes > BYTES_MAX:
        raise TooLarge(f"the sample is larger than {BYTES_MAX >> 20} MiB; some 100 rows are enough")
    try:
        return samples.table(path.read_bytes(), codec.name)
    except BadInput as error:
        raise BadInput(f"the sample {filename[:80]!r} cannot be read as {codec.name}: {error}") from error
