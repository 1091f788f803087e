"""A statement as plain figures: the JSON that the API answers, and that pages and files are made from."""

from typing import Any

from payoff.ledger.statement import Line, Total
from payoff.money import MICROS, Money
from payoff.monitor.compare import how
from payoff.monitor.roi import Flight, Point, Roi, Row, Uplift, total_of


def plain(roi: Roi) -> dict[str, Any]:
    """As JSON: amounts in units of the currency."""
    return {
        "endpoint": roi.endpoint,
        "currency": roi.currency,
        "at_us": roi.at_us,
        "revision": roi.revision,
        "headline": None if roi.headline is None else _plain_headline(roi.headline),
        "versions": [_plain(row) for row in roi.answered],
        "watched": [_plain(row) for row in roi.watched],
        "total": _plain_total(roi),
        "waterfall": _waterfall(roi),
        "in_flight": _plain_flight(roi.flight),
        "fallback_alone": units(roi.fallback_alone),
        "bill": units(roi.bill),
        "shadow_cost": units(roi.shadow_cost),
        "course": [_plain_point(point) for point in roi.course],
        "plug": roi.plug.plain(),
        "note": roi.conclusion,
        "assumptions": list(roi.assumptions),
        "judged_through": {"prediction_id": roi.prediction_id, "outcome_id": roi.outcome_id},
    }


def units(amount: Money | None) -> float | None:
    """Money as JSON has it."""
    return None if amount is None else amount.micros / MICROS


def _plain(row: Row) -> dict[str, Any]:
    line = row.line
    return {
        "model": line.model,
        "version": line.version,
        "role": str(row.role),
        "answered": line.answered,
        "matured": line.matured,
        "unknown": line.settled - line.matured,
        "in_flight": line.in_flight,
        "early": line.early,
        "early_value": units(line.early_value),
        "value": units(line.value),
        "cost": units(line.cost),
        "net": units(line.net),
        "low": units(line.low),
        "high": units(line.high),
        "vs_fallback": units(line.against_fallback),
        "vs_low": units(line.against_low),
        "vs_high": units(line.against_high),
        "uplift": None if row.uplift is None else _plain_uplift(row.uplift),
        **_rates(line, row.a_day),
        "verdict": row.verdict,
        "explanation": row.explanation,
        "e_value": row.e_value,
        "threshold": row.threshold,
        "tested": row.tested,
    }


def _plain_uplift(uplift: Uplift) -> dict[str, Any]:
    effect = uplift.effect
    return {
        "kind": str(effect.kind),
        "baseline": effect.baseline,
        "causal": effect.causal,
        "decisions": effect.mine,
        "against_decisions": effect.others,
        "per_decision": effect.mean.value,
        "net": units(uplift.net),
        "low": units(uplift.low),
        "high": units(uplift.high),
        "how": how(effect.mean.n),
        "noise_left": effect.noise_left,
    }


def _plain_headline(row: Row) -> dict[str, Any]:
    assert row.uplift is not None  # noqa: S101 - that is what makes it one
    found = {"subject": row.name, **_plain_uplift(row.uplift)}
    return found | {"decisions": row.line.matured, "roi": _ratio(row.uplift.net, row.line.cost)}


def _plain_total(roi: Roi) -> dict[str, Any]:
    total, days = roi.total, [row.a_day for row in roi.answered if row.a_day is not None]
    return {
        "answered": total.answered,
        "matured": total.matured,
        "value": units(total.value),
        "cost": units(total.cost),
        "net": units(total.net),
        **_rates(total, total_of(days, roi.currency) if days else None),
    }


def _rates(sums: Line | Total, a_day: Money | None) -> dict[str, Any]:
    """Return on cost, cost per thousand decisions, and what it must earn a day to be worth its cost."""
    return {
        "roi": _ratio(sums.net, sums.cost),
        "cost_per_thousand": 1_000 * sums.cost.micros / MICROS / sums.answered if sums.answered else None,
        "break_even_per_day": units(a_day),
        "parts": {
            "compute": sums.parts.compute / MICROS,
            "fees": sums.parts.fees / MICROS,
            "idle": sums.parts.idle / MICROS,
            "overhead": sums.parts.overhead / MICROS,
            "fixed": sums.parts.fixed / MICROS,
        },
    }


def _ratio(net: Money, cost: Money) -> float | None:
    return net.micros / cost.micros if cost.micros > 0 else None


def _waterfall(roi: Roi) -> list[dict[str, Any]]:
    """From gross to net over the realised lines; it ends where it must."""
    parts, total = roi.total.parts, roi.total
    told = [
        ("Compute", parts.compute, "CPU, memory and GPU of the versions that answered"),
        ("Fees", parts.fees, "what others asked for each prediction"),
        ("Idle", parts.idle, "its share of what nobody used of the machine"),
        ("Overhead", parts.overhead, "its share of what payoff itself used"),
        ("Fixed", parts.fixed, "its share of what is paid by the month"),
    ]
    gross = {"what": "Gross value", "amount": units(total.value), "kind": "gross"}
    steps = [gross | {"note": f"{total.matured:,} matured decisions"}]
    steps += [
        {"what": what, "amount": -micros / MICROS, "kind": "cost", "note": note}
        for what, micros, note in told
        if micros or what == "Compute"
    ]
    return [*steps, {"what": "Net", "amount": units(total.net), "kind": "net", "note": ""}]


def _plain_flight(flight: Flight) -> dict[str, Any]:
    return {
        "decisions": flight.decisions,
        "early": flight.early,
        "early_value": units(flight.early_value),
        "expected": units(flight.expected),
        "low": units(flight.low),
        "high": units(flight.high),
    }


def _plain_point(point: Point) -> dict[str, Any]:
    return {name: getattr(point, name) for name in Point.__dataclass_fields__}
