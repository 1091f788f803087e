"""The drill itself: a copy of the endpoint, recorded traffic through the real doors, and a model that turns bad.

The copy has the endpoint's champion, its decision, its value and its guards; it answers nobody but the drill. Halfway
through the recorded rows the model starts to lose: the money reported of its decisions is shifted, so that they lose a
stated amount each against what its guard compares with. Then everything goes the usual way: outcomes come in with the
delays they had, the watch judges, the guard gives the order, the workers swap.
"""

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from payoff.client.client import Client
from payoff.client.endpoint import Endpoint
from payoff.codecs import units
from payoff.codecs.document import Place
from payoff.drill.alarms import Stop, Stream, daily, stop, threshold
from payoff.drill.recorded import Traffic, read
from payoff.drill.report import Report
from payoff.errors import BadInput, PayoffError
from payoff.records.names import drill_of

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2_000
ROWS_PER_CALL = 25
LOSS_SPREADS = 0.3  # of the spread of a decision's money: what the model loses per decision if nobody says
PATIENCE_S = 30.0
FALLBACK = "fallback"  # the arm of a row that no model decided
_LEFT_OUT = ("ramp", "allocate", "explore", "matures", "no_outcome")  # a drill does not wait for windows
_KILLS = ("loses money", "loss", "drawdown", "money at risk", "decisions", "decision share", "broken rules", "errors")

Say = Callable[[str], None]


