"""The guards an endpoint may have: what may follow when, which keys each takes, how each is read and written.

Only harm (a version provably loses money) and limits, which need no statistics, may kill. `halve` halves a
challenger's share; for a champion, who has none, it warns.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from payoff.codecs import units
from payoff.codecs.document import Place
from payoff.records.endpoint import Guard
from payoff.records.share import part

LOSES, BEATS, NO_DIFFERENCE = "loses money", "challenger beats champion", "makes no difference"
AGAINST = ("fallback", "nothing", "holdout")
GUARDRAILS = {"latency": 0.2, "errors": 0.01, "violations": 0.01, "cost": 0.5}  # how much worse a challenger may be
RELATIVE = ("latency", "cost")  # guardrails that are a part of the champion's; the others are differences of shares
ERROR_MAX = 0.5
_RELATIVE_MAX = 100.0
_EVERY_MAX = 10**12
_COUNT_MAX = 10**12
_BLOCK_MAX = 1_000
_HOUR_S = 3_600.0
_HARM = ("kill", "halve", "warn")
_CAREFUL = ("warn", "kill", "halve")
Unit = Literal["money", "share", "count", "seconds"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the table: `does` is what may follow, the usual first; `needs` those of its keys that must be said.

    `above` is the unit of that key, `over_s` the usual time it is counted over.
    """

    does: tuple[str, ...]
    keys: tuple[str, ...]
    needs: tuple[str, ...] = ()
    above: Unit = "money"
    over_s: float | None = None


def _limit(does: tuple[str, ...], unit: Unit, *more: str, needs: tuple[str, ...] = ()) -> Kind:
    return Kind(does, ("above", "over", *more), ("above", *needs), unit, _HOUR_S)


GUARDS: dict[str, Kind] = {
    LOSES: Kind(_HARM, ("against", "error", "gain_cap", "block", "false_stop_every")),
    BEATS: Kind(("promote", "warn"), ("error", "gain_cap", "block", "guardrails")),
    NO_DIFFERENCE: Kind(("retire", "warn"), ("within", "error"), ("within",)),
    "loss": _limit(_HARM, "money"),
    "drawdown": Kind(_HARM, ("above",), ("above",)),
    "money at risk": _limit(_HARM, "money", "of", needs=("of",)),
    "decisions": _limit(_HARM, "count"),
    "decision share": _limit(_HARM, "share", "of"),
    "same key": _limit(_HARM, "count"),
    "missing inputs": _limit(_CAREFUL, "share", "of"),
    "stale input": _limit(_CAREFUL, "seconds", "of", needs=("of",)),
    "broken rules": _limit(_HARM, "share"),
    "errors": _limit(_HARM, "share"),
    "no outcomes": Kind(("halve", "kill", "warn"), ("over",), over_s=2 * _HOUR_S),
}
LIMITS = tuple(when for when in GUARDS if when not in (LOSES, BEATS, NO_DIFFERENCE))
MONEY = (LOSES, BEATS, NO_DIFFERENCE, "loss", "drawdown")  # these need to know what a decision is worth


def usual(when: str) -> Guard:
    """The guard as it is if a file says no more than `when`."""
    kind = GUARDS[when]
    return Guard(when, kind.does[0], over_s=kind.over_s, guardrails=dict(GUARDRAILS) if when == BEATS else {})


def subject(guard: Guard) -> tuple[str, str | None, str | None]:
    """What no two guards of an endpoint may share: each would have its own chance of error."""
    return guard.when, guard.against if guard.when == LOSES else None, guard.of


