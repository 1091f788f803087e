"""An endpoint as a YAML file: what is read, what is refused and in which words, and that it survives the way back."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.codecs.document import BYTES_MAX
from payoff.deploy.file import FileArm, diff, parse, render
from payoff.deploy.guards import AGAINST, BEATS, GUARDRAILS, GUARDS, LIMITS, LOSES, subject, usual
from payoff.errors import BadInput, PayoffError, TooLarge
from payoff.records import (
    Allocate,
    Arm,
    Cache,
    Explore,
    Field,
    Guard,
    Matures,
    NoOutcome,
    Otherwise,
    Policy,
    Ramp,
    Revision,
    Role,
    Rule,
    Served,
    Signature,
    Type,
    Version,
)

Make = Callable[..., Version]

WHOLE = """\
endpoint: term-deposit
arms:
  champion:   {model: term-deposit, version: 3}
  challenger: {model: term-deposit, version: 4, traffic: 10%}
  next:       {model: term-deposit, version: latest, role: shadow}
route: {by: customer_id}                 # sticky on any key; without it, random
decision: outputs.probability > 0.07     # SQL over inputs.* and outputs.*
value: case when decision then (case when outcome.subscribed then 60 else 0 end)
       - 2 - outcome.duration_s / 3600.0 * 24 else 0 end
currency: EUR
rules:
  - {check: inputs.age between 17 and 110, else: flag}
  - {check: outputs.probability between 0 and 1, else: fallback}
guards:
  - {when: loses money, against: fallback, error: 5%, do: kill, gain_cap: 20}
  - {when: challenger beats champion, error: 1%, do: promote}
