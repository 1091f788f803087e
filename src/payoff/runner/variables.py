"""What a model's process is given: the environment variables that a library needs to start, nothing else of ours, and
what its walls are to let through.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from payoff.records.model import Bounds

_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "JAVA_HOME", "SYSTEMROOT")
_KEPT_WITH_NETWORK = tuple(name for stem in ("http_proxy", "https_proxy", "no_proxy") for name in (stem, stem.upper()))
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TOKENIZERS_PARALLELISM": "false", "TF_NUM_INTEROP_THREADS": "1"}
_ALONE = {"JOBLIB_MULTIPROCESSING": "0", "PYTHONNOUSERSITE": "1"}  # semaphores and shared memory are outside its walls


def variables(scratch: Path, threads: int, network: bool, ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Its home and its temporary files are its scratch folder; its libraries use as many threads as it may."""
    kept = _KEPT + _KEPT_WITH_NETWORK if network else _KEPT
    given = {name: ours[name] for name in kept if name in ours}
    places = {name: str(scratch) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")}
    return {
        **given,
        **places,
        **dict.fromkeys(_THREADS, str(threads)),
        **_QUIET,
        **_ALONE,
        **({} if network else _OFFLINE),
    }


def setup(bounds: Bounds, scratch: Path, read: Sequence[Path]) -> bytes:
    """What guest/start.py reads first."""
    words = {
        "memory_bytes_max": bounds.memory_bytes_max,
        "network": bounds.network,
        "scratch": [str(scratch.resolve())],
        "read": [str(path.resolve()) for path in read],
    }
    text = json.dumps(words).encode()
    return len(text).to_bytes(4, "little") + text
