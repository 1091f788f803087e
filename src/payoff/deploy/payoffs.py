"""A payoff matrix, truth by decision to money, written out as the CASE expression that it means."""

import re
from collections.abc import Sequence

from payoff.codecs import units
from payoff.codecs.document import Place

_CLASSES_MAX = 32
_COLUMN = re.compile(r'(\w+|"[^"]+")(\.(\w+|"[^"]+"))?')
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_EXAMPLE = "{truth: outcome.bought, payoffs: {true: {true: 28, false: 0}, false: {true: -2, false: 0}}}"


def sql(place: Place) -> str:
    """The value that {truth: SQL, payoffs: {CLASS: {DECISION: MONEY}}} means.

    It is null, so unknown, where the truth or the decision is none of those in the table.
    """
    at = place.mapping(("truth", "payoffs"))
    for needed in ("truth", "payoffs"):
        if needed not in at:
            raise place.wrong(f"a payoff matrix needs {needed!r}, as in {_EXAMPLE}")
    rows = _few(at["payoffs"], "truth")
    cells = {truth: _few(row, "decision") for truth, row in rows.items()}
    decisions = list(next(iter(cells.values())))
    for truth, row in cells.items():
        if odd := sorted(set(decisions) ^ set(row)):
            raise rows[truth].wrong(f"every truth says what each decision is worth; {odd[0]!r} is not in all of them")
    whether_true = _conditions(_sub(at["truth"].text()), list(rows))
    whether_decided = _conditions("decision", decisions)
    lines = [
        f"  when {is_true} then case "
        + " ".join(f"when {is_decided} then {units.number(row[decision].number())}"
                   for decision, is_decided in zip(decisions, whether_decided, strict=True))
        + " end"
        for row, is_true in zip(cells.values(), whether_true, strict=True)
    ]  # fmt: skip
    return "\n".join(["case", *lines, "end"])


def refuse_silence(place: Place) -> None:
    """BadInput if a missing outcome is none of the truths: where it is to count, the table must say as what."""
    truth = place.mapping()["truth"]
    if _COLUMN.fullmatch(truth.text()):
        raise truth.wrong(
            "with 'no_outcome: counts' a missing outcome counts, and the table does not say as what; "
            f"say 'truth: coalesce({truth.text()}, false)', or whatever silence means"
        )


def _few(place: Place, what: str) -> dict[str, Place]:
    found = place.mapping(what=what)
    if not 1 <= len(found) <= _CLASSES_MAX:
        raise place.wrong(f"{len(found)} classes are not 1 to {_CLASSES_MAX}; write the value as SQL")
    return found


def _sub(truth: str) -> str:
    return truth if _COLUMN.fullmatch(truth) else f"({truth})"


def _conditions(of: str, classes: Sequence[str]) -> list[str]:
    """Each class as a condition: true and false as they are, numbers as numbers, everything else as a text."""
    lower = [one.lower() for one in classes]
    if set(lower) <= {"true", "false"}:
        return [of if one == "true" else f"not {of}" for one in lower]
    if all(_NUMBER.fullmatch(one) for one in classes):
        return [f"{of} = {one}" for one in classes]
    return [f"{of} = '{one.replace(chr(39), chr(39) * 2)}'" for one in classes]
