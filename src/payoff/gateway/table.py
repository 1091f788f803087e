"""Answers as a flat table: one row per row asked, with its id, the outputs, the decision, and why."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from payoff.codecs.answer import Answer, Listing
from payoff.records import Column, Field, Type
from payoff.serving import Answered

_FIRST = (Field("prediction_id", Type.TEXT),)
WHY = (
    Field("arm", Type.TEXT),
    Field("version", Type.INT64, nullable=True),
    Field("why", Type.TEXT),
    Field("violations", Type.TEXT),
)
_OWN = {field.name for field in (*_FIRST, *WHY)} | {"decision"}


@lru_cache(maxsize=1024)
def fields(outputs: tuple[Field, ...], decision: Type | None) -> tuple[Field, ...]:
    """The columns of a flat answer. An output that is called like one of ours becomes `outputs.NAME`."""
    named = (Field(_free(f.name), f.type, f.shape, nullable=True) for f in outputs)
    decided = (Field("decision", decision, nullable=True),) if decision else ()
    return (*_FIRST, *named, *decided, *WHY)


def flat(answered: Answered, how: Listing = "records") -> Answer:
    """One row per row asked: id, outputs, decision, and why."""
    live = answered.live
    named = fields(live.outputs, live.decision_type)
    return Answer(live.name, live.revision.number, columns(answered), named, how)


def brief(answered: Answered) -> dict[str, Column | Sequence[str]]:
    """Ids, outputs and decision alone, for those to whom the why is told otherwise."""
    return {"prediction_id": answered.ids, **_answers(answered)}


def columns(answered: Answered, why: bool = True) -> dict[str, Column]:
    """The columns of a flat answer, in their order; without those that say why, if they are told otherwise."""
    columns = {"prediction_id": _texts([*answered.ids]), **_answers(answered)}
    if not why:
        return columns
    columns["arm"] = _texts(answered.arms)
    columns["version"] = _versions(answered.versions)
    columns["why"] = _texts(answered.whys)
    columns["violations"] = _texts(answered.violations)
    return columns


def _answers(answered: Answered) -> dict[str, Column]:
    found = {_free(name): column for name, column in answered.outputs.items()}
    if answered.decision is not None:
        found["decision"] = answered.decision
    return found


def _free(name: str) -> str:
    return f"outputs.{name}" if name in _OWN else name


def _texts(texts: list[str]) -> Column:
    return Column(np.array(texts, object))


def _versions(versions: list[int | None]) -> Column:
    if None not in versions:
        return Column(np.array(versions, np.int64))
    valid = np.array([version is not None for version in versions], bool)
    return Column(np.array([version or 0 for version in versions], np.int64), valid)
