"""The statement as one page of HTML for people who decide about money: nothing to load, nothing to run, prints on A4.

It is made from the JSON of the statement (see monitor/roi.plain), so that a kept reply makes the same page years later.
Every picture stands beside the figures that it shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from payoff.monitor import picture
from payoff.monitor.picture import Curve, Mark
from payoff.version import VERSION

Facts = Mapping[str, Any]
_STYLE = Path(__file__).with_name("page.css")
_ROUND_FROM = 1_000  # times the cost, whose decimals nobody reads
_POINTS_LEAST = 3  # fewer make no picture
_GAP = "\u00a0"  # between a number and its unit


def page(found: Sequence[Facts]) -> str:
    """One page for all these statements, in their order; each starts on a sheet of its own."""
    names = ", ".join(str(one["endpoint"]) for one in found) or "nothing deployed"
    body = "".join(_article(one) for one in found) or "<p>There are no endpoints yet.</p>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What it earned: {escape(names)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{body}<footer>Made by payoff {VERSION}. This page loads nothing and sends nothing.</footer>"
        "</main></body></html>\n"
    )


def amount(value: float | None, currency: str = "", sign: bool = False) -> str:
    """Money in words: cents below 100,000, more places below a cent, a true minus."""
    if value is None:
        return "not known"
    size = abs(value)
    places = 0 if size >= 100_000 else 2 if size >= 0.1 or size == 0 else 4 if size >= 0.001 else 6
    text = f"{size:,.{places}f}"
    before = "\u2212" if value < 0 and float(text.replace(",", "")) else "+" if sign and value > 0 else ""
    return f"{before}{text}{_GAP + currency if currency else ''}"


def _article(one: Facts) -> str:
    sections: list[Callable[[Facts], str]] = [
        _head, _headline, _tiles, _waterfall, _course, _versions, _plug, _threshold, _orders, _assumptions,
    ]  # fmt: skip
    return f"<article>{''.join(section(one) for section in sections)}</article>"


def _head(one: Facts) -> str:
    return (
        f"<header><h1>What {escape(one['endpoint'])} earned</h1><p>As of {escape(_moment(one['at']))}, revision "
        f"{one['revision']}, in {escape(one['currency'])}.</p></header>"
    )


def _headline(one: Facts) -> str:
    """The figure, its interval and, always, what it is compared with."""
    lead, currency = one["headline"], one["currency"]
    note = f"<p>{escape(one['note'])}</p>"
    if lead is None:
        return f'<section class="headline">{note}</section>'
    causal = "" if lead["causal"] else ' <strong class="tag warn">not causal</strong>'
    sure = lead["low"] is not None and (lead["low"] > 0 or lead["high"] < 0)
    figure = (
        f'<p class="amount {_side(lead["net"]) if sure else "quiet"}">{amount(lead["net"], currency, sign=True)}</p>'
    )
    return (
        f'<section class="headline"><p>Net value of <b>{escape(lead["subject"])}</b> against '
        f"<b>{escape(lead['baseline'])}</b>{causal}</p>{figure}<p>{_interval(lead, currency)} "
        f"{lead['decisions']:,} decisions, compute and other costs taken off.</p>{note}</section>"
    )


def _interval(lead: Facts, currency: str) -> str:
    if lead["low"] is None:
        return f'<span class="quiet">No interval yet: {escape(lead["how"])}.</span>'
    low, high = (amount(lead[end], currency, sign=True) for end in ("low", "high"))
    drawn = picture.whisker(lead["low"], lead["net"], lead["high"], (min(0.0, lead["low"]), max(0.0, lead["high"])))
    return f"{drawn}Between <b>{low}</b> and <b>{high}</b>, at 95{_GAP}% however often one looks."


def _tiles(one: Facts) -> str:
    total, flight, currency = one["total"], one["in_flight"], one["currency"]
    daily = total["break_even_per_day"]
    tiles = [
        ("", amount(total["net"], currency, sign=True), "earned in all, after every cost"),
        ("", "no cost yet" if total["roi"] is None else _times(total["roi"]), "net for every unit of cost"),
        ("cost", amount(total["cost_per_thousand"], currency), "cost per thousand decisions"),
        ("cost", "not metered yet" if daily is None else amount(daily, currency), "must be earned a day to break even"),
        ("flight", f"{flight['decisions']:,}", _flying(flight, currency)),
    ]
    cells = (
        f'<div class="tile {kind}"><b class="{kind}">{text}</b> <span>{words}</span></div>'
        for kind, text, words in tiles
    )
    return f'<section class="tiles" aria-label="Key figures">{"".join(cells)}</section>'


def _times(ratio: float) -> str:
    return f"{ratio:,.1f} times" if abs(ratio) < _ROUND_FROM else f"{ratio:,.0f} times"


def _flying(flight: Facts, currency: str) -> str:
    """Money that is not there yet is an estimate and stands alone."""
    told = "decisions in flight"
    if flight["early"]:
        told += f"; {flight['early']:,} have an outcome already: {amount(flight['early_value'], currency, sign=True)}"
    if flight["low"] is not None:
        told += (
            f"; by what others earned, about {amount(flight['expected'], currency, sign=True)} "
            f"({amount(flight['low'], sign=True)} to {amount(flight['high'], sign=True)})"
        )
    return f"{told}. Not part of any sum here."


def _waterfall(one: Facts) -> str:
    """From gross to net, each step a row with its bar."""
    steps, currency = one["waterfall"], one["currency"]
    tops = _levels(steps)
    span = min([0.0, *(low for low, _ in tops)]), max([0.0, *(high for _, high in tops)])
    rows = "".join(
        f'<tr><th scope="row">{escape(step["what"])}<div class="quiet">{escape(step["note"])}</div></th>'
        f'<td class="n">{amount(step["amount"], sign=step["kind"] != "cost")}</td>'
        f'<td class="bars">{picture.bar(*level, span, _bar_kind(step))}</td></tr>'
        for step, level in zip(steps, tops, strict=True)
    )
    caption = (
        f"Realised money only, in {escape(currency)}: decisions whose outcome counts, and every cost that was booked."
    )
    return f"<section><h2>From gross to net</h2>{_table(caption, ('Step', 'Amount', ''), rows, (1,))}</section>"


def _levels(steps: Sequence[Facts]) -> list[tuple[float, float]]:
    """Where the bar of each step begins and ends: gross and net stand on 0, costs hang where the one before ended."""
    level, found = 0.0, []
    for step in steps:
        begin = level if step["kind"] == "cost" else 0.0
        level = begin + step["amount"]
        found.append((begin, level))
    return found


def _bar_kind(step: Facts) -> str:
    if step["kind"] == "net":
        return "net"
    return "cost" if step["kind"] == "cost" else _side(step["amount"])


def _course(one: Facts) -> str:
    """What was earned so far, against what it cost and what the fallback would have earned."""
    points, currency = one["course"], one["currency"]
    if len(points) < _POINTS_LEAST:
        return ""
    curves = [Curve("earned so far, before costs", "earned", _points(points, "value"))]
    if points[-1]["baseline"] is not None:
        curves.append(Curve("what the fallback would have earned", "other", _points(points, "baseline")))
    curves.append(Curve("break-even: what it cost so far", "bar-line", _points(points, "cost")))
    ends = tuple(f"decision {point['decisions']:,}, {_moment(point['at'])}" for point in (points[0], points[-1]))
    words = _heights([0.0, *(y for curve in curves for _, y in curve.points)], currency)
    title = f"Money earned so far, by {ends[1]}: {amount(points[-1]['value'], currency)}"
    drawn = picture.plot(title, curves, (ends[0], ends[1]), words)
    return f"<section><h2>Decision by decision</h2><figure>{drawn}</figure></section>"


def _heights(heights: Sequence[float], currency: str) -> list[tuple[float, str]]:
    """Words for the y axis: the highest, the lowest, and 0 where it is not in the way of these."""
    low, high = min(heights), max(heights)
    room = (high - low) / 12
    found = [high, low] if high > low else [high]
    found += [0.0] if low + room < 0 < high - room else []
    return [(y, amount(0.0 if abs(y) < room / 10 else y, currency)) for y in found]


def _points(points: Sequence[Facts], name: str) -> list[tuple[float, float]]:
    return [(float(point["decisions"]), float(point[name])) for point in points]


def _versions(one: Facts) -> str:
    parts = ["<section><h2>By version</h2>"]
    caption = f"Who answered: money that was earned and spent, in {escape(one['currency'])}."
    parts.append(_lines(one["versions"], caption) if one["versions"] else "<p>Nothing answered yet.</p>")
    if one["watched"]:
        parts.append(_lines(one["watched"], "Who only watched: what would have been. Not money, and in no sum above."))
    parts += (f"<p>{escape(row['explanation'])}</p>" for row in one["versions"] if row["explanation"])
    return "".join((*parts, "</section>"))


def _lines(rows: Sequence[Facts], caption: str) -> str:
    heads = (
        "Version",
        "Matured",
        "In flight",
        "Value",
        "Cost",
        "Net",
        "Expected net",
        "Against its baseline",
        "Verdict",
    )
    cells = "".join(
        f'<tr><th scope="row">{escape(_name(row))}<div class="quiet">{escape(row["role"])}</div></th>'
        f'<td class="n">{row["matured"]:,}</td><td class="n flight">{row["in_flight"]:,}</td>'
        f'<td class="n">{amount(row["value"])}</td><td class="n">{amount(row["cost"])}</td>'
        f'<td class="n {_side(row["net"])}">{amount(row["net"], sign=True)}</td>'
        f'<td class="n">{_between(row["low"], row["high"])}</td><td>{_uplift(row["uplift"])}</td>'
        f"<td>{escape(row['verdict'])}</td></tr>"
        for row in rows
    )
    return _table(caption, heads, cells, (1, 2, 3, 4, 5, 6), "lines")


def _uplift(uplift: Facts | None) -> str:
    """Never without the baseline's name."""
    if uplift is None:
        return '<span class="quiet">nothing to compare with</span>'
    causal = "" if uplift["causal"] else ' <strong class="warn">(not causal)</strong>'
    between = "" if uplift["low"] is None else f'<div class="quiet">{_between(uplift["low"], uplift["high"])}</div>'
    more = "more" if uplift["net"] >= 0 else "less"
    return f"{amount(abs(uplift['net']))} {more} than {escape(uplift['baseline'])}{causal}{between}"


