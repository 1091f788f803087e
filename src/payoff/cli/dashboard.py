"""`payoff dashboard`: the door's numbers on one page, as Grafana imports it.

The classic model of dashboards, schema version 39, which Grafana 10 and later read: https://grafana.com/docs/grafana.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from payoff.cli import show

SCHEMA_VERSION = 39
_WIDE = 24  # columns of Grafana's grid
_HIGH = 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_OF = 'endpoint=~"$endpoint"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: its queries, each with the text of its legend, and the unit of its axis."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""
    stacked: bool = False
    width: int = 8


def _rate(metric: str, labels: str = _OF) -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])" if labels else f"rate({metric}[$__rate_interval])"


def _quantile(share: float, metric: str, by: str = "le") -> str:
    return f"histogram_quantile({share}, sum by ({by}) ({_rate(f'{metric}_bucket')}))"


_CALLS = f"sum({_rate('payoff_requests_total')})"
_FAILED = _OF + ',status!="ok"'
_WORKER = "worker {{worker}}"
SECTIONS: dict[str, tuple[Panel, ...]] = {
    "Calls": (
        Panel("Calls", "reqps", ((f"sum by (endpoint) ({_rate('payoff_requests_total')})", "{{endpoint}}"),)),
        Panel(
            "Latency",
            "s",
            tuple((_quantile(share, "payoff_request_seconds"), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)),
            "Of answered calls, from arrival to answer.",
        ),
        Panel(
            "Calls without an answer",
            "percentunit",
            ((f"sum by (status) ({_rate('payoff_requests_total', _FAILED)}) / ignoring(status) group_left {_CALLS}",
              "{{status}}"),),
            "Share of all calls, by what went wrong.",
            stacked=True,
        ),
        Panel("Rows", "short", ((f"sum by (endpoint) ({_rate('payoff_rows_total')})", "{{endpoint}}"),), "Per second."),
        Panel("Latency, p99 by endpoint", "s", ((_quantile(0.99, "payoff_request_seconds", "endpoint, le"),
                                                 "{{endpoint}}"),)),
        Panel("Calls by wire format", "reqps", ((f"sum by (form) ({_rate('payoff_requests_total')})", "{{form}}"),)),
    ),
    "Where the time goes": (
        Panel(
            "Mean time of a call, by stage",
            "s",
            ((f"sum by (stage) ({_rate('payoff_stage_seconds_sum')}) / "
              f"sum by (stage) ({_rate('payoff_stage_seconds_count')})", "{{stage}}"),),
            "queue: the wait for the model; read, run, journal, write: those of the batch it was in.",
            stacked=True,
        ),
        Panel("p99 by stage", "s", ((_quantile(0.99, "payoff_stage_seconds", "stage, le"), "{{stage}}"),)),
        Panel(
            "Rows in a batch",
            "short",
            ((f"sum({_rate('payoff_batch_rows_sum')}) / sum({_rate('payoff_batch_rows_count')})", "mean"),
             (_quantile(0.95, "payoff_batch_rows"), "p95")),
        ),
        Panel("Rows that wait", "short", (("sum by (worker) (payoff_queue_rows)", _WORKER),)),
        Panel("Slow calls", "reqps", ((f"sum({_rate('payoff_slow_requests_total', '')})", "over --slow-ms"),)),
        Panel("Lateness of the event loop", "s", (("max by (worker) (payoff_event_loop_lag_seconds)", _WORKER),)),
    ),
    "Versions": (
        Panel("Rows by version", "short", ((f"sum by (endpoint, arm, version) ({_rate('payoff_rows_total')})",
                                            "{{endpoint}} {{arm}} v{{version}}"),), "Per second.", stacked=True),
        Panel(
            "Processor time for a thousand rows",
            "s",
            ((f"1000 * sum by (endpoint, arm) ({_rate('payoff_model_cpu_seconds_total')}) / "
              f"sum by (endpoint, arm) ({_rate('payoff_rows_total')})", "{{endpoint}} {{arm}}"),),
        ),
        Panel("Revisions", "none", ((f"max by (endpoint) (payoff_revision{{{_OF}}})", "{{endpoint}}"),)),
        Panel("Rows for versions that only watch", "short", (
            (f"sum by (endpoint, arm) ({_rate('payoff_shadow_rows_total')})", "{{endpoint}} {{arm}}"),
            (f"sum({_rate('payoff_shadow_dropped_rows_total', '')})", "left out"))),
        Panel("Orders", "short", ((f"sum by (order, by) (increase(payoff_orders_total{{{_OF}}}[$__rate_interval]))",
                                   "{{order}} by a {{by}}"),)),
        Panel("Models loaded", "short", (("sum by (worker) (payoff_models_hot)", _WORKER),
                                         (f"sum({_rate('payoff_models_loaded_total', '')})", "loads per second"))),
    ),
    "Journal and processes": (
        Panel("Journal", "Bps", ((f"sum({_rate('payoff_journal_bytes_total', '')})", "written"),)),
        Panel("Not yet compacted", "bytes", (("payoff_journal_segment_bytes", "segments"),)),
        Panel("Oldest segment not compacted", "s", (("payoff_journal_lag_seconds", "age"),)),
        Panel("Rows the journal refused", "short", ((f"sum({_rate('payoff_journal_refused_rows_total', '')})",
                                                     "per second"),)),
        Panel("Processor", "percentunit", (
            (f"sum by (worker) ({_rate('payoff_process_cpu_seconds_total', '')})", _WORKER),
            (_rate("payoff_control_cpu_seconds_total", ""), "control plane"))),
        Panel("Memory", "bytes", (("payoff_process_resident_bytes", _WORKER),
                                  ("payoff_control_resident_bytes", "control plane"))),
        Panel("Connections", "short", (("payoff_connections_open", _WORKER),)),
    ),
}  # fmt: skip


def dashboard() -> None:
    """Print a dashboard for Grafana: `payoff dashboard > payoff.json`, then Dashboards, New, Import."""
    show.put_json(made())


def made() -> dict[str, Any]:
    """The dashboard as Grafana's JSON."""
    return {
        "title": "payoff", "uid": "payoff", "tags": ["payoff"], "schemaVersion": SCHEMA_VERSION, "editable": True,
        "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1,
        "templating": {"list": _variables()}, "panels": list(_panels()),
    }  # fmt: skip


