"""skops files: opened by skops, which makes nothing of the file but what was found harmless when it was deployed."""

from __future__ import annotations

from typing import Any

from .pickled import wrap

PRELOAD = ("pandas", "skops.io")


def load(path: str, options: dict[str, Any]) -> Any:
    """The model in the file; the types it holds were looked at before (`flavors/skops.py`)."""
    from skops.io import get_untrusted_types
    from skops.io import load as open_file

    try:
        model = open_file(path, trusted=get_untrusted_types(file=path))
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"it needs code that is not in its environment ({error}); give the package with --requirements"
        ) from error
    except Exception as error:
        raise ValueError(f"skops cannot read it ({type(error).__name__}: {str(error)[:300]}); save it again") from error
    return wrap(model)
