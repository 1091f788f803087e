"""Pictures of money as inline SVG that carries no words: those stand beside it as text, so a phone can show both."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import log10

_WIDTH, _HEIGHT = 600.0, 200.0  # of a plot, in its own units: it stretches to the place it gets
_SEEN_LEAST = 0.6  # per cent of the width that a bar has at least, so that a small cost is seen


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points (x, y); `kind` is its class in the style sheet, `name` its words in the legend."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the x axis, with a band around it from `low` to `high` if given; `kind` and `name` as of a Curve."""

    name: str
    kind: str
    at: float
    low: float | None = None
    high: float | None = None


def bar(begin: float, end: float, span: tuple[float, float], kind: str) -> str:
    """A bar from `begin` to `end` on a scale of `span`, with a mark at 0. What it says is written beside it."""
    left, right = sorted(_share(each, span) for each in (begin, end))
    width = max(right - left, _SEEN_LEAST)
    left = min(left, 100 - width)
    zero = _share(0.0, span)
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" class="bar">'
        f'<rect class="{kind}" x="{left:.2f}" y="1.5" width="{width:.2f}" height="7"/>'
        f'<line class="mark" x1="{zero:.2f}" x2="{zero:.2f}" y1="0" y2="10" vector-effect="non-scaling-stroke"/></svg>'
    )


def whisker(low: float, middle: float, high: float, span: tuple[float, float]) -> str:
    """An interval with its middle on a scale of `span`, with a mark at 0."""
    left, dot, right, zero = (_share(each, span) for each in (low, middle, high, 0.0))
    line = 'vector-effect="non-scaling-stroke"'
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" class="bar">'
        f'<line class="mark" x1="{zero:.2f}" x2="{zero:.2f}" y1="0" y2="10" {line}/>'
        f'<line class="whisker" x1="{left:.2f}" x2="{right:.2f}" y1="5" y2="5" {line}/>'
        f'<rect class="net" x="{max(0.0, dot - 0.6):.2f}" y="1.5" width="1.2" height="7"/></svg>'
    )


def gauge(share: float, kind: str) -> str:
    """How full something is, 0 to 1; more than full is full."""
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        '<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" class="bar">'
        '<rect class="rail" x="0" y="2" width="100" height="6"/>'
        f'<rect class="{kind}" x="0" y="2" width="{width:.2f}" height="6"/></svg>'
    )


def evidence(e_value: float, threshold: float) -> tuple[float, float]:
    """Where an e-value and its threshold lie on a logarithmic scale from 1/10 to ten times the threshold, 0 to 1."""
    span = log10(threshold) + 2
    return (log10(max(e_value, 1e-9)) + 1) / span, (log10(threshold) + 1) / span


def meter(e_value: float, threshold: float) -> str:
    """The e-value as a bar on a logarithmic scale; the thick line is the threshold."""
    full, bar_at = evidence(e_value, threshold)
    kind = "loss" if full >= bar_at else "cost" if e_value >= threshold / 10 else "gain"
    at = f"{100 * bar_at:.2f}"
    line = f'<line class="threshold" x1="{at}" x2="{at}" y1="0" y2="10" vector-effect="non-scaling-stroke"/></svg>'
    return gauge(full, kind).replace("</svg>", line)


def plot(
    title: str,
    curves: Sequence[Curve],
    ends: tuple[str, str],
    y_words: Sequence[tuple[float, str]],
    marks: Sequence[Mark] = (),
) -> str:
    """Lines over one another, with words at heights of the y axis and at both ends of the x axis, and a legend.

    Empty where no curve has two points.
    """
    every = [point for curve in curves for point in curve.points]
    if not any(len(curve.points) > 1 for curve in curves):
        return ""
    xs = [x for x, _ in every] + [m for mark in marks for m in (mark.at, mark.low, mark.high) if m is not None]
    ys = [y for _, y in every] + [y for y, _ in y_words]
    x_span, y_span = (min(xs), max(xs)), (min(ys), max(ys))
    inside = "".join(_mark(mark, x_span) for mark in marks)
    inside += "".join(_axis(y, y_span) for y, _ in y_words)
    inside += "".join(_line(curve, x_span, y_span) for curve in curves)
    words = "".join(f'<span style="top:{100 - _share(y, y_span):.1f}%">{escape(text)}</span>' for y, text in y_words)
    legend = "".join(f'<li class="{curve.kind}">{escape(curve.name)}</li>' for curve in curves)
    legend += "".join(f'<li class="{mark.kind}">{escape(mark.name)}</li>' for mark in marks)
    return (
        f'<div class="plot"><div class="y" aria-hidden="true">{words}</div>'
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" role="img">'
        f"<title>{escape(title)}</title>{inside}</svg>"
        f'<div class="x" aria-hidden="true"><span>{escape(ends[0])}</span><span>{escape(ends[1])}</span></div></div>'
        f'<ul class="legend">{legend}</ul>'
    )


def _line(curve: Curve, x_span: tuple[float, float], y_span: tuple[float, float]) -> str:
    steps = " ".join(
        f"{_share(x, x_span) / 100 * _WIDTH:.1f},{_HEIGHT - _share(y, y_span) / 100 * _HEIGHT:.1f}"
        for x, y in curve.points
    )
    return f'<polyline class="{curve.kind}" points="{steps}" vector-effect="non-scaling-stroke"/>'


def _axis(y: float, y_span: tuple[float, float]) -> str:
    at = f"{_HEIGHT - _share(y, y_span) / 100 * _HEIGHT:.1f}"
    return f'<line class="axis" x1="0" x2="{_WIDTH:.0f}" y1="{at}" y2="{at}" vector-effect="non-scaling-stroke"/>'


def _mark(mark: Mark, x_span: tuple[float, float]) -> str:
    at, band = _share(mark.at, x_span) / 100 * _WIDTH, ""
    if mark.low is not None and mark.high is not None:
        low, high = (_share(x, x_span) / 100 * _WIDTH for x in (mark.low, mark.high))
        band = f'<rect class="band" x="{low:.1f}" y="0" width="{max(high - low, 1):.1f}" height="{_HEIGHT:.0f}"/>'
    ends = f'x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_HEIGHT:.0f}"'
    return f'{band}<line class="{mark.kind}" {ends} vector-effect="non-scaling-stroke"/>'


def _share(value: float, span: tuple[float, float]) -> float:
    """Where a value lies between both ends, in per cent; in the middle where they are the same."""
    low, high = span
    return 100 * min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 50.0