@dataclass(slots=True)
class Drill:
    """A drill under way. `shift` is what every losing decision is reported lower than it was, in units.

    `own` says which rows the model decided, (n,): those of a hold-out do not lose, and earn nothing on average.
    """

    client: Client
    traffic: Traffic
    copy: Endpoint
    shift: float
    turn: int  # the first losing row
    own: NDArray[np.bool_] = field(init=False)
    failed: int = 0
    failure: str = ""  # what the first failed request was told
    asked: int = 0
    due: list[tuple[int, int, str]] = field(default_factory=list)  # when known, row, prediction id
    heard_at_s: float = 0.0

    def __post_init__(self) -> None:
        self.own = np.ones(len(self.traffic), np.bool_)

    def run(self) -> dict[str, Any] | None:
        """Row after row until a guard kills; its order, or None if none did."""
        while self.asked < len(self.traffic):
            end = min(self.asked + ROWS_PER_CALL, len(self.traffic))
            if self.asked < self.turn < end:
                end = self.turn  # nobody is asked about good and bad rows in one call
            self._ask(self.asked, end)
            clock_us = int(self.traffic.made_us[end]) if end < len(self.traffic) else None
            if self._tell(clock_us) and (order := self._killed()):
                return order
        return None

    def _ask(self, begin: int, end: int) -> None:
        try:
            answers = self.copy.predict(self.traffic.inputs.slice(begin, end - begin))
        except PayoffError as error:
            self.failed += 1
            self.failure = self.failure or str(error)
        else:
            self.own[begin:end] = np.array(answers["arm"].to_pylist()) != FALLBACK
            for row, each in zip(range(begin, end), answers["prediction_id"].to_pylist(), strict=True):
                heapq.heappush(self.due, (int(self.traffic.known_us[row]), row, each))
        self.asked = end

    def _tell(self, clock_us: int | None) -> bool:
        """Report every outcome that is known by then (all, at the end), and wait until payoff has judged it."""
        rows, ids = [], []
        while self.due and (clock_us is None or self.due[0][0] <= clock_us):
            _, row, each = heapq.heappop(self.due)
            rows.append(row)
            ids.append(each)
        if not rows:
            return False
        self.heard_at_s = time.time()
        told = self.copy.outcomes(self._outcomes(rows, ids))
        self._await_judged(str(told["outcome_id"]))
        return True

    def _outcomes(self, rows: list[int], ids: list[str]) -> Any:
        import pyarrow as pa

        at = np.array(rows)
        worse = np.where(at >= self.turn, self.shift, 0.0)
        lower = np.where(self.own[at], worse, self.traffic.worth.mean())
        table = pa.table({"prediction_id": ids, "value": self.traffic.worth[at] - lower})
        if self.traffic.outcomes is not None:
            truth = self.traffic.outcomes.take(pa.array(at))
            for name in truth.column_names:
                table = table.append_column(name, truth[name])
        return table

    def _await_judged(self, outcome_id: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.copy.judged()["outcome_id"] < outcome_id:
            time.sleep(0.005)

    def _killed(self) -> dict[str, Any] | None:
        orders = self.client.orders(self.copy.name, limit=5)
        return next((one for one in orders if one["verb"] == "kill" and one["author"].startswith("guard")), None)

    def until_fallback_s(self) -> float | None:
        """From the outcome that settled it until the fallback answers; None if it does not."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            answer = self.copy.predict(self.traffic.inputs.slice(0, 1))
            if answer["arm"].to_pylist() == [FALLBACK]:
                return time.time() - self.heard_at_s
        return None


@dataclass(frozen=True, slots=True)
class Injected:
    """What is made worse: rows from `turn` on, each by `shift` units."""

    turn: int
    shift: float
    words: str


def drill(
    client: Client,
    endpoint: str,
    rows: int = ROWS,
    loss: float | None = None,
    before_id: str | None = None,
    say: Say = lambda _: None,
) -> Report:
    """Drill an endpoint with its last `rows` recorded rows, and take the copy down again.

    `loss` is what the injected model loses per decision, in units; without it LOSS_SPREADS of a decision's spread. With
    `before_id` the rows before that prediction are an incident of the past, replayed as it was: would the guards of
    today have stopped it, and when? BadInput if the endpoint has no guard that kills, or too little is recorded.
    """
    told = client.endpoint(endpoint).describe()
    file = yaml.safe_load(told["yaml"])
    guard = _guard(file, endpoint)
    traffic = read(client, endpoint, rows, guard.get("against", "nothing"), before_id, _window_us(file))
    traffic = replace(traffic, inputs=_taken(traffic.inputs, told))
    money = traffic.worth - np.nan_to_num(traffic.against)
    made = _injected(money, loss, before_id is not None, file.get("currency", "EUR"))
    turn, shift = made.turn, made.shift
    say(f"Replaying {len(traffic):,} recorded rows of {endpoint}; from row {turn:,} on: {made.words}.")
    name = drill_of(endpoint, f"{time.time_ns() // 1_000_000:x}")
    client.apply(yaml.safe_dump(_copied(file, name), sort_keys=False), reason=f"drill of {endpoint}")
    try:
        under_way = Drill(client, traffic, client.endpoint(name), shift, turn)
        order = under_way.run()
        kill_s = under_way.until_fallback_s() if order else None
    finally:
        client.end_drill(name)
    worse = np.where(under_way.own[turn:], money[turn:] - shift, 0.0)
    losing = Stream(traffic.made_us[turn:], traffic.known_us[turn:], worse)
    report = _report(endpoint, file, under_way, order, kill_s, losing, money[:turn], made.words)
    client.note_drill(endpoint, report.plain())
    return report


def _injected(money: NDArray[np.float64], loss: float | None, incident: bool, currency: str) -> Injected:
    if incident and loss is None:
        return Injected(0, 0.0, f"what was recorded, {money.mean():,.2f} {currency} per decision")
    turn = len(money) // 2
    loss = LOSS_SPREADS * float(money.std()) if loss is None else loss
    return Injected(turn, float(money[turn:].mean()) + loss, f"a model that loses {loss:,.2f} {currency} per decision")


def _taken(inputs: "pa.Table", told: dict[str, Any]) -> "pa.Table":
    """The columns that the endpoint takes now: earlier revisions may have recorded others."""
    taken = {one["name"] for one in told["signature"]["inputs"]}
    return inputs.select([name for name in inputs.column_names if name in taken])


def _guard(file: dict[str, Any], endpoint: str) -> dict[str, Any]:
    kills = [guard for guard in file.get("guards", ()) if guard["when"] in _KILLS and guard.get("do") == "kill"]
    if not kills:
        raise BadInput(
            f"{endpoint} has no guard that kills, so nothing would stop a losing model; add one to its file, such as "
            "{when: loses money, error: 1%, do: kill}"
        )
    found: dict[str, Any] = next((guard for guard in kills if guard["when"] == "loses money"), kills[0])
    return found


def _window_us(file: dict[str, Any]) -> int | None:
    """How long after a prediction its worth counts, where that is not with its outcome."""
    if file.get("matures") != "window":
        return None
    return int(units.seconds(Place(file.get("outcome_window", "1d"), "outcome_window", 1)) * 1e6)


def _copied(file: dict[str, Any], name: str) -> dict[str, Any]:
    """The endpoint's file for its copy: the champion alone, and nothing that changes by itself but the plug."""
    kept = {key: value for key, value in file.items() if key not in _LEFT_OUT}
    champion = next(arm for key, arm in file["arms"].items() if arm.get("role", key) == "champion")
    alive = {key: value for key, value in champion.items() if key != "killed"}
    guards = [guard for guard in file["guards"] if guard.get("do") == "kill"]
    return {**kept, "endpoint": name, "arms": {"champion": alive}, "guards": guards}


def _report(
    endpoint: str, file: dict[str, Any], ran: Drill, order: dict[str, Any] | None, kill_s: float | None,
    losing: Stream, before: "NDArray[np.float64]", injected: str,
) -> Report:  # fmt: skip
    plug = _plug(ran, losing) if order else None
    return Report(
        endpoint=endpoint,
        currency=file.get("currency", "EUR"),
        injected=injected,
        rows=len(losing.money),
        before=ran.turn,
        plug=plug,
        decided_by=order["author"] if order else "",
        reason=order["reason"] if order else "",
        kill_s=kill_s,
        threshold=threshold(before, losing),
        daily=daily(losing),
        lost_in_all=float(-losing.money.sum()),
        failed_requests=ran.failed,
        failure=ran.failure,
    )


def _plug(ran: Drill, losing: Stream) -> Stop:
    """What had been decided when the order came; before the turn it was the recorded traffic itself that lost."""
    if ran.asked <= ran.turn:
        return Stop(0, 0.0, 0.0)
    return stop(losing, int(ran.traffic.made_us[ran.asked - 1]))