fallback: {decision: false}
context: {called_on: date, photo: "uint8[28x28]"}
outcome: {subscribed: bool, duration_s: int64}
outcome_window: 2h
"""
START = "endpoint: e\narms:\n  champion: {model: m, version: 1}\n"
DEEP = "[" * 40 + "]" * 40


def test_the_whole_file_is_read() -> None:
    told = parse(WHOLE)
    assert told.endpoint == "term-deposit"
    assert told.arms == (
        FileArm("champion", Role.CHAMPION, "term-deposit", 3),
        FileArm("challenger", Role.CHALLENGER, "term-deposit", 4, 0.1),
        FileArm("next", Role.SHADOW, "term-deposit", "latest"),
    )
    assert told.policy == Policy(
        decision="outputs.probability > 0.07",
        value="case when decision then (case when outcome.subscribed then 60 else 0 end)"
        " - 2 - outcome.duration_s / 3600.0 * 24 else 0 end",
        currency="EUR",
        fallback={"decision": False},
        rules=(
            Rule("inputs.age between 17 and 110", Otherwise.FLAG),
            Rule("outputs.probability between 0 and 1", Otherwise.FALLBACK),
        ),
        guards=(
            Guard("loses money", "kill", 0.05, "fallback", 20.0),
            Guard("challenger beats champion", "promote", 0.01, guardrails=GUARDRAILS),
        ),
        route_by="customer_id",
        context=(Field("called_on", Type.DATE, nullable=True), Field("photo", Type.UINT8, (28, 28), nullable=True)),
        outcome=(Field("subscribed", Type.BOOL, nullable=True), Field("duration_s", Type.INT64, nullable=True)),
        outcome_window_s=7_200.0,
    )


def test_little_is_needed() -> None:
    told = parse(START.encode())
    assert (told.arms, told.policy) == ((FileArm("champion", Role.CHAMPION, "m", 1),), Policy())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "the file is empty; it starts with 'endpoint: NAME'", id="empty"),
        pytest.param("# nothing", "the file is empty", id="only a comment"),
        pytest.param("endpoint: e", "the file has no 'arms'; it needs", id="no arms"),
        pytest.param(START[12:], "the file has no 'endpoint'", id="no endpoint"),
        pytest.param("- a", "line 1: expected a mapping (endpoint: ...), got a list", id="a list"),
        pytest.param("hello", "line 1: expected a mapping (endpoint: ...), got 'hello', a text", id="a text"),
        pytest.param(START + "a: [1", "line 4: this is no YAML: ", id="an open bracket"),
        pytest.param(START + "\tx: 1", "line 4: this is no YAML: ", id="a tab"),
        pytest.param("a: \x00", "this is no YAML text: ", id="a zero byte"),
        pytest.param(b"\xff\xfe\xff", "this is no YAML text: ", id="no text at all"),
        pytest.param(START + "---\nendpoint: f", "line 4: this is no YAML: but found another document", id="two files"),
        pytest.param(
            START + "guard: []", "line 4, guard: there is no key 'guard' here; did you mean 'guards'?", id="key"
        ),
        pytest.param(START + "zzz: 1", "there is no key 'zzz' here; there are: endpoint, arms", id="far from any key"),
        pytest.param(START + "value: a\nvalue: b", "line 5: the key 'value' is there twice", id="twice"),
        pytest.param(START + "? [a]\n: b", "line 4: a key is a plain text here", id="a list as a key"),
        pytest.param(START + "value: &a 1", "line 4: anchors (&) and aliases (*) are not taken", id="an anchor"),
        pytest.param(START + "value: *a", "line 4: anchors (&) and aliases (*) are not taken", id="an alias"),
        pytest.param(START + f"rules: {DEEP}", "line 4: nested more than 16 deep", id="deep"),
        pytest.param(START + "value: !!python/object/apply:os.system [ls]", "line 4", id="code"),
        pytest.param(
            START + "value: !!python/name:os.system x", "line 4: this is no YAML: could not determine", id="tag"
        ),
        pytest.param(
            "endpoint: Ends Here\narms: {}", "line 1, endpoint: 'Ends Here' cannot name an endpoint", id="name"
        ),
        pytest.param(
            "endpoint: 12\narms: {}", "line 1, endpoint: expected a text, got 12, a whole number; put it", id="12"
        ),
        pytest.param("endpoint: e\narms: 1", "line 2, arms: expected a mapping (champion: ...), got 1", id="arms"),
        pytest.param("endpoint: e\narms: {}", "line 2, arms: an endpoint has one champion; say", id="no champion"),
        pytest.param(
            "endpoint: e\narms:", "line 2, arms: expected a mapping (champion: ...), got nothing", id="nothing"
        ),
        pytest.param(
            START + "  x: {model: m, version: 2, role: champion}", "line 2, arms: an endpoint has one", id="two"
        ),
        pytest.param(START + "  x: {model: m}", "line 4, arms.x: an arm needs 'version'", id="no version"),
        pytest.param(START + "  x: {model: m, version: 2}", "line 4, arms.x: say its role: champion, ch", id="no role"),
        pytest.param(
            START + "  x: {model: m, version: 2, role: shadwo}",
            "line 4, arms.x.role: 'shadwo' is none of champion, challenger, shadow; did you mean 'shadow'?",
            id="a role misspelt",
        ),
        pytest.param(
            START + "  x: {model: m, version: 2, role: killed}", "say the role it had, and 'killed: true'", id="killed"
        ),
        pytest.param(
            START + "  shadow: {model: m, version: 2, role: challenger}",
            "line 4, arms.shadow.role: an arm named shadow is a shadow; give a challenger another name",
            id="a role's name for another role",
        ),
        pytest.param(
            START + "  X: {model: m, version: 2, role: shadow}", "'X' cannot name an arm; use 1 to 63", id="arm"
        ),
        pytest.param(START + "  shadow: {model: m, version: 0}", "arms.shadow.version: 0 is no version", id="zero"),
        pytest.param(START + "  shadow: {model: m, version: 1.5}", "got 1.5, a number", id="version 1.5"),
        pytest.param(START + "  shadow: {model: m, version: true}", "or 'latest', got true", id="version true"),
        pytest.param(
            START + "  shadow: {model: m, version: 2, traffic: 5%}",
            "line 4, arms.shadow.traffic: only a challenger has a share of the traffic, and this is a shadow",
            id="a shadow's share",
        ),
        pytest.param(
            START + "  challenger: {model: m, version: 2, traffic: 110%}",
            "'110%', a text is no share; say 0%",
            id="110%",
        ),
        pytest.param(
            START + "  challenger: {model: m, version: 2, traffic: -1}", "-1, a whole number is no share", id="-1"
        ),
        pytest.param(
            START + "  shadow: {model: m, version: 2, killed: true}", "a shadow answers nobody", id="dead shadow"
        ),
        pytest.param(
            START + "route: customer", "line 4, route: expected a mapping (by: ...), got 'customer'", id="route"
        ),
        pytest.param(START + "decision: 1", "line 4, decision: expected a text, got 1", id="decision"),
        pytest.param(
            START + "decision: true", "decision: expected a text, got true; put it in quotes", id="decision true"
        ),
        pytest.param(START + "currency: euro", "'euro', a text is no currency; say its three letters", id="currency"),
        pytest.param(START + "rules: {check: a}", "line 4, rules: expected a list (lines that start with", id="rules"),
        pytest.param(START + "rules:\n- {else: flag}", "line 5, rules[1]: a rule needs 'check'", id="rule"),
        pytest.param(
            START + "rules:\n- {check: inputs.x in (1, 2), else: flag}",
            "there is no key '2)' here; a text with a comma, a colon or a brace in it needs quotes",
            id="a comma in a rule",
        ),
        pytest.param(
            START + "rules:\n- {check: a, else: blokc}",
            "line 5, rules[1].else: 'blokc' is none of flag, fallback, block; did you mean 'block'?",
            id="else",
        ),
        pytest.param(START + "rules: [" + "{check: a}," * 65 + "]", "65 are too many; the limit is 64", id="65 rules"),
        pytest.param(START + "guards: [{do: kill}]", "guards[1]: a guard needs 'when'", id="guard"),
        pytest.param(
            START + "guards: [{when: looses money}]",
            "'looses money' is none of loses money, challenger beats",
            id="when",
        ),
        pytest.param(
            START + "guards: [{when: loses money, do: promote}]",
            "guards[1].do: 'promote' is none of kill, halve, warn",
            id="do",
        ),
        pytest.param(
            START + "guards: [{when: loses money, error: 0%}]", "is no chance of error; say more", id="error 0"
        ),
        pytest.param(START + "guards: [{when: loses money, error: 0.6}]", "and at most 50%", id="error 0.6"),
        pytest.param(
            START + "guards: [{when: loses money, against: everybody}]", "'everybody' is none of fallback", id="against"
        ),
        pytest.param(
            START + "guards: [{when: challenger beats champion, against: nothing}]",
            "guards[1].against: 'challenger beats champion' takes no 'against'; it takes: error, gain_cap, block",
            id="against 2",
        ),
        pytest.param(START + "guards: [{when: loses money, gain_cap: 0}]", "is more than 0", id="cap 0"),
        pytest.param(
            START + "guards: [{when: loses money, gain_cap: .inf}]", "expected a number, got inf", id="cap inf"
        ),
        pytest.param(
            START + "guards: [{when: loses money, gain_cap: much}]", "expected a number, got 'much'", id="cap"
        ),
        pytest.param(
            START + "fallback: {decision: }", "expected a constant for 'decision', got nothing", id="fallback"
        ),
        pytest.param(START + "fallback: {decision: {a: 1}}", "expected a constant for 'decision', got a map", id="fb"),
        pytest.param(
            START + "context: {at: string}",
            "line 4, context.at: no column type 'string'; did you mean 'text'?",
            id="type",
        ),
        pytest.param(
            START + "context: {at: timestmp}", "did you mean 'timestamp'? there are: text, bool", id="near type"
        ),
        pytest.param(START + "outcome: {x: 'float32[a]'}", "no column type 'float32[a]'", id="shape"),
        pytest.param(START + "outcome_window: 30", "expected a duration with its unit, such as 30s", id="no unit"),
        pytest.param(START + "outcome_window: 0s", "is out of range", id="no time"),
        pytest.param(START + "outcome_window: 999999999d", "is out of range", id="too long"),
        pytest.param(START + f"outcome_window: {'9' * 5000}", "line 4, outcome_window: '999", id="an endless number"),
        pytest.param(START + "fallback: {decision: 2008-13-45}", "'2008-13-45' cannot be read", id="no such day"),
    ],
)
def test_a_bad_file_is_refused_in_words_that_help(text: str | bytes, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(text)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_file_without_end_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge, match="at most 262,144"):
        parse("x" * (BYTES_MAX + 1))


@settings(max_examples=300)
@given(st.one_of(st.text(), st.binary(), st.text("endpoit:arms{}[]-&*!|>'\" \n1e.%", max_size=60)))
def test_nothing_but_a_payoff_error_comes_out(text: str | bytes) -> None:
    try:
        parse(text)
    except PayoffError:
        return


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1_500), st.integers(0, 20), st.text(max_size=4))
def test_a_damaged_file_is_read_or_refused(at: int, cut: int, instead: str) -> None:
    for whole in (WHOLE, MONEY):
        with suppress(PayoffError):
            parse(whole[:at] + instead + whole[at + cut :])


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).map(str.strip).filter(bool)
LINES = st.lists(TEXTS, min_size=1, max_size=3).map("\n".join)
CONSTANTS: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)
FIELDS = st.lists(
    st.builds(
        Field, TEXTS, st.sampled_from(Type), st.lists(st.integers(1, 64), max_size=2).map(tuple), nullable=st.just(True)
    ),
    max_size=3,
    unique_by=lambda field: field.name,
).map(tuple)
ERRORS = st.floats(0.0001, 0.5)
SHARES = st.floats(0, 0.999)
AMOUNTS = st.floats(0.01, 1e9)
TIMES = st.sampled_from([0.5, 1.0, 90.0, 3_600.0, 7_200.0, 86_400.0, 90_000.0])
WORSE = st.fixed_dictionaries(
    {}, optional={"latency": st.floats(0, 9), "errors": SHARES, "violations": SHARES, "cost": st.floats(0, 9)}
)
ABOVE = {"money": AMOUNTS, "share": SHARES, "count": st.integers(1, 10**9).map(float), "seconds": TIMES}


def guards_of(when: str) -> st.SearchStrategy[Guard]:
    """Guards of a kind, each key that it takes as it may be."""
    kind = GUARDS[when]
    said: dict[str, st.SearchStrategy[Any]] = {
        "against": st.sampled_from(AGAINST),
        "error": ERRORS,
        "gain_cap": st.none() | AMOUNTS,
        "false_stop_every": st.integers(2, 10**12),
        "block": st.integers(1, 1_000),
        "guardrails": WORSE,
        "within": AMOUNTS,
        "above": ABOVE[kind.above],
        "over": TIMES,
        "of": TEXTS if "of" in kind.needs else st.none() | TEXTS,
    }
    keys = {("over_s" if key == "over" else key): said[key] for key in kind.keys}
    return st.builds(partial(replace, usual(when)), do=st.sampled_from(kind.does), **keys)


CHOICES = st.lists(
    st.booleans() | st.integers(-(10**18), 10**18) | TEXTS,
    min_size=2,
    max_size=4,
    unique_by=lambda one: (type(one), one),
).map(tuple)
STEPS = st.lists(st.floats(1e-6, 1), min_size=1, max_size=6, unique=True).map(sorted).map(tuple)
RAMPS = st.builds(Ramp, STEPS, AMOUNTS, st.integers(1, 10**9), st.just(0.0) | TIMES)
ALLOCATES = st.builds(Allocate, st.floats(0.001, 0.5), TIMES)
CACHES = st.builds(Cache, TIMES, st.integers(1, 10_000_000), st.integers(1, 16_384).map(lambda size: size << 20))
POLICIES = st.builds(
    Policy,
    decision=st.none() | LINES,
    value=st.none() | LINES,
    currency=st.sampled_from(["EUR", "NOK", "USD"]),
    fallback=st.dictionaries(TEXTS, CONSTANTS, max_size=3),
    rules=st.lists(st.builds(Rule, LINES, st.sampled_from(Otherwise)), max_size=3).map(tuple),
    guards=st.lists(st.sampled_from(tuple(GUARDS)).flatmap(guards_of), max_size=4, unique_by=subject).map(tuple),
    route_by=TEXTS,
    context=FIELDS,
    outcome=FIELDS,
    outcome_window_s=TIMES,
    holdout=st.floats(0.001, 0.999),
    explore=st.none() | st.builds(Explore, st.floats(0.001, 1), CHOICES | st.just((True, False))),
    covariate=st.none() | LINES,
    cache=st.none() | CACHES,
)
MATURE = st.sampled_from(
    [(Matures.OUTCOME, NoOutcome.UNKNOWN), (Matures.WINDOW, NoOutcome.UNKNOWN), (Matures.WINDOW, NoOutcome.COUNTS)]
)
SHARED: st.SearchStrategy[dict[str, Any]] = (
    st.just({}) | st.builds(dict, ramp=RAMPS) | st.builds(dict, allocate=ALLOCATES)
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Policies whose parts go together."""
    policy = draw(POLICIES)
    matures, no_outcome = draw(MATURE)
    free = all(guard.against != "fallback" for guard in policy.guards if guard.when == LOSES)
    depends = draw(st.booleans()) if free else False
    return replace(policy, matures=matures, no_outcome=no_outcome, outcome_depends_on_decision=depends, **draw(SHARED))


