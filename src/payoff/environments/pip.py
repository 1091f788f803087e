"""What pip is told on this machine, for uv, which does not read it: a company's pip.conf goes on to hold.

The files are read as pip reads them (global, the user's, the interpreter's, PIP_CONFIG_FILE, then the variables), so
that no pip need be installed. What is said to uv itself (UV_*) is stronger.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_SECTIONS = ("global", "install")
_FOR_UV = {  # pip's name -> uv's variable, and what is between several
    "index_url": ("UV_DEFAULT_INDEX", " "),
    "extra_index_url": ("UV_INDEX", " "),
    "find_links": ("UV_FIND_LINKS", ","),
    "trusted_host": ("UV_INSECURE_HOST", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
    "default_timeout": ("UV_HTTP_TIMEOUT", ""),
    "keyring_provider": ("UV_KEYRING_PROVIDER", ""),
    "cert": ("SSL_CERT_FILE", ""),
    "client_cert": ("SSL_CLIENT_CERT", ""),
    "proxy": ("ALL_PROXY", ""),
}


def for_uv(ours: Mapping[str, str]) -> dict[str, str]:
    """The variables that make uv look where pip looks; none that the user has set for uv."""
    told = settings(ours)
    made = {}
    for name, (variable, between) in _FOR_UV.items():
        words = told.get(name, "").split()
        if words:
            made[variable] = between.join(words) if between else words[0]
    if "UV_INDEX" in made:
        made["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip weighs all of its indexes alike
    return {name: value for name, value in made.items() if not ours.get(name)}


def settings(ours: Mapping[str, str]) -> dict[str, str]:
    """pip's settings by name ("index_url"); a later place is stronger than an earlier one."""
    told: dict[str, str] = {}
    for path in _files(ours):
        for section, name, value in _read(path):
            if section in _SECTIONS:
                told[name] = value
    for name, value in ours.items():
        if name.startswith("PIP_") and value:
            told[name.removeprefix("PIP_").lower()] = value
    return told


def _files(ours: Mapping[str, str]) -> Iterator[Path]:
    named = ours.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(ours.get("HOME") or Path.home())
    mac = sys.platform == "darwin"
    shared = "/Library/Application Support" if mac else ours.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    yield from (Path(folder, "pip", "pip.conf") for folder in reversed(shared.split(os.pathsep)))
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    own = home / "Library" / "Application Support" if mac else Path(ours.get("XDG_CONFIG_HOME") or home / ".config")
    yield own / "pip" / "pip.conf"
    yield Path(sys.prefix, "pip.conf")
    if named:
        yield Path(named)


def _read(path: Path) -> list[tuple[str, str, str]]:
    """Section, name and value; a file that cannot be read says nothing."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return []
    return [
        (section, name.replace("-", "_"), value)
        for section in _SECTIONS
        if parser.has_section(section)
        for name, value in parser.items(section)
    ]
