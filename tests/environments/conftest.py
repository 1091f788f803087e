"""Environments are built from packages that the test made."""

import os
from pathlib import Path

import pytest

from tests.environments.wheels import shop


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of packages; pip's and uv's own settings of this machine, and its proxies, are left aside."""
    for name in list(os.environ):
        if (name.startswith(("PIP_", "UV_")) and name != "UV_CACHE_DIR") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("PAYOFF_WHEELS_ONLY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(shop(tmp_path / "packages")))
    return tmp_path / "packages"