SERVED = Served("onnx", "0" * 64, Signature((), ()))


@settings(max_examples=60, deadline=None)
@given(policies(), st.floats(0, 1), st.booleans())
def test_a_rendered_file_says_the_same_again(policy: Policy, traffic: float, killed: bool) -> None:
    role, was = (Role.KILLED, Role.CHALLENGER) if killed else (Role.CHALLENGER, None)
    arms = (
        Arm("champion", Role.CHAMPION, "m", 1, SERVED),
        Arm("other", role, "m", 2, SERVED, traffic, was),
        Arm("shadow", Role.SHADOW, "m", 3, SERVED),
    )
    told = parse(render(Revision("e", 1, 0, "anna", "", arms, policy)))
    assert told.policy == policy
    assert told.arms == (
        FileArm("champion", Role.CHAMPION, "m", 1),
        FileArm("other", Role.CHALLENGER, "m", 2, traffic, killed),
        FileArm("shadow", Role.SHADOW, "m", 3),
    )


def test_a_rendered_file_reads_well(version: Make) -> None:
    told = parse(WHOLE)
    served = version(1).served
    arms = tuple(Arm(arm.name, arm.role, arm.model, n, served, arm.traffic) for n, arm in enumerate(told.arms, 3))
    text = render(Revision("term-deposit", 7, 0, "anna", "", arms, told.policy))
    assert text.splitlines()[:6] == [
        "endpoint: term-deposit",
        "arms:",
        "  champion: {model: term-deposit, version: 3}",
        "  challenger: {model: term-deposit, version: 4, traffic: 10%}",
        "  next: {model: term-deposit, version: 5, role: shadow}",
        "route: {by: customer_id}",
    ]
    assert "- {when: loses money, against: fallback, error: 5%, do: kill, gain_cap: 20}" in text
    assert text.endswith("outcome_window: 2h\n")


