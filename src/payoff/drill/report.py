"""What a drill found, for people and for machines."""

from dataclasses import asdict, dataclass
from typing import Any

from payoff.drill.alarms import Stop


@dataclass(frozen=True, slots=True)
class Report:
    """`plug` is payoff's own stop, None if it did not stop; `threshold` and `daily` what others would have done.

    `decided_by` is the guard that gave the kill. `kill_s` is how long it took, on this machine's clock, from sending
    the outcome that settled it until the fallback answered.
    """

    endpoint: str
    currency: str
    injected: str
    rows: int
    before: int
    plug: Stop | None
    decided_by: str
    reason: str
    kill_s: float | None
    threshold: Stop | None
    daily: Stop | None
    lost_in_all: float
    failed_requests: int = 0

    @property
    def passed(self) -> bool:
        """Whether the plug was pulled and no caller went without an answer."""
        return self.plug is not None and self.failed_requests == 0

    @property
    def text(self) -> str:
        """The result in a sentence, for the list of findings."""
        if self.plug is None:
            return (
                f"drill on {self.endpoint}: {self.injected}, and nothing stopped it within {self.rows:,} decisions; "
                f"it lost {self.lost_in_all:,.2f} {self.currency}"
            )
        return (
            f"drill on {self.endpoint}: {self.injected}, and was stopped after {self.plug.decisions:,} decisions, "
            f"{length(self.plug.seconds)} and {self.plug.lost:,.2f} {self.currency}, by {self.decided_by}"
        )

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"passed": self.passed, "text": self.text}

    def lines(self) -> list[str]:
        """As a table for a terminal."""
        head = f"{'':28}{'decisions':>11}{'time':>12}{'lost, ' + self.currency:>16}"
        named = (
            ("payoff", self.plug),
            ("a fixed threshold", self.threshold),
            ("a daily report at nine", self.daily),
        )
        told = [_line(name, one) for name, one in named]
        whole = f"{'nobody':28}{self.rows:>11,}{'':>12}{self.lost_in_all:>16,.2f}"
        words = [f"Injected after {self.before:,} good decisions: {self.injected}.", "", head, *told, whole, ""]
        if self.plug is not None:
            kill = "" if self.kill_s is None else f" The fallback answered {self.kill_s * 1000:,.0f} ms later."
            words.append(f"Stopped by {self.decided_by}.{kill}")
            words.append(self.reason)
        else:
            words.append("Nothing stopped it. Say what a decision is worth and give the endpoint a guard that kills.")
        words.append(f"{self.failed_requests} failed requests.")
        return words


def _line(name: str, found: Stop | None) -> str:
    if found is None:
        return f"{name:28}{'never':>11}{'':>12}{'':>16}"
    return f"{name:28}{found.decisions:>11,}{length(found.seconds):>12}{found.lost:>16,.2f}"


def length(seconds: float) -> str:
    """A time in the unit that people would use."""
    for size, name in ((172_800, "days"), (5_400, "hours"), (120, "minutes")):
        if seconds >= size:
            return f"{seconds / {'days': 86_400, 'hours': 3_600, 'minutes': 60}[name]:,.1f} {name}"
    return f"{seconds:,.1f} s"