def _plug(one: Facts) -> str:
    """Would it be stopped in time? Evidence, limits, and when that was last tried."""
    plug = one["plug"]
    parts = ["<section><h2>Pulling the plug</h2>"]
    if plug["meters"]:
        rows = "".join(_meter(each) for each in plug["meters"])
        caption = "Evidence, on a scale where each step is ten times the one before. At the line the guard acts."
        parts.append(_table(caption, ("Question", "Evidence", "", "Acts"), rows, (1,)))
    else:
        parts.append("<p>No guard judges what this endpoint earns.</p>")
    if plug["limits"]:
        rows = "".join(_limit(each) for each in plug["limits"])
        parts.append(_table("Hard limits, and how much of each is used.", ("Limit", "Used", "", "Then"), rows, (1,)))
    else:
        parts.append("<p>No hard limit on money applies to a version that answers now.</p>")
    drill = plug["last_drill"]
    told = (
        f"{escape(_moment(drill['at']))}: {escape(drill['text'])}" if drill else "never; try <code>payoff drill</code>"
    )
    parts.append(f"<p>Last drill: {told}</p></section>")
    return "".join(parts)


def _meter(each: Facts) -> str:
    guard = each["do"] or "only shown"
    return (
        f'<tr><th scope="row">{escape(each["name"])} {escape(each["question"])}<div class="quiet">{each["tested"]:,} '
        f'decisions tested</div></th><td class="n">{_evidence(each["e_value"])} of {_evidence(each["threshold"])}</td>'
        f'<td class="bars">{picture.meter(each["e_value"], each["threshold"])}</td><td>{escape(guard)}</td></tr>'
    )