def test_a_diff_shows_what_would_change(version: Make) -> None:
    running = Revision("e", 7, 0, "anna", "", (Arm("champion", Role.CHAMPION, "m", 1, version(1).served),))
    planned = replace(running, number=8, policy=Policy(currency="USD"))
    assert diff(running, running) == ""
    assert diff(running, planned).splitlines()[:2] == ["--- e, revision 7", "+++ file"]
    assert {"-currency: EUR", "+currency: USD"} <= set(diff(running, planned).splitlines())
    assert diff(None, planned).splitlines()[0] == "--- e, nothing"


def test_only_harm_and_limits_may_kill() -> None:
    assert {when for when, kind in GUARDS.items() if "kill" in kind.does} == {LOSES, *LIMITS}
    assert {when: kind.does[0] for when, kind in GUARDS.items()} == {
        "loses money": "kill",
        "challenger beats champion": "promote",
        "makes no difference": "retire",
        "loss": "kill",
        "drawdown": "kill",
        "money at risk": "kill",
        "decisions": "kill",
        "decision share": "kill",
        "same key": "kill",
        "missing inputs": "warn",
        "stale input": "warn",
        "broken rules": "kill",
        "errors": "kill",
        "no outcomes": "halve",
    }


MONEY = """\
endpoint: term-deposit
arms:
  champion: {model: term-deposit, version: 3}
route: {by: customer_id}
decision: outputs.probability > 0.07
value:
  truth: coalesce(outcome.subscribed, false)
  payoffs: {true: {true: 58, false: 0}, false: {true: -2.5, false: 0}}
matures: window
no_outcome: counts
outcome_depends_on_decision: true
holdout: 5%
explore: {share: 2%, among: [true, false]}
covariate: inputs.balance
ramp: {steps: [1%, 5%, 25%], loss_budget: 500, step_decisions: 300, step: 1h}
guards:
  - {when: loses money, against: holdout, error: 1%, gain_cap: 58, false_stop_every: 100000, do: halve}
  - {when: challenger beats champion, error: 2%, guardrails: {latency: 150%, errors: 0%}}
  - {when: makes no difference, within: 0.05, error: 10%}
  - {when: loss, above: 200, over: 30m}
  - {when: drawdown, above: 900}
  - {when: money at risk, above: 10000, over: 1d, of: inputs.balance * 0.1}
  - {when: decisions, above: 5000, over: 1h, do: warn}
  - {when: decision share, above: 40%}
  - {when: decision share, above: 10%, of: "decision and inputs.age > 80"}
  - {when: same key, above: 20}
  - {when: missing inputs, above: 5%, of: inputs.job}
  - {when: stale input, above: 2d, of: inputs.seen_at}
  - {when: broken rules, above: 1%}
  - {when: errors, above: 0%}
  - {when: no outcomes}
fallback: {decision: false}
"""


