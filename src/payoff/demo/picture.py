"""The story in one picture: money over the calendar, and who was stopped and promoted when."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

COLORS = {"everybody": "#6b7280", "v1": "#dc2626", "v2": "#2563eb", "answered": "#111827"}
LABELS = {
    "everybody": "calling everybody (the fallback)",
    "v1": "v1, trained on May to August 2008",
    "v2": "v2, trained on the crisis",
    "answered": "as answered, with payoff",
}


BASES = {"v1": "v1_everybody", "v2": "v2_everybody", "answered": "everybody"}


def draw(daily: pd.DataFrame, orders: list[dict[str, Any]], path: Path) -> None:
    """Write the picture; its type follows from the suffix of `path`."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    days = pd.to_datetime(daily["day"])
    figure, (above, below) = plt.subplots(2, 1, figsize=(11, 8.5), sharex=True, layout="constrained")
    for name in _known(daily, ("everybody", "v1", "v2", "answered")):
        above.plot(days, _while_there(daily, name).cumsum(), color=COLORS[name], label=LABELS[name], lw=_width(name))
    for name in _known(daily, ("v1", "v2", "answered")):
        lead = (_while_there(daily, name) - daily[BASES[name]]).cumsum()
        below.plot(days, lead, color=COLORS[name], label=LABELS[name], lw=_width(name))
    below.axhline(0, color=COLORS["everybody"], lw=1)
    for axis in (above, below):
        _mark(axis, orders)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    above.set_title("A bank's calls: what each version would have earned while it was there, and what was earned")
    above.set_ylabel("EUR, summed up")
    above.legend(loc="lower right")
    below.set_ylabel("EUR more than calling everybody")
    below.legend(loc="lower left")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _known(daily: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    """Those that were there at all: a short replay ends before v2."""
    return [name for name in names if daily[BASES.get(name, name)].any()]


def _while_there(daily: pd.DataFrame, name: str) -> "pd.Series[float]":
    """A version's line begins on its first day on the endpoint and ends on its last."""
    known = daily[f"{name}_everybody"] if f"{name}_everybody" in daily else daily[name]
    there = known != 0
    return daily[name].where(there.cummax() & there[::-1].cummax()[::-1])


def _width(name: str) -> float:
    return 2.2 if name == "answered" else 1.3


def _mark(axis: Any, orders: list[dict[str, Any]]) -> None:
    marked = [order for order in orders if order["order"] in ("kill", "promote")]
    for n, order in enumerate(marked):
        color = COLORS["v1"] if order["order"] == "kill" else COLORS["v2"]
        day = date.fromisoformat(order["date"])
        axis.axvline(pd.Timestamp(day), color=color, lw=1, ls="--")
        words = f" {order['order']} v{order['version']}\n {day:%d %b %Y}"
        place = {"xycoords": ("data", "axes fraction"), "va": "top", "fontsize": 9}
        axis.annotate(words, (pd.Timestamp(day), 1 - 0.1 * (n % 2)), color=color, **place)  # neighbours may be close