def _limit(each: Facts) -> str:
    share = each["found"] / each["above"] if each["above"] else float(each["found"] > 0)
    kind = "loss" if share >= 1 else "cost" if share >= 0.5 else "gain"
    return (
        f'<tr><th scope="row">{escape(each["who"])} {escape(each["when"])}'
        f'<div class="quiet">{escape(each["over"])}</div></th>'
        f'<td class="n">{amount(each["found"])} of {amount(each["above"])}</td>'
        f'<td class="bars">{picture.gauge(share, kind)}</td><td>{escape(each["do"])}</td></tr>'
    )


def _threshold(one: Facts) -> str:
    found = one.get("threshold")
    return (
        "" if found is None else f"<section><h2>The decision threshold</h2>{_profit(found, one['currency'])}</section>"
    )


def _profit(found: Facts, currency: str) -> str:
    """The profit curve with the present threshold and the suggested one."""
    if found.get("refusal"):
        return f"<p>{escape(found['refusal'])}</p>"
    points = list(zip(found["thresholds"], found["profit"], strict=True))
    heights = [y for _, y in points]
    words = _heights(heights, currency)
    low, high = found["best_low"], found["best_high"]
    marks = [
        Mark(f"suggested: {found['best']:.4g}, between {low:.4g} and {high:.4g}", "best", found["best"], low, high),
        Mark(f"present: {found['present']:.4g}", "present", found["present"]),
    ]
    title = f"Money per decision by threshold of {found['score']}"
    drawn = picture.plot(
        title,
        [Curve("money per decision", "profit", points)],
        (f"{points[0][0]:.4g}", f"{points[-1][0]:.4g}"),
        words,
        marks,
    )
    return f"<p>{escape(found['note'])}</p><figure>{drawn}</figure>"