def test_every_word_about_money_is_read() -> None:
    policy = parse(MONEY).policy
    assert policy == Policy(
        decision="outputs.probability > 0.07",
        value="case\n"
        "  when (coalesce(outcome.subscribed, false)) then case when decision then 58 when not decision then 0 end\n"
        "  when not (coalesce(outcome.subscribed, false)) then "
        "case when decision then -2.5 when not decision then 0 end\n"
        "end",
        fallback={"decision": False},
        route_by="customer_id",
        matures=Matures.WINDOW,
        no_outcome=NoOutcome.COUNTS,
        outcome_depends_on_decision=True,
        holdout=0.05,
        explore=Explore(0.02),
        covariate="inputs.balance",
        ramp=Ramp((0.01, 0.05, 0.25), 500.0, 300, 3_600.0),
        guards=(
            Guard(LOSES, "halve", 0.01, "holdout", 58.0, 100_000),
            Guard(BEATS, "promote", 0.02, guardrails={"latency": 1.5, "errors": 0.0}),
            Guard("makes no difference", "retire", 0.1, within=0.05),
            Guard("loss", "kill", above=200.0, over_s=1_800.0),
            Guard("drawdown", "kill", above=900.0),
            Guard("money at risk", "kill", above=10_000.0, over_s=86_400.0, of="inputs.balance * 0.1"),
            Guard("decisions", "warn", above=5_000.0, over_s=3_600.0),
            Guard("decision share", "kill", above=0.4, over_s=3_600.0),
            Guard("decision share", "kill", above=0.1, over_s=3_600.0, of="decision and inputs.age > 80"),
            Guard("same key", "kill", above=20.0, over_s=3_600.0),
            Guard("missing inputs", "warn", above=0.05, over_s=3_600.0, of="inputs.job"),
            Guard("stale input", "warn", above=172_800.0, over_s=3_600.0, of="inputs.seen_at"),
            Guard("broken rules", "kill", above=0.01, over_s=3_600.0),
            Guard("errors", "kill", above=0.0, over_s=3_600.0),
            Guard("no outcomes", "halve", over_s=7_200.0),
        ),
    )
    whole = Revision(
        "term-deposit", 1, 0, "anna", "", (Arm("champion", Role.CHAMPION, "term-deposit", 3, SERVED),), policy
    )
    assert parse(render(whole)).policy == policy