def _variables() -> list[dict[str, Any]]:
    query = "label_values(payoff_requests_total, endpoint)"
    return [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "endpoint", "label": "Endpoint", "type": "query", "datasource": _SOURCE, "definition": query,
            "query": {"query": query, "refId": "endpoint"}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
            "allValue": ".*", "current": {"text": "All", "value": "$__all"},
        },
    ]  # fmt: skip


def _panels() -> Iterator[dict[str, Any]]:
    """Sections of graphs, from left to right and from top to bottom."""
    down = number = 0
    for title, panels in SECTIONS.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _at(0, down)}
        down, across = down + 1, 0
        for panel in panels:
            if across + panel.width > _WIDE:
                down, across = down + _HIGH, 0
            number += 1
            yield _graph(panel, number, {"x": across, "y": down, "w": panel.width, "h": _HIGH})
            across += panel.width
        down += _HIGH


def _at(across: int, down: int) -> dict[str, int]:
    return {"x": across, "y": down, "w": _WIDE, "h": 1}


def _graph(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    custom: dict[str, Any] = {"fillOpacity": 25 if panel.stacked else 8, "lineWidth": 1, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    return {
        "id": number, "type": "timeseries", "title": panel.title, "description": panel.about, "gridPos": place,
        "datasource": _SOURCE, "targets": [_target(*query, place) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }  # fmt: skip


def _target(expression: str, legend: str, place: int) -> dict[str, Any]:
    return {"refId": chr(ord("A") + place), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}


COMMANDS = (dashboard,)
