"""What outcomes were refused, endpoint by endpoint: counted by reason for good, and the latest ones listed.

Kept in HOME/refused, a small file per endpoint, written when something is refused.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from payoff.store import files

LATEST_MAX = 100  # of an endpoint
_WORDS_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused row, or a whole call that could not be read: its reason, and the words the caller got."""

    at_us: int
    reason: str
    what: str
    row: int | None = None  # of its call, the first is 0
    prediction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many were refused for each reason, and the latest of them, newest first."""

    counts: Mapping[str, int] = field(default_factory=dict)
    latest: tuple[Refusal, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def words(self) -> str:
        """The counts in a line."""
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in self.counts.items())
        return f"{self.total:,} refused ({reasons})"

    def and_(self, counts: Mapping[str, int], latest: Sequence[Refusal]) -> "Tally":
        """With what came later."""
        names = sorted({*self.counts, *counts})
        summed = {name: self.counts.get(name, 0) + counts.get(name, 0) for name in names}
        return Tally(summed, (*reversed(latest), *self.latest)[:LATEST_MAX])


class Refused:
    """The tallies of a home. May be used by several threads."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "refused"
        self._lock = threading.Lock()

    def add(self, endpoint: str, counts: Mapping[str, int], latest: Sequence[Refusal]) -> None:
        """Count what was refused in one call; `latest` are some of it, oldest first."""
        with self._lock, files.told("counting refused outcomes"):
            tally = self.of(endpoint).and_(counts, latest)
            content = {"counts": dict(tally.counts), "latest": [asdict(one) for one in tally.latest]}
            files.replace(files.folder(self._folder) / f"{endpoint}.json", json.dumps(content).encode())

    def of(self, endpoint: str) -> Tally:
        """What was refused for one endpoint; nothing, where a loss of power left half a file."""
        try:
            found = json.loads((self._folder / f"{endpoint}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return Tally()
        return Tally(found["counts"], tuple(Refusal(**one) for one in found["latest"]))

    def all(self) -> dict[str, Tally]:
        """Every endpoint of which something was refused."""
        return {path.stem: self.of(path.stem) for path in sorted(self._folder.glob("*.json"))}


def refusal(at_us: int, reason: str, what: str, row: int | None = None, prediction_id: str | None = None) -> Refusal:
    """One refusal, its words short and fit to be written."""
    plain = what.encode("utf-8", "replace").decode()
    return Refusal(at_us, reason, plain[:_WORDS_CHARS_MAX], row, prediction_id)
