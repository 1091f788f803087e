"""Whatever a record holds, it reads back equal."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payoff.records import (
    Allocate,
    Arm,
    Explore,
    Field,
    Guard,
    Matures,
    NoOutcome,
    Policy,
    Ramp,
    Revision,
    Rule,
    Served,
    Signature,
    Version,
)
from payoff.registry import Registry, connect

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
JSON_SCALAR = st.none() | st.booleans() | WHOLE | NUMBER | TEXT
JSON = st.recursive(
    JSON_SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NOTES = st.dictionaries(TEXT, JSON, max_size=4)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
SHAPE = st.lists(st.integers(0, 2**31), max_size=3).map(tuple)
FIELDS = st.lists(st.builds(Field, name=TEXT, shape=SHAPE), max_size=4).map(tuple)
SERVED = st.builds(Served, flavor=TEXT, digest=DIGEST, golden=st.none() | DIGEST)
SERVED = SERVED.flatmap(lambda served: FIELDS.map(lambda fields: _with(served, fields)))
ARMS = st.lists(st.builds(Arm, name=TEXT, model=TEXT, version=WHOLE, served=SERVED, traffic=NUMBER), max_size=3)
POLICY = st.builds(
    Policy,
    decision=st.none() | TEXT,
    value=st.none() | TEXT,
    currency=TEXT,
    fallback=NOTES,
    rules=st.lists(st.builds(Rule, check=TEXT), max_size=3).map(tuple),
    guards=st.lists(
        st.builds(
            Guard,
            when=TEXT,
            do=TEXT,
            error=NUMBER,
            against=TEXT,
            gain_cap=st.none() | NUMBER,
            false_stop_every=WHOLE,
            block=WHOLE,
            within=st.none() | NUMBER,
            guardrails=st.dictionaries(TEXT, NUMBER, max_size=3),
            above=st.none() | NUMBER,
            over_s=st.none() | NUMBER,
            of=st.none() | TEXT,
        ),
        max_size=2,
    ).map(tuple),
    route_by=st.none() | TEXT,
    context=FIELDS,
    outcome=FIELDS,
    outcome_window_s=NUMBER,
    matures=st.sampled_from(Matures),
    no_outcome=st.sampled_from(NoOutcome),
    outcome_depends_on_decision=st.booleans(),
    holdout=NUMBER,
    explore=st.none() | st.builds(Explore, NUMBER, st.lists(JSON_SCALAR, max_size=3).map(tuple)),
    covariate=st.none() | TEXT,
    ramp=st.none() | st.builds(Ramp, st.lists(NUMBER, max_size=3).map(tuple), NUMBER, WHOLE, NUMBER),
    allocate=st.none() | st.builds(Allocate, NUMBER, NUMBER),
)


def _with(served: Served, fields: tuple[Field, ...]) -> Served:
    return replace(served, signature=Signature(fields, fields[::-1]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One database for all examples: what they leave does not matter to the next."""
    home: Path = tmp_path_factory.mktemp("home")
    return connect(f"sqlite:///{home}/payoff.db")


FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FAST
@given(author=TEXT, reason=TEXT, arms=ARMS.map(tuple), policy=POLICY, evidence=NOTES, at_us=WHOLE)
def test_a_revision_and_its_order(
    shared: Registry,
    author: str,
    reason: str,
    arms: tuple[Arm, ...],
    policy: Policy,
    evidence: dict[str, Any],
    at_us: int,
) -> None:
    now = shared.endpoints()
    revision = Revision("e", now[0].number + 1 if now else 1, at_us, author, reason, arms, policy)
    order = shared.record(revision, "apply", evidence)
    assert shared.current("e") == revision
    assert shared.orders("e", limit=1) == [order]
    assert (order.evidence, order.author, order.reason, order.at_us) == (evidence, author, reason, at_us)


@FAST
@given(
    digest=DIGEST,
    flavor=TEXT,
    served=SERVED,
    author=TEXT,
    environment=st.dictionaries(TEXT, TEXT, max_size=3),
    provenance=NOTES,
    now_us=WHOLE,
)
def test_a_version(
    shared: Registry,
    digest: str,
    flavor: str,
    served: Served,
    author: str,
    environment: dict[str, str],
    provenance: dict[str, Any],
    now_us: int,
) -> None:
    known = {version.digest for version in shared.versions("m", limit=1000)} if shared.models() else set()
    version = shared.register(
        "m",
        digest=digest,
        flavor=flavor,
        served=served,
        size_bytes=now_us,
        author=author,
        environment=environment,
        provenance=provenance,
        tags=environment,
        now_us=now_us,
    )
    assert shared.find("m", version.number) == version
    if digest not in known:
        assert version == Version(
            "m", len(known) + 1, digest, flavor, served, now_us, now_us, author, environment, provenance, environment
        )
