"""`payoff demo`: the bank story, on real data, end to end, on a payoff of its own."""

import json
import sys
import tempfile
import textwrap
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from payoff.demo import books, picture
from payoff.demo.bank import ENDPOINT
from payoff.demo.server import running
from payoff.demo.story import ASSUMPTIONS, Story, result
from payoff.errors import BadInput

PICTURE = "payoff-demo.png"

INTRODUCTION = """\
A bank phones customers to sell term deposits: 45,211 real calls, in order, May 2008 to November 2010,
through the crisis. A prediction decides: call, or do not call. Our assumptions: a deposit is worth 60 EUR,
a call costs 2 EUR and 24 EUR per hour.
If no model is trusted, everybody is called: that is the fallback, and what every model has to beat.
"""


def run(
    headless: bool = False,
    rows: int | None = None,
    speed: float | None = None,
    as_json: bool = False,
    home: Path | None = None,
    out: Path | None = None,
) -> None:
    """Play the story: `rows` calls after the training data (all), `speed` story days per second (as fast as it can)."""
    require_extras()
    path = (out or Path(PICTURE)).absolute()
    say = silent if headless or as_json else aloud
    with ExitStack() as stack:
        place = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payoff-demo-")))
        say(INTRODUCTION)
        server = stack.enter_context(running(place))
        say(f"payoff is up: inference {server.inference}, API {server.api}/api/docs")
        story = Story(server, say, rows, speed or 0.0)
        story.play()
        report = path.with_suffix(".html")
        found = result(story, path, report)
        picture.draw(books.daily(story.client), found["orders"], path)
        report.write_text(story.client.endpoint(ENDPOINT).roi_page(), encoding="utf-8")
    if as_json:
        aloud(json.dumps(found, indent=1))
    else:
        aloud(summary(found))


def summary(found: dict[str, Any]) -> str:
    """The end, for people."""
    head = f"{'':14} {'answered':>9} {'value':>12} {'compute':>9} {'net':>12} {'interval':>26} {'vs everybody':>13}"
    lines = ["", "What each version earned where it answered, in EUR", head]
    lines += [_line(row) for row in found["versions"]]
    lines += ["", "What was ordered"]
    for order in found["orders"]:
        version = f" v{order['version']}" if order["version"] else ""
        after = f"after {order['after_predictions']:,} predictions"
        if order["answered_by_then"] > order["after_predictions"]:
            after += f" with a known outcome ({order['answered_by_then']:,} answered)"
        lines.append(f"  {order['date']}  {order['order']}{version}, {after}, by {order['by']}")
    lines += ["", *(textwrap.fill(text, 118) for text in (*found["findings"][-1:], found["conclusion"])), ""]
    lines.append(
        f"{found['answered']:,} predictions answered, {found['journaled']:,} in the journal, "
        f"{found['failed_requests']} failed requests, {found['outcomes']:,} outcomes reported."
    )
    told = [textwrap.fill(f"  - {text}", 118, subsequent_indent="    ") for text in ASSUMPTIONS]
    lines += ["Assumptions:", *told, f"The picture: {found['picture']}", f"The report: {found['report']}"]
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> str:
    name = "fallback" if row["version"] is None else f"v{row['version']} ({row['role']})"
    low, high = row["interval"]
    between = "" if low is None or high is None else f"{low:,.0f} to {high:,.0f}"
    return (
        f"{name:14} {row['answered']:9,} {row['value']:12,.2f} {row['cost']:9.6f} {row['net']:12,.2f} "
        f"{between:>26} {round(row['vs_fallback'], 2) or 0.0:13,.2f}"
    )


def require_extras() -> None:
    """The demo trains and draws; say so before anything starts."""
    try:
        import matplotlib  # noqa: F401
        import skl2onnx  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        raise BadInput(f'the demo needs {error.name}, which is missing: pip install "payoff[demo]"') from error


def aloud(text: str) -> None:
    """Print at once: a story is followed while it is told."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def silent(text: str) -> None:
    """Nobody is watching."""