def test_shares_may_follow_what_arms_earn() -> None:
    assert parse(START + "allocate: {by: thompson, floor: 2%, every: 10m}").policy.allocate == Allocate(0.02, 600.0)
    assert parse(START + "allocate: {by: thompson}").policy.allocate == Allocate()


def test_a_cache_says_for_how_long_and_for_how_many_rows() -> None:
    assert parse(START + "cache: {for: 60s}").policy.cache == Cache(60.0, 10_000, 64 << 20)
    assert parse(START + "cache: {for: 1h, entries: 500, megabytes: 8}").policy.cache == Cache(3_600.0, 500, 8 << 20)
    assert parse(START).policy.cache is None


def test_exploring_is_a_share_or_says_among_what() -> None:
    assert parse(START + "explore: 2%").policy.explore == Explore(0.02)
    assert parse(START + "explore: 0%").policy.explore is None
    among = parse(START + "explore: {share: 2%, among: [low, 2, 0.5, 2008-05-05]}").policy.explore
    assert among == Explore(0.02, ("low", 2, 0.5, "2008-05-05"))


def test_a_challenger_is_held_to_the_usual_guardrails_unless_the_file_says_others() -> None:
    usually = parse(START + "guards: [{when: challenger beats champion}]").policy.guards[0]
    assert usually.guardrails == {"latency": 0.2, "errors": 0.01, "violations": 0.01, "cost": 0.5}
    free = parse(START + "guards: [{when: challenger beats champion, guardrails: {}}]").policy.guards[0]
    assert free.guardrails == {}


@pytest.mark.parametrize(
    ("payoffs", "expected"),
    [
        pytest.param(
            "{truth: outcome.label, payoffs: {good: {lend: 9, 'no': 0}, it's: {lend: -9, 'no': 0}}}",
            "case\n"
            "  when outcome.label = 'good' then case when decision = 'lend' then 9 when decision = 'no' then 0 end\n"
            "  when outcome.label = 'it''s' then case when decision = 'lend' then -9 when decision = 'no' then 0 end\n"
            "end",
            id="texts",
        ),
        pytest.param(
            "{truth: outcome.stars, payoffs: {1: {0: 1}, 2: {0: 2}}}",
            "case\n"
            "  when outcome.stars = 1 then case when decision = 0 then 1 end\n"
            "  when outcome.stars = 2 then case when decision = 0 then 2 end\n"
            "end",
            id="numbers",
        ),
        pytest.param(
            "{truth: outcome.paid or outcome.left, payoffs: {true: {true: 1}, false: {true: 0}}}",
            "case\n"
            "  when (outcome.paid or outcome.left) then case when decision then 1 end\n"
            "  when not (outcome.paid or outcome.left) then case when decision then 0 end\n"
            "end",
            id="a condition",
        ),
    ],
)
def test_a_payoff_matrix_is_written_out_as_what_it_means(payoffs: str, expected: str) -> None:
    assert parse(START + f"value: {payoffs}").policy.value == expected


