"""The environment variables of a model's process: what a library needs to start, and nothing else of ours."""

import os
from collections.abc import Mapping
from pathlib import Path

_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_KEPT_WITH_NETWORK = tuple(name for stem in ("http_proxy", "https_proxy", "no_proxy") for name in (stem, stem.upper()))
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "LOKY_MAX_CPU_COUNT",
)  # fmt: skip
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TOKENIZERS_PARALLELISM": "false", "TF_NUM_INTEROP_THREADS": "1"}


def variables(scratch: Path, threads: int, network: bool, ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Its home and its temporary files are its scratch folder; its libraries use as many threads as it may."""
    kept = _KEPT + _KEPT_WITH_NETWORK if network else _KEPT
    given = {name: ours[name] for name in kept if name in ours}
    places = {name: str(scratch) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")}
    return {**given, **places, **dict.fromkeys(_THREADS, str(threads)), **_QUIET, **({} if network else _OFFLINE)}
