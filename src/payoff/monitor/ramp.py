"""A canary that climbs by itself under a loss budget: the next step of a challenger, decided without doing anything.

It climbs when it has decided often enough at its share and nothing speaks against it; it halves when in doubt; it is
stopped when it has cost the budget or provably loses against the champion. The last step, all of the traffic, is a
promotion; where a guard promotes, that guard has the last word.
"""

from dataclasses import dataclass

from payoff.codecs.units import percent
from payoff.experiment.verdict import Case
from payoff.records.endpoint import Arm, Ramp

DOUBT = 0.1  # of the evidence which the verdict needs that it loses against the champion
SHARE_LEAST = 0.001
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Climb:
    """What is known of a challenger on its way up.

    `case` asks whether it loses against the champion; `answered` counts all rows it ever answered in this life, matured
    or in flight; `matured` those that matured since it has its present share, which is since `began_us`.
    """

    arm: Arm
    case: Case
    answered: int
    matured: int
    began_us: int
    guarded: bool = False  # a guard promotes

    @property
    def cost(self) -> float:
        """What the experiment has cost so far, in units: what it is behind per decision, on all it answered."""
        return max(0.0, -self.case.raw.mean) * self.answered

    @property
    def name(self) -> str:
        return f"{self.arm.model} v{self.arm.version}"


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with a challenger: `verb` is ramp (to `share`), promote or kill."""

    verb: str
    share: float
    reason: str


def step(ramp: Ramp, climb: Climb, now_us: int) -> Step | None:
    """The step that is due, if one is."""
    e_value, bar = climb.case.e_value, climb.case.threshold
    if climb.case.reached:
        return Step("kill", 0.0, f"{climb.name} loses against the champion: evidence {e_value:,.0f} of {bar:,.0f}.")
    if climb.cost > ramp.loss_budget:
        return Step(
            "kill", 0.0,
            f"{climb.name} has cost {climb.cost:,.2f} {climb.case.question.currency} against the champion on "
            f"{climb.answered:,} decisions; the budget is {ramp.loss_budget:,.2f}.",
        )  # fmt: skip
    if climb.matured < ramp.step_decisions or now_us - climb.began_us < ramp.step_s * SECOND_US:
        return None
    if e_value >= bar * DOUBT:
        return _down(climb, e_value, bar)
    return _up(ramp, climb)


def _down(climb: Climb, e_value: float, bar: float) -> Step | None:
    share = climb.arm.traffic / 2
    if share < SHARE_LEAST:
        return None
    return Step("ramp", share, f"In doubt about {climb.name}: evidence {e_value:,.1f} of {bar:,.0f} that it loses.")


def _up(ramp: Ramp, climb: Climb) -> Step | None:
    share = next((share for share in ramp.steps if share > climb.arm.traffic + 1e-9), None)
    told = f"{climb.matured:,} decisions at {percent(climb.arm.traffic)} and nothing speaks against {climb.name}"
    if share is None or share >= 1:
        return None if climb.guarded else Step("promote", 1.0, f"{told}: it takes over.")
    return Step("ramp", share, f"{told}.")
