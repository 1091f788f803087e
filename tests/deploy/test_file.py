"""An endpoint as a YAML file: what is read, what is refused and in which words, and that it survives the way back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.codecs.document import BYTES_MAX
from payoff.deploy.file import AGAINST, GUARDS, LOSES, FileArm, diff, parse, render
from payoff.errors import BadInput, PayoffError, TooLarge
from payoff.records import Arm, Field, Guard, Otherwise, Policy, Revision, Role, Rule, Served, Signature, Type, Version

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
            Guard("challenger beats champion", "promote", 0.01),
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
            START + "explore: 2%", "line 4, explore: exploring is not built yet; remove the line", id="explore"
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
            START + "guards: [{when: loses money, do: promote}]", "guards[1].do: 'promote' is none of kill", id="do"
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
            "only 'loses money' is",
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
@given(st.integers(0, len(WHOLE)), st.integers(0, 20), st.text(max_size=4))
def test_a_damaged_file_is_read_or_refused(at: int, cut: int, instead: str) -> None:
    try:
        parse(WHOLE[:at] + instead + WHOLE[at + cut :])
    except PayoffError:
        return


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
LOSES_GUARDS = st.builds(
    Guard, st.just(LOSES), st.just("kill"), ERRORS, st.sampled_from(AGAINST), st.none() | st.floats(0.01, 1e9)
)
BEATS_GUARDS = st.builds(Guard, st.just("challenger beats champion"), st.just("promote"), ERRORS)
POLICIES = st.builds(
    Policy,
    decision=st.none() | LINES,
    value=st.none() | LINES,
    currency=st.sampled_from(["EUR", "NOK", "USD"]),
    fallback=st.dictionaries(TEXTS, CONSTANTS, max_size=3),
    rules=st.lists(st.builds(Rule, LINES, st.sampled_from(Otherwise)), max_size=3).map(tuple),
    guards=st.lists(LOSES_GUARDS | BEATS_GUARDS, max_size=2).map(tuple),
    route_by=st.none() | TEXTS,
    context=FIELDS,
    outcome=FIELDS,
    outcome_window_s=st.sampled_from([0.5, 1.0, 30.0, 90.0, 7_200.0, 86_400.0, 90_000.0]),
)
SERVED = Served("onnx", "0" * 64, Signature((), ()))


@settings(max_examples=60, deadline=None)
@given(POLICIES, st.floats(0, 1), st.booleans())
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
    assert "- {when: loses money, against: fallback, error: 5%, do: kill, gain_cap: 20.0}" in text
    assert text.endswith("outcome_window: 2h\n")


def test_a_diff_shows_what_would_change(version: Make) -> None:
    running = Revision("e", 7, 0, "anna", "", (Arm("champion", Role.CHAMPION, "m", 1, version(1).served),))
    planned = replace(running, number=8, policy=Policy(currency="USD"))
    assert diff(running, running) == ""
    assert diff(running, planned).splitlines()[:2] == ["--- e, revision 7", "+++ file"]
    assert {"-currency: EUR", "+currency: USD"} <= set(diff(running, planned).splitlines())
    assert diff(None, planned).splitlines()[0] == "--- e, nothing"


def test_each_guard_has_one_consequence() -> None:
    assert GUARDS == {"loses money": "kill", "challenger beats champion": "promote"}
