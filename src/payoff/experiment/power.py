"""Before an experiment: what a verdict about a version will take, in decisions, days and money.

Everything is simulated with the guard's own test. Where the outcome depends on the decision, the two sides decide
different rows, drawn at random, and what is simulated are the same inverse-propensity differences that are judged.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.experiment.verdict import BEATS, LOSES, Case, Question, Rows, judge
from payoff.stats.power import SAMPLE_MIN, Power, power

EFFECTS = (0.1, 0.2, 0.3, 0.5, 1.0)  # in spreads, where nobody names an effect
EVERY = 1_000_000  # decisions between two false stops, as a guard has it where nobody says
CAP_SPREADS = 3.0  # a stated cap below so many spreads cuts gains that a model needs to break even
RUNS = 100
HORIZON = 20_000
_RUNS_EVEN = 50
_DRAWN = 20_000  # amounts of a normal shape that are drawn from
_STRETCH = 256  # rows of the first look ahead; each one is twice the last

Floats = NDArray[np.float64]
Verdict = Literal["kill", "promote"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked, and of what traffic.

    `spread` is the standard deviation of a decision's money, in units, and `money` recorded amounts (n,) that have its
    shape, None for a normal one. `cap` is the most that a decision counts for staying as we are, None: learned. `share`
    is the version's of the traffic, 0 to 1; `other` that of the side it is compared with, if both decide different rows
    drawn at random; None: every row tells of both. `per_day` are the rows a day, None if not known.
    """

    verdict: Verdict
    spread: float
    error: float = 0.01
    every: float | None = EVERY
    cap: float | None = None
    money: Floats | None = None
    share: float = 1.0
    other: float | None = None
    per_day: float | None = None
    currency: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BadInput(f"a share of {self.share:g} is none; say one above 0% and at most 100%")
        if self.other is not None and not (self.other > 0 and self.share + self.other <= 1 + 1e-9):
            raise BadInput(
                f"the two sides are {self.share:.0%} and {self.other:.0%} of the traffic; both need a part of it, such "
                "as --share 10%"
            )


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an effect, in units per decision, will take. Decisions are rows of the traffic; None: no verdict by then.

    `lost` is what the version cost by the verdict, in units, below 0 if it earned; half of the runs, and 9 of 10, cost
    at most that.
    """

    effect: float
    in_spreads: float
    share_reached: float
    decisions: int | None
    decisions_9_of_10: int | None
    days: float | None
    days_9_of_10: float | None
    lost: float
    lost_9_of_10: float


def outlooks(setting: Setting, effects: Sequence[float] = (), runs: int = RUNS) -> list[Outlook]:
    """One for each effect; without any, a choice of them."""
    side = -1.0 if setting.verdict == "kill" else 1.0
    return [outlook(setting, one, runs) for one in effects or [side * part * setting.spread for part in EFFECTS]]


def outlook(setting: Setting, effect: float, runs: int = RUNS) -> Outlook:
    """What this effect per decision will take; below 0 the version loses."""
    found = simulated(setting, effect, runs)
    rows = [None if n is None else round(n / _told(setting)) for n in (found.median, found.p90)]
    lost = found.loss_median, found.loss_p90
    if setting.other is not None or setting.verdict == "promote":
        own = [-effect * setting.share * (found.horizon / _told(setting) if n is None else n) for n in rows]
        lost = own[0], max(own)
    days = [None if n is None or setting.per_day is None else n / setting.per_day for n in rows]
    return Outlook(effect, effect / setting.spread, found.share, rows[0], rows[1], days[0], days[1], *lost)


def simulated(setting: Setting, effect: float, runs: int = RUNS) -> Power:
    """The test as it runs on the rows that tell something; decisions are counted in those."""
    if setting.other is not None:
        return _compared(setting, effect, runs)
    kill = setting.verdict == "kill"
    return power(
        effect, setting.spread, error=setting.error, every=setting.every if kill else None, cap=setting.cap, runs=runs,
        shape="normal" if setting.money is None else setting.money, verdict=setting.verdict, horizon=HORIZON,
    )  # fmt: skip


def cut(setting: Setting) -> str | None:
    """What a stated cap below CAP_SPREADS does to a version that breaks even, in words; None where it cuts nothing."""
    if setting.verdict != "kill" or setting.cap is None or setting.cap >= CAP_SPREADS * setting.spread:
        return None
    even = simulated(setting, 0.0, _RUNS_EVEN)
    if even.share <= setting.error + (HORIZON / setting.every if setting.every else 0.0):
        return None
    return (
        f"the stated cap of {setting.cap:,.4g} is below three spreads ({CAP_SPREADS * setting.spread:,.4g}): it cuts "
        f"gains, so that a version that breaks even looks like a loser; {even.share:.0%} of such versions would be "
        f"stopped within {HORIZON:,} decisions. State a cap that no gain exceeds, or none, and it is learned"
    )


def plain(setting: Setting, found: Sequence[Outlook], basis: str) -> dict[str, Any]:
    """As JSON. `basis` says where spread and shape are from."""
    return {
        "verdict": setting.verdict,
        "currency": setting.currency,
        "spread": setting.spread,
        "error": setting.error,
        "gain_cap": setting.cap,
        "share": setting.share,
        "randomised": setting.other is not None,
        "decisions_per_day": setting.per_day,
        "horizon": HORIZON,
        "runs": RUNS,
        "effects": [asdict(one) for one in found],
        "warning": cut(setting),
        "assumptions": [basis, *_assumptions(setting)],
    }


def _assumptions(setting: Setting) -> list[str]:
    told = [
        f"{RUNS} simulated runs of the test that the guard runs, at an error of {setting.error:.2%}, looked at after "
        f"every decision and given up after {HORIZON:,}",
        "the cap is learned" if setting.cap is None else f"the cap is stated: {setting.cap:,.4g}",
    ]
    if setting.other is not None:
        told.append(
            f"the sides decide different rows, {setting.share:.0%} and {setting.other:.0%} of the traffic, and are "
            "compared by the chance of coming to each"
        )
    if setting.per_day is None:
        told.append("nothing is said of days: no pace is recorded, or less than an hour of it")
    return told


def _told(setting: Setting) -> float:
    """The part of the traffic that tells something: both sides, the version's own rows, or all where it watches."""
    if setting.other is not None:
        return setting.share + setting.other
    return setting.share if setting.verdict == "kill" else 1.0


