"""The log of slow calls: one line for each over the limit, which says where its time went; bounded in rate."""

import logging
from collections.abc import Sequence

from payoff.gateway.per_second import PerSecond
from payoff.records.counts import OWN
from payoff.serving.line import Call
from payoff.serving.onlookers import arms
from payoff.serving.reply import Answered
from payoff.serving.stopwatch import Lap

LINES_PER_S_MAX = 10
log = logging.getLogger("payoff.slow")


class SlowLog:
    """Logs calls that took at least `limit_ms` from arrival to answer. `own` are the numbers of this process."""

    def __init__(self, limit_ms: float, own: memoryview) -> None:
        self.limit_us = limit_ms * 1_000
        self._own = own
        self._lines = PerSecond(LINES_PER_S_MAX)
        self._left_out = 0

    def saw(self, batch: Sequence[Call], whole: Answered, lap: Lap) -> None:
        """A line for each slow call of the batch. The first came first, so most batches are looked at once."""
        if lap.ended_us - batch[0].arrived_us < self.limit_us:
            return
        start = 0
        for call in batch:
            if lap.ended_us - call.arrived_us >= self.limit_us and self._may_log():
                self._log(call, whole, slice(start, start + call.count), lap)
            start += call.count

    def missed(self, batch: Sequence[Call], error: Exception, ended_us: int) -> None:
        """The same for calls without an answer."""
        for call in batch:
            took_us = ended_us - call.arrived_us
            if took_us >= self.limit_us and self._may_log():
                log.warning("slow call failed", extra={"fields": {**_about(call, took_us), "error": str(error)[:200]}})

    def _log(self, call: Call, whole: Answered, rows: slice, lap: Lap) -> None:
        stages = {f"{stage}_ms": ns // 1_000 / 1_000 for stage, ns in lap.stages_ns(call.arrived_us).items()}
        fields = {
            **_about(call, lap.ended_us - call.arrived_us), **stages, "arm": ",".join(arms(whole, rows)),
            "batch_rows": len(whole.arms), "prediction_id": whole.ids[rows.start] if call.count else "",
        }  # fmt: skip
        if self._left_out:
            fields["left_out"], self._left_out = self._left_out, 0
        log.warning("slow call", extra={"fields": fields})

    def _may_log(self) -> bool:
        """Whether there is room for another line in this second; what there is none for is counted."""
        self._own[OWN["slow_calls"]] += 1
        if self._lines.take():
            return True
        self._left_out += 1
        self._own[OWN["slow_left_out"]] += 1
        return False


def _about(call: Call, took_us: int) -> dict[str, object]:
    return {
        "endpoint": call.live.name, "revision": call.live.revision.number, "form": call.form.name, "rows": call.count,
        "caller": getattr(call.caller, "address", ""), "took_ms": took_us / 1_000,
    }  # fmt: skip
