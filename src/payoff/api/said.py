"""What a deploy's form says beside its files, read and checked in one place: into Said, lineage and tags."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from payoff.codecs.document import refuse_aliases
from payoff.errors import BadInput
from payoff.flavors.flavor import Said
from payoff.records.model import Bounds

BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
FIELDS = ("requirements", "python", "memory", "load_timeout", "call_timeout", "runners", "threads", "network", "native",
          "options")  # fmt: skip
LINEAGE = ("code", "data", "metrics", "note")
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)")
_MEMORY_BYTES_MIN, _COUNT_MAX, _SECONDS_MAX = 64 << 20, 64, 86_400.0
_METRICS_MAX, _TEXT_CHARS_MAX = 256, 10_000


def read(texts: Mapping[str, str]) -> Said:
    """What the user says of the artefact; BadInput names the field, its value and what was expected."""
    plain = Bounds()
    return Said(
        requirements=requirements(texts["requirements"]) if "requirements" in texts else None,
        python=_python(texts["python"]) if "python" in texts else None,
        bounds=Bounds(
            memory_bytes_max=_memory(texts["memory"]) if "memory" in texts else plain.memory_bytes_max,
            load_s_max=_seconds(texts, "load_timeout", plain.load_s_max),
            call_s_max=_seconds(texts, "call_timeout", plain.call_s_max),
            threads=_count(texts, "threads", plain.threads),
            processes=_count(texts, "runners", plain.processes),
            network=flag(texts, "network"),
        ),
        native=flag(texts, "native"),
        options=_options(texts["options"]) if "options" in texts else {},
    )


def lineage(texts: Mapping[str, str]) -> dict[str, Any]:
    """Where a version comes from, as its provenance keeps it under `lineage`: code, data, metrics, note."""
    found: dict[str, Any] = {name: _short(texts[name], name) for name in ("code", "data", "note") if name in texts}
    if "metrics" in texts:
        found["metrics"] = _metrics(texts["metrics"])
    return {"lineage": found} if found else {}


def tags(texts: Mapping[str, str]) -> dict[str, str]:
    """Words to find a version by."""
    said = mapping(texts["tags"], "tags") if "tags" in texts else {}
    if not all(isinstance(value, str) for value in said.values()):
        raise BadInput('tags are an object of texts, as in {"team": "risk"}')
    return said


def requirements(text: str) -> tuple[str, ...]:
    """The lines of a requirements file, or names with commas between: each as pip reads it, comments left out."""
    found: list[str] = []
    for line in re.sub(r"\\\s*\n", " ", text).splitlines():
        plain = re.sub(r"((^|\s)#.*|\s--hash=\S+)", "", line).strip()
        if plain.startswith("-"):
            raise BadInput(
                f"requirements: {plain[:80]!r} is an option of pip, which is not taken; give packages only, and set "
                "the index in the server's pip configuration"
            )
        found += [one for one in (part.strip() for part in _apart(plain)) if one]
    if not found:
        raise BadInput("requirements name no package; write one per line, or a==1, b>=2 with commas between")
    return tuple(found)


def flag(texts: Mapping[str, str], name: str) -> bool:
    """Yes or no; no where nothing is said."""
    said = texts.get(name, "no").strip().lower()
    if said not in YES + NO:
        raise BadInput(f"{name} is {said[:40]!r}; say yes or no")
    return said in YES


def mapping(text: str, what: str) -> dict[str, Any]:
    """A mapping of texts to something, written as JSON or YAML."""
    try:
        found = _value(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{what} are not JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise BadInput(f'{what} are an object with names, as in {{"name": ...}}; got {text[:60]!r}')
    return found


def only(texts: Mapping[str, str], known: tuple[str, ...]) -> None:
    """BadInput names a field that nobody knows."""
    for name in texts:
        if name not in known:
            raise BadInput(f"there is no field {name[:40]!r}; there are: artifact, sample, {', '.join(known)}")


def upload_name(filename: str) -> str:
    """What a file is called, without the suffixes of a packed folder."""
    return re.sub(r"\.tar$", "", Path(filename).name) or "model"


def _apart(line: str) -> list[str]:
    """`a==1, b[x,y]>=2,<3 ; python_version < "3.12"` at the commas that part packages, not bounds or extras.

    A comma parts two packages if what follows begins like a name; a bound begins with one of <>=!~.
    """
    if ";" in line or "@" in line:
        return [line]
    return re.split(r",(?![^\[]*\])\s*(?=[A-Za-z0-9])", line)


def _value(text: str) -> Any:
    """JSON where it is JSON: YAML 1.1 takes 1e-3 for a text."""
    try:
        return json.loads(text)
    except ValueError:
        refuse_aliases(text)
        return yaml.safe_load(text)


def _python(text: str) -> str:
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,2})?", text):
        raise BadInput(f"python is {text[:40]!r}; say a version such as 3.11")
    return text


def _memory(text: str) -> int:
    found = _quantity(text, BYTES, "memory", "4G, 512M")
    if found < _MEMORY_BYTES_MIN:
        raise BadInput(f"memory is {text[:40]!r}, which is too little for any model; say at least 64M, or 4G")
    return int(found)


def _seconds(texts: Mapping[str, str], name: str, otherwise: float) -> float:
    if name not in texts:
        return otherwise
    found = _quantity(texts[name], SECONDS, name, "30s, 500ms, 2m")
    if not 0 < found <= _SECONDS_MAX:
        raise BadInput(f"{name} is {texts[name][:40]!r}; say more than nothing and at most a day, as in 30s")
    return found


def _quantity(text: str, units: Mapping[str, float], name: str, examples: str) -> float:
    match = _NUMBER.fullmatch(text.strip().lower())
    unit = match[2] if match else ""
    if units is BYTES:
        unit = re.sub(r"(?<=[kmgt])i?b$", "", unit)
    if match is None or unit not in units:
        raise BadInput(f"{name} is {text[:40]!r}; write it as in {examples}")
    return float(match[1]) * units[unit]


def _count(texts: Mapping[str, str], name: str, otherwise: int) -> int:
    if name not in texts:
        return otherwise
    text = texts[name].strip()
    if not re.fullmatch(r"\d{1,4}", text) or not 1 <= int(text) <= _COUNT_MAX:
        raise BadInput(f"{name} is {text[:40]!r}; say a whole number from 1 to {_COUNT_MAX}")
    return int(text)


def _options(text: str) -> dict[str, Any]:
    found = mapping(text, "options")
    for name, value in found.items():
        if not isinstance(value, str | int | float | bool | None | list | dict):
            raise BadInput(f"the option {name[:40]!r} is a {type(value).__name__}; put it in quotes to make it a text")
    return found


def _metrics(text: str) -> dict[str, float]:
    found = mapping(text, "metrics")
    if len(found) > _METRICS_MAX:
        raise BadInput(f"{len(found)} metrics are too many; the limit is {_METRICS_MAX}")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadInput(f"the metric {name[:40]!r} is {str(value)[:40]!r}; say a number, as in 0.93")
    return {name: float(value) for name, value in found.items()}


def _short(text: str, name: str) -> str:
    if len(text) > _TEXT_CHARS_MAX:
        raise BadInput(f"{name} has {len(text):,} characters; keep it under {_TEXT_CHARS_MAX:,} and link to the rest")
    return text