def read(place: Place) -> Guard:
    """The guard that the mapping describes, made whole with what is usual."""
    at = place.mapping(_KEYS)
    if "when" not in at:
        raise place.wrong(f"a guard needs 'when', as in {{when: {LOSES}, error: 1%}}; it may be: {', '.join(GUARDS)}")
    when = at["when"].one_of(tuple(GUARDS))
    kind = GUARDS[when]
    for key, under in at.items():
        if key not in ("when", "do", *kind.keys):
            raise under.wrong(f"'{when}' takes no {key!r}; it takes: {', '.join((*kind.keys, 'do'))}")
    for key in kind.needs:
        if key not in at:
            raise place.wrong(f"'{when}' needs {key!r}, {_MEANS[key]}")
    do = at["do"].one_of(kind.does) if "do" in at else kind.does[0]
    said = {_FIELDS.get(key, key): _READ[key](at[key], kind) for key in kind.keys if key in at}
    return replace(usual(when), do=do, **said)


def said(guard: Guard) -> dict[str, Any]:
    """The guard as a mapping that `read` reads back; what is usual and long is left out."""
    kind, common = GUARDS[guard.when], usual(guard.when)
    found: dict[str, Any] = {}
    for key in _KEYS:
        value = getattr(guard, _FIELDS.get(key, key))
        if key in ("when", "do"):
            found[key] = value
        elif key in kind.keys and (key in _ALWAYS or value != getattr(common, _FIELDS.get(key, key))):
            found[key] = _write(key, value, kind)
    return found


def _error(place: Place, _: Kind) -> float:
    error = place.share()
    if not 0 < error <= ERROR_MAX:
        raise place.wrong(f"{place.said()} is no chance of error; say more than 0% and at most 50%")
    return error


def _more_than_0(place: Place, what: str) -> float:
    number = place.number()
    if number <= 0:
        raise place.wrong(f"{what} is more than 0, got {place.said()}")
    return number


def _cap(place: Place, _: Kind) -> float:
    return _more_than_0(place, "the most that one decision may be credited with")


def _within(place: Place, _: Kind) -> float:
    return _more_than_0(place, "the money per decision that does not matter")


def _every(place: Place, _: Kind) -> int:
    return units.whole(place, 2, _EVERY_MAX)


def _above(place: Place, kind: Kind) -> float:
    if kind.above == "seconds":
        return units.seconds(place)
    if kind.above == "count":
        return float(units.whole(place, 1, _COUNT_MAX))
    if kind.above == "money":
        return _more_than_0(place, "the most money that is fine")
    share = place.share()
    if share == 1:
        raise place.wrong("no share is above 100%; say the most that is fine")
    return share


def _guardrails(place: Place, _: Kind) -> dict[str, float]:
    return {name: _worse(name, under) for name, under in place.mapping(tuple(GUARDRAILS)).items()}


def _worse(name: str, place: Place) -> float:
    if name not in RELATIVE:
        return place.share()
    found = part(place.value)
    if found is None or found > _RELATIVE_MAX:
        raise place.wrong(f"expected how much worse than the champion it may be, such as 20%, got {place.said()}")
    return found


def _write(key: str, value: Any, kind: Kind) -> Any:
    if key == "guardrails":
        return {name: units.percent(worse) for name, worse in value.items()}
    if key == "error" or (key == "above" and kind.above == "share"):
        return units.percent(value)
    if key == "over" or (key == "above" and kind.above == "seconds"):
        return units.duration(value)
    return units.number(value) if isinstance(value, float) else value


_KEYS = ("when", "of", "above", "over", "against", "within", "error", "do", "gain_cap", "block", "false_stop_every",
         "guardrails")  # as they are written  # fmt: skip
_ALWAYS = ("above", "over", "against", "within", "error")
_FIELDS = {"over": "over_s"}
_READ: dict[str, Callable[[Place, Kind], Any]] = {
    "of": lambda place, _: place.text(),
    "above": _above,
    "over": lambda place, _: units.seconds(place),
    "against": lambda place, _: place.one_of(AGAINST),
    "within": _within,
    "error": _error,
    "gain_cap": _cap,
    "block": lambda place, _: units.whole(place, 1, _BLOCK_MAX),
    "false_stop_every": _every,
    "guardrails": _guardrails,
}
_MEANS = {
    "above": "the most that is fine",
    "of": "SQL that says of what, as in 'of: inputs.amount'",
    "within": "the money per decision that does not matter, as in 'within: 0.05'",
}
