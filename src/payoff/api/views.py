"""Records as the JSON that callers see: times as ISO 8601, names instead of numbers where there are names."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from payoff.clock import iso
from payoff.deploy import render
from payoff.deploy.compare import Gap
from payoff.deploy.trial import Report
from payoff.records import Arm, Field, Finding, Order, Revision, Version
from payoff.registry import Model

View = dict[str, Any]


def model(one: Model, latest: Version) -> View:
    """A model with what its latest version is."""
    return {
        "model": one.name,
        "versions": one.latest,
        "flavor": latest.flavor,
        "created_at": iso(one.created_at_us),
        "aliases": dict(one.aliases),
    }


def version(one: Version) -> View:
    """A version with its signature and where it came from."""
    return {
        "model": one.model,
        "version": one.number,
        "flavor": one.flavor,
        "digest": one.digest,
        "size_bytes": one.size_bytes,
        "created_at": iso(one.created_at_us),
        "author": one.author,
        "tags": dict(one.tags),
        "inputs": fields(one.served.signature.inputs),
        "outputs": fields(one.served.signature.outputs),
        "served": served(one),
        "environment": dict(one.environment),
        "lineage": one.provenance.get("lineage", {}),
        "provenance": {name: value for name, value in one.provenance.items() if name != "lineage"},
    }


def served(one: Version) -> View:
    """How a version runs: as what, where, within which bounds, and whether it is checked with rows of its own."""
    found = {"flavor": one.served.flavor, "digest": one.served.digest, "sampled": one.served.golden is not None}
    return found | {"place": None if one.served.place is None else asdict(one.served.place)}


def gap(one: Gap) -> View:
    """How far an output of two versions is apart; what is no JSON number as a text."""
    return {name: _finite(value) for name, value in asdict(one).items()}


def speed(one: Version, report: Report) -> View:
    """What a version's answers cost in a trial."""
    return {
        "version": f"{one.model} v{one.number}",
        "load_seconds": round(report.load_seconds, 3),
        "rows_per_s": round(report.rows_per_s),
        "memory_bytes": report.memory_bytes,
    }


def fields(some: Sequence[Field]) -> list[View]:
    """Columns by name, with type, shape per row and whether null is allowed."""
    return [{"name": f.name, "type": str(f.type), "shape": list(f.shape), "nullable": f.nullable} for f in some]


def arm(one: Arm) -> View:
    """One arm, without what only workers need."""
    return {
        "name": one.name,
        "role": str(one.role),
        "model": one.model,
        "version": one.version,
        "traffic": one.traffic,
        "was": None if one.was is None else str(one.was),
    }


def revision(one: Revision) -> View:
    """A configuration as it stands in lists."""
    return {
        "endpoint": one.endpoint,
        "revision": one.number,
        "created_at": iso(one.created_at_us),
        "author": one.author,
        "reason": one.reason,
        "arms": [arm(a) for a in one.arms],
    }


def configuration(one: Revision) -> View:
    """A configuration with all it says, also as the file that would make it."""
    policy = one.policy
    said = asdict(policy) | {"context": fields(policy.context), "outcome": fields(policy.outcome)}
    return revision(one) | {"policy": said, "yaml": render(one)}


def order(one: Order) -> View:
    """One entry of the audit trail."""
    return _dated(asdict(one))


def finding(one: Finding) -> View:
    """What a monitor found."""
    return _dated(asdict(one))


def steps(some: Sequence[tuple[str, float]]) -> list[View]:
    """What was done and how long each part took."""
    return [{"what": what, "seconds": round(seconds, 4)} for what, seconds in some]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _dated(said: View) -> View:
    at_us = said.pop("at_us")
    return {"id": said.pop("id"), "at": iso(at_us)} | said
