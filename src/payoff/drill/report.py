"""What a drill found, for people and for machines."""

from dataclasses import asdict, dataclass
from typing import Any

from payoff.drill.alarms import Stop


@dataclass(frozen=True, slots=True)
class Report:
    """`plug` is payoff's own stop, None if it did not stop; `threshold` and `daily` what others would have done.

    `decided_by` is the guard that gave the kill. `kill_s` is how long it took, on this machine's clock, from sending
    the outcome that settled it until the fallback answered. `failure` is what the first failed request was told.
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
    failure: str = ""

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
        if not self.plug.decisions:
            return f"drill on {self.endpoint}: stopped by {self.decided_by} before anything was injected"
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
        first = f"Injected after {self.before:,} good decisions" if self.before else "Replayed"
        words = [f"{first}: {self.injected}.", "", head, *told, whole, ""]
        if self.plug is not None:
            kill = "" if self.kill_s is None else f" The fallback answered {self.kill_s * 1000:,.0f} ms later."
            words.append(f"Stopped by {self.decided_by}.{kill}")
            words += [self.reason, *self._early()]
        else:
            words.append(
                f"Nothing stopped it within {self.rows:,} decisions. A smaller loss takes more of them: `payoff power "
                f"{self.endpoint}` says how many, --rows replays more, --loss injects more."
            )
        words.append(f"{self.failed_requests} failed requests{self.failure and ', the first: '}{self.failure}.")
        return words

    def _early(self) -> list[str]:
        if self.plug is None or self.plug.decisions:
            return []
        return ["That was before anything was injected: the recorded decisions themselves lose money."]


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
