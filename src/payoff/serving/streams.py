"""The journal's streams of a revision: one for each way that a row can go, and for what may become of it there."""

from collections.abc import Iterator

from payoff.journal.frame import PROPENSITY, Stream
from payoff.records import Arm, Field, Otherwise, Revision
from payoff.routing import FALLBACK, Split, explores, killed_champion

FALLBACK_ARM = "fallback"
Columns = tuple[tuple[str, Field], ...]


def streams(revision: Revision, ways: Split, columns: Columns) -> dict[tuple[int, str], Stream]:
    """By way of the split and choice: the arm's own, what is explored, and what the fallback does for it."""
    found = {}
    for way, lane in enumerate(ways.lanes):
        made = _of_fallback(revision, ways.choices[way]) if lane == FALLBACK else _of_arm(revision, lane)
        for choice, arm, instead_of, explored in made:
            own = (*columns, PROPENSITY) if explored else columns
            found[way, choice] = stream(revision, arm, own, choice, ways.shares[way], instead_of)
    return found


def stream(
    revision: Revision, arm: Arm | None, columns: Columns, choice: str = "", share: float = 1.0, instead_of: str = "",
    *, shadow: bool = False,
) -> Stream:  # fmt: skip
    """One stream of an arm, or of the fallback."""
    return Stream(
        kind="predictions",
        endpoint=revision.endpoint,
        revision=revision.number,
        arm=arm.name if arm else FALLBACK_ARM,
        model=arm.model if arm else FALLBACK_ARM,
        version=arm.version if arm else None,
        shadow=shadow,
        choice=choice,
        share=share,
        instead_of=instead_of,
        columns=columns,
    )


Made = tuple[str, Arm | None, str, bool]  # choice, who answers (None: the fallback), instead of whom, with propensity


def _of_fallback(revision: Revision, choice: str) -> Iterator[Made]:
    killed = killed_champion(revision) if choice == "killed" else None
    yield choice, None, killed.name if killed else "", False


def _of_arm(revision: Revision, lane: int) -> Iterator[Made]:
    arm, explored = revision.arms[lane], explores(revision) is not None
    yield "", arm, "", explored
    if explored:
        yield "explore", arm, "", True
    if revision.policy.fallback:
        yield "failed", None, arm.name, False
    if any(rule.otherwise is Otherwise.FALLBACK for rule in revision.policy.rules):
        yield "rule", None, arm.name, explored
