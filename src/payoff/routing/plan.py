"""From a revision's arms to the split of its traffic and the arms that only watch."""

from typing import NamedTuple

from payoff.records.endpoint import Arm, Explore, Revision, Role
from payoff.routing.split import FALLBACK, Split

COMPARING = ("challenger beats champion", "makes no difference")  # guards that ask about the difference of two arms


class Piece(NamedTuple):
    """One piece of a split, before it has a place."""

    lane: int
    share: float
    choice: str
    why: str


def split(revision: Revision) -> Split:
    """Who answers: challengers their shares, the champion the rest but the hold-out; after its kill, the fallback."""
    challengers = [
        Piece(lane, arm.traffic, "", f"challenger: {_percent(arm.traffic)} of the traffic")
        for lane, arm in enumerate(revision.arms)
        if arm.role is Role.CHALLENGER and arm.traffic > 0
    ]
    left = max(0.0, 1.0 - sum(piece.share for piece in challengers))
    pieces = [*challengers, *_rest(revision, round(left, 12))]
    taken, edges = 0.0, []
    for piece in pieces[:-1]:
        taken += piece.share
        edges.append(taken)
    lanes, shares, choices, whys = zip(*pieces, strict=True)
    return Split(lanes, (*edges, 1.0), choices, shares, whys)


def explores(revision: Revision) -> Explore | None:
    """What is decided at random; nothing while no champion answers: then the endpoint is in trouble."""
    return revision.policy.explore if revision.arm(Role.CHAMPION) else None


def _rest(revision: Revision, left: float) -> list[Piece]:
    """What challengers leave: the champion's, with the hold-out at its top end, or the fallback's."""
    for lane, arm in enumerate(revision.arms):
        if arm.role is Role.CHAMPION:
            return _champion(lane, left, min(left, revision.policy.holdout))
    killed = killed_champion(revision)
    why = f"fallback: {killed.model} v{killed.version} is killed" if killed else "fallback: no champion"
    return [Piece(FALLBACK, left, "killed", why)]


def _champion(lane: int, left: float, held: float) -> list[Piece]:
    champion = Piece(lane, round(left - held, 12), "", "champion")
    if not held:
        return [champion]
    why = f"hold-out: {_percent(held)} of the traffic is decided by the fallback, to compare with"
    return [champion, Piece(FALLBACK, held, "holdout", why)]


def killed_champion(revision: Revision) -> Arm | None:
    """The champion that was killed, if there is one."""
    return next((arm for arm in revision.arms if arm.role is Role.KILLED and arm.was is Role.CHAMPION), None)


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def watchers(revision: Revision) -> tuple[tuple[int, bool], ...]:
    """Arms that are asked without answering, as (lane, only the rows that others answered).

    Shadows and killed arms see every row. Where a guard or a ramp compares challenger and champion, each also sees the
    rows of the other, so that they meet on every prediction; not where the outcome depends on the decision, for there
    nobody learns what the other decision would have brought.
    """
    policy = revision.policy
    asks = policy.ramp is not None or any(guard.when in COMPARING for guard in policy.guards)
    compared = asks and not policy.outcome_depends_on_decision
    challenged = any(arm.role is Role.CHALLENGER for arm in revision.arms)
    found = []
    for lane, arm in enumerate(revision.arms):
        if arm.role in (Role.SHADOW, Role.KILLED):
            found.append((lane, False))
        elif compared and challenged:
            found.append((lane, True))
    return tuple(found)
