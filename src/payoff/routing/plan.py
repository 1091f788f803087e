"""From a revision's arms to the split of its traffic and the arms that only watch."""

from payoff.records.endpoint import Arm, Revision, Role
from payoff.routing.split import FALLBACK, Split

PAIRED = "challenger beats champion"


def split(revision: Revision) -> Split:
    """Who answers: challengers their shares, the champion the rest; a killed arm's share falls to the fallback."""
    pieces: list[tuple[int, float, str]] = []
    for lane, arm in enumerate(revision.arms):
        if arm.role is Role.CHALLENGER and arm.traffic > 0:
            pieces.append((lane, arm.traffic, f"challenger: {arm.traffic:.0%} of the traffic"))
    pieces.append(_rest(revision.arms))
    taken, edges = 0.0, []
    for _, share, _ in pieces[:-1]:
        taken += share
        edges.append(taken)
    lanes, _, whys = zip(*pieces, strict=True)
    return Split(lanes, (*edges, 1.0), whys)


def _rest(arms: tuple[Arm, ...]) -> tuple[int, float, str]:
    for lane, arm in enumerate(arms):
        if arm.role is Role.CHAMPION:
            return lane, 1.0, "champion"
    killed = [arm for arm in arms if arm.role is Role.KILLED and arm.was is Role.CHAMPION]
    why = f"fallback: {killed[0].model} v{killed[0].version} is killed" if killed else "fallback: no champion"
    return FALLBACK, 1.0, why


def watchers(revision: Revision) -> tuple[tuple[int, bool], ...]:
    """Arms that are asked without answering, as (lane, only the rows that others answered).

    Shadows and killed arms see every row. Where a guard compares challenger and champion, each also sees the rows
    of the other, so that they meet on every prediction.
    """
    paired = any(guard.when == PAIRED for guard in revision.policy.guards)
    challenged = any(arm.role is Role.CHALLENGER for arm in revision.arms)
    found = []
    for lane, arm in enumerate(revision.arms):
        if arm.role in (Role.SHADOW, Role.KILLED):
            found.append((lane, False))
        elif paired and challenged:
            found.append((lane, True))
    return tuple(found)