def _orders(one: Facts) -> str:
    orders = one["plug"]["orders"]
    if not orders:
        return ""
    rows = "".join(
        f"<tr><td>{escape(_moment(order['at']))}</td><td>{escape(order['verb'])}</td><td>{escape(order['author'])}</td>"
        f"<td>{escape(order['reason'])}</td></tr>"
        for order in orders
    )
    heads = ("When", "Order", "By", "Why")
    return f"<section><h2>What was ordered</h2>{_table('The newest orders first.', heads, rows)}</section>"


def _assumptions(one: Facts) -> str:
    told = "".join(f"<li>{escape(text)}</li>" for text in one["assumptions"])
    return f"<section><h2>On what this rests</h2><ul>{told}</ul></section>"


def _table(caption: str, heads: Iterable[str], rows: str, numbers: Sequence[int] = (), kind: str = "") -> str:
    """A table that a narrow screen can move sideways; columns at `numbers` stand to the right."""
    head = "".join(
        f'<th scope="col"{" class=n" if n in numbers else ""}>{escape(text)}</th>' for n, text in enumerate(heads)
    )
    return (
        f'<div class="wide" tabindex="0"><table class="{kind}"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _between(low: float | None, high: float | None) -> str:
    return "not yet" if low is None else f"{amount(low, sign=True)} to {amount(high, sign=True)}"


def _evidence(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}" if value < 1e6 else f"{value:.0e}"


def _side(value: float) -> str:
    return "loss" if value < 0 else "gain"


def _name(row: Facts) -> str:
    return f"{row['model']} v{row['version']}" if row["model"] else "fallback"


def _moment(at: str) -> str:
    """An ISO time to the minute."""
    return f"{at[:10]} {at[11:16]} UTC"