def _compared(setting: Setting, effect: float, runs: int) -> Power:
    """The same for sides drawn at random: the case itself, row by row as they would come."""
    kind = LOSES if setting.verdict == "kill" else BEATS
    question = Question(kind, "", 0, "", setting.cap, randomised=True)
    start, rng = Case(question, setting.error, setting.every if kind == LOSES else None), np.random.default_rng(1)
    own = _level(setting)
    stops = np.array([_run(start, setting, effect, own, rng) for _ in range(runs)])
    median, p90 = (_whole(one) for one in np.quantile(stops, [0.5, 0.9], method="inverted_cdf").tolist())
    lost = [-effect * (HORIZON if one is None else one) for one in (median, p90)]
    return Power(float(np.isfinite(stops).mean()), median, p90, lost[0], lost[1], runs, HORIZON)


def _run(case: Case, setting: Setting, effect: float, own: Floats, rng: np.random.Generator) -> float:
    """Rows to the verdict, infinite without one."""
    done, stretch = 0, _STRETCH
    while done < HORIZON and not case.reached:
        n = min(stretch, HORIZON - done)
        case = judge(case, _rows(setting, effect, own, rng, n))
        done, stretch = done + n, 2 * stretch
    return float(case.tested) if case.reached else inf


def _rows(setting: Setting, effect: float, own: Floats, rng: np.random.Generator, n: int) -> Rows:
    """What either side earns; the version `effect` more than the other."""
    p, q = setting.share, setting.other or 0.0
    mine = rng.random(n) < p / (p + q)
    money = rng.choice(own, n) + np.where(mine, effect, 0.0)
    weight = np.where(mine, (p + q) / p, -(p + q) / q)
    return Rows(np.arange(n), money, money, weight, np.full(n, (p + q) / min(p, q)))


def _level(setting: Setting) -> Floats:
    """Amounts with the spread that is asked about and the level they were recorded at."""
    if setting.money is None:
        return setting.spread * np.random.default_rng(2).standard_normal(_DRAWN)
    if len(setting.money) < SAMPLE_MIN or not setting.money.std() > 0:
        raise BadInput(f"{len(setting.money)} amounts have no shape; record at least {SAMPLE_MIN} that differ")
    mean = float(setting.money.mean())
    scaled: Floats = mean + (setting.money - mean) * (setting.spread / float(setting.money.std()))
    return scaled


def _whole(rows: float) -> int | None:
    return int(rows) if rows < inf else None