MATRIX = "value: {truth: outcome.x, payoffs: "
RISK = "guards: [{when: money at risk, "


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("matures: later", "line 4, matures: 'later' is none of outcome, window"),
        ("no_outcome: zero", "no_outcome: 'zero' is none of unknown, counts"),
        (
            "no_outcome: counts",
            "no_outcome: what never came counts only where predictions wait for it: say 'matures: w",
        ),
        ("outcome_depends_on_decision: perhaps", "expected true or false, got 'perhaps', a text"),
        ("holdout: 5", "holdout: 5, a whole number is no share; say 0% to 100%, or 0 to 1"),
        ("holdout: 100%", "holdout: holding out 100% would ask no model at all; say less"),
        ("explore: lots", "explore: 'lots', a text is no share"),
        ("explore: {among: [a, b]}", "explore: exploring needs 'share', as in {share: 2%, among: [low, high]}"),
        ("explore: {share: 1%, among: [a]}", "explore.among: a draw is among 2 to 64 decisions; here are 1"),
        ("explore: {share: 1%, among: [a, a]}", "explore.among: a decision is there twice"),
        ("explore: {share: 1%, among: [a, [b]]}", "explore.among[2]: expected a constant, got a list"),
        ("explore: {share: 1%, among: a}", "explore.among: expected a list"),
        ("explore: {share: 1%, amnog: [a, b]}", "there is no key 'amnog' here; did you mean 'among'?"),
        ("covariate: 1", "covariate: expected a text, got 1"),
        ("ramp: {}", "ramp: a ramp needs 'loss_budget', the most money that it may cost"),
        ("ramp: 5%", "ramp: expected a mapping (steps: ...), got '5%', a text"),
        ("ramp: {loss_budget: 0}", "ramp.loss_budget: the most money that a ramp may cost is more than 0"),
        ("ramp: {loss_budget: 9, steps: [5%, 5%]}", "ramp.steps[2]: a ramp climbs: each step is more than the one"),
        ("ramp: {loss_budget: 9, steps: [0%, 5%]}", "ramp.steps[1]: a ramp climbs"),
        ("ramp: {loss_budget: 9, steps: []}", "ramp.steps: 0 steps are not 1 to 64"),
        ("ramp: {loss_budget: 9, steps: [110%]}", "ramp.steps[1]: '110%', a text is no share"),
        ("ramp: {loss_budget: 9, step_decisions: 0}", "expected a whole number from 1 to 1,000,000,000, got 0"),
        ("ramp: {loss_budget: 9, step_decisions: 1.5}", "expected a whole number from 1 to 1,000,000,000, got 1.5"),
        ("ramp: {loss_budget: 9, step: 60}", "ramp.step: expected a duration with its unit"),
        ("cache: 60s", "cache: expected a mapping (for: ...), got '60s', a text"),
        ("cache: {entries: 5}", "cache: a cache needs 'for', how long an answer may be given again, as in {for: 60s}"),
        ("cache: {for: 60}", "cache.for: expected a duration with its unit"),
        ("cache: {for: 1s, entries: 0}", "cache.entries: expected a whole number from 1 to 10,000,000, got 0"),
        ("allocate: thompson", "allocate: expected a mapping (by: ...), got 'thompson'"),
        ("allocate: {floor: 5%}", "allocate: say how the shares are found: {by: thompson}"),
        ("allocate: {by: tompson}", "allocate.by: 'tompson' is none of thompson; did you mean 'thompson'?"),
        ("allocate: {by: thompson, floor: 0%}", "'0%', a text is no floor; say more than 0% and at most 50%"),
        ("allocate: {by: thompson, floor: 60%}", "'60%', a text is no floor"),
        (
            "ramp: {loss_budget: 9}\nallocate: {by: thompson}",
            "line 5, allocate: a ramp sets the challengers' shares too",
        ),
        ("value: {truth: outcome.x}", "value: a payoff matrix needs 'payoffs', as in {truth: outcome.bought"),
        ("value: {payoffs: {}}", "value: a payoff matrix needs 'truth'"),
        ("value: {truth: outcome.x, matrix: 1}", "there is no key 'matrix' here"),
        (
            "matures: window\nno_outcome: counts\n" + MATRIX + "{true: {true: 1}, false: {true: 0}}}",
            "line 6, value.truth: with 'no_outcome: counts' a missing outcome counts, and the table does not say",
        ),
        (MATRIX + "{}}", "value.payoffs: 0 classes are not 1 to 32; write the value as SQL"),
        (MATRIX + "{a: {}}}", "value.payoffs.a: 0 classes are not 1 to 32"),
        (MATRIX + "{a: 1}}", "value.payoffs.a: expected a mapping (decision: ...), got 1"),
        (
            MATRIX + "{a: {x: 1}, b: {y: 1}}}",
            "line 4, value.payoffs.b: every truth says what each decision is worth; 'x'",
        ),
        (MATRIX + "{a: {x: much}}}", "value.payoffs.a.x: expected a number, got 'much'"),
        ("guards: [{when: loses money, against: holdout}]", "line 4, guards[1]: nothing is held out to compare with"),
        (
            "outcome_depends_on_decision: true\nguards: [{when: loses money}]",
            "line 5, guards[1]: the outcome depends on the decision, so nobody learns what the fallback would have",
        ),
        ("guards: [{when: loses money}, {when: loses money}]", "guards[2]: two guards say 'loses money'; each would"),
        ("guards: [{when: loses money, false_stop_every: 1}]", "expected a whole number from 2 to 1,000,000,000,000"),
        (
            "guards: [{when: loses money, above: 1}]",
            "'loses money' takes no 'above'; it takes: against, error, gain_cap",
        ),
        ("guards: [{when: loses money, whit: 1}]", "there is no key 'whit' here"),
        ("guards: [{when: makes no difference}]", "guards[1]: 'makes no difference' needs 'within', the money per dec"),
        (
            "guards: [{when: makes no difference, within: 0}]",
            "the money per decision that does not matter is more than 0",
        ),
        ("guards: [{when: makes no difference, within: 1, do: kill}]", "'kill' is none of retire, warn"),
        ("guards: [{when: challenger beats champion, do: kill}]", "'kill' is none of promote, warn"),
        ("guards: [{when: challenger beats champion, guardrails: {speed: 1%}}]", "there is no key 'speed' here"),
        (
            "guards: [{when: challenger beats champion, guardrails: {cost: lots}}]",
            "expected how much worse than the cham",
        ),
        ("guards: [{when: challenger beats champion, guardrails: {errors: 150%}}]", "'150%', a text is no share"),
        ("guards: [{when: loss}]", "guards[1]: 'loss' needs 'above', the most that is fine"),
        ("guards: [{when: loss, above: 0}]", "guards[1].above: the most money that is fine is more than 0, got 0"),
        ("guards: [{when: loss, above: 1, over: soon}]", "guards[1].over: expected a duration with its unit"),
        ("guards: [{when: drawdown, above: 1, over: 1h}]", "'drawdown' takes no 'over'; it takes: above, do"),
        (RISK + "above: 1}]", "'money at risk' needs 'of', SQL that says of what, as in 'of: inputs.amount'"),
        (RISK + "above: 1, of: 1}]", "guards[1].of: expected a text, got 1"),
        ("guards: [{when: decisions, above: 1.5}]", "expected a whole number from 1 to"),
        ("guards: [{when: decision share, above: 100%}]", "no share is above 100%; say the most that is fine"),
        ("guards: [{when: decision share, above: 200}]", "200, a whole number is no share"),
        (
            "guards: [{when: same key, above: 9}]",
            "guards[1]: 'same key' needs to know which column is the key; say 'route",
        ),
        ("guards: [{when: missing inputs, above: 1%, do: retire}]", "'retire' is none of warn, kill, halve"),
        ("guards: [{when: stale input, above: 3, of: a}]", "guards[1].above: expected a duration with its unit"),
        ("guards: [{when: stale input, above: 3d}]", "'stale input' needs 'of'"),
        ("guards: [{when: broken rules, above: 1%, of: a}]", "'broken rules' takes no 'of'"),
        ("guards: [{when: no outcomes, above: 1}]", "'no outcomes' takes no 'above'; it takes: over, do"),
        (
            "guards: [{when: errors, above: 1%}, {when: errors, above: 2%, over: 1d}]",
            "guards[2]: two guards say 'errors'",
        ),
    ],
)
def test_a_bad_word_about_money_is_refused_with_its_line(line: str, words: str) -> None:
    with pytest.raises(BadInput, match=r"^line \d+, ") as refused:
        parse(START + line)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 500
