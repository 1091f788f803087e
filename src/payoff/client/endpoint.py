"""One endpoint, as an object: ask it, tell it what happened, read what it earned, move its versions."""

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, Any

from payoff.client import frames
from payoff.client.ordered import in_order
from payoff.client.roi import Roi
from payoff.client.said import error_of
from payoff.client.whoami import whoami
from payoff.client.wire import ARROW, NDJSON, Body, Wire
from payoff.errors import BadInput, NotFound

if TYPE_CHECKING:
    import pyarrow


class Endpoint:
    """An endpoint of a server. `deployment` is what the deploy answered, if this object came from one."""

    def __init__(self, wire: Wire, name: str, deployment: dict[str, Any] | None = None) -> None:
        self.name = name
        self.deployment = deployment
        self._wire = wire
        self._url: str | None = deployment["url"] if deployment else None
        self._flight_url: str | None = None

    def __repr__(self) -> str:
        return f"<Endpoint {self.name} {self.url}>"

    @property
    def url(self) -> str:
        """Where applications send rows."""
        if self._url is None:
            self._url = str(self.describe()["urls"]["predict"])
        return self._url

    def describe(self) -> dict[str, Any]:
        """Configuration, signature, schema and addresses, as the server has them now."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name)
        return found

    def predict(self, frame: Any, *, flight: bool = False) -> Any:
        """Answers for the rows of a frame, as the same kind of frame, in the same order, each with its prediction_id.

        A pandas frame keeps its index. A large frame goes in several requests, some of them at the same time; where the
        server has no room, a request waits and is sent again. With `flight` they go to the Arrow Flight door; NotFound
        if there is none (`payoff up --flight`).
        """
        import pyarrow as pa

        taken = frames.take(frame)
        ask = self._by_flight() if flight else lambda part: self.ask(frames.stream(part))
        answers = list(in_order(ask, frames.pieces(taken.table, frames.CALL_ROWS_MAX)))
        return taken.back(pa.concat_tables(answers, promote_options="permissive"))

    def _by_flight(self) -> Callable[["pyarrow.Table"], "pyarrow.Table"]:
        """How a part is asked over Flight; rows for which there is no room there wait at the HTTP door."""
        import pyarrow as pa

        if self._flight_url is None:
            self._flight_url = self.describe()["urls"].get("flight")
        if self._flight_url is None:
            raise NotFound("this server has no Arrow Flight door; start it with --flight HOST:PORT, or ask without it")
        flights = self._wire.flights(self._flight_url)

        def ask(part: "pyarrow.Table") -> "pyarrow.Table":
            answers = [*flights.answers(self.name, part)]
            rows = sum(one.num_rows for one in answers)
            if rows < part.num_rows or not answers:
                answers.append(self.ask(frames.stream(part.slice(rows))))
            return pa.concat_tables(answers, promote_options="permissive")

        return ask

    def predict_stream(self, rows: Iterable[Any], *, keep_good: bool = False) -> Generator[Any, None, None]:
        """Answers while the rows are still coming: dicts in one request that stays open, one dict back for each.

        A row that cannot be answered raises its error; with `keep_good` it comes back as {"error", "kind", "line"} in
        its place and the stream goes on. Of frames or tables, one is answered after the other, a few ahead.
        """
        rest = iter(rows)
        first = list(islice(rest, 1))
        if first and not isinstance(first[0], Mapping):
            yield from in_order(self.predict, chain(first, rest))
            return
        lines = map(frames.line, chain(first, rest))
        for said in map(json.loads, self._wire.converse(self.url, lines, NDJSON, NDJSON)):
            if "error" in said and "prediction_id" not in said and not keep_good:
                where = f"row {said['line'] - 1} (the first is 0): " if "line" in said else ""
                raise error_of(said["kind"], where + said["error"])
            yield said

    def outcomes(self, frame: Any, *, keep_good: bool = False) -> dict[str, Any]:
        """Sends what really happened: `prediction_id`, the truth's columns and, if known, `value` in money.

        `at` is when it happened, `part` the name of an instalment, `currency` that of the value. Of each part the last
        word counts, and parts add up. Returns how many were accepted and what was left out; a row that cannot be booked
        refuses them all, or with `keep_good` only itself.
        """
        table = frames.take(frame).table
        if "prediction_id" not in table.column_names:
            raise BadInput(f"outcomes need a column 'prediction_id'; there are: {', '.join(table.column_names)}")
        return self.tell_all(((ARROW, frames.stream(piece)) for piece in frames.pieces(table)), keep_good)

    def refused(self, limit: int = 100) -> dict[str, Any]:
        """How many outcomes were refused, by reason, and the latest of them with the words of each."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "outcomes", "refused", limit=limit)
        return found

    def roi(self) -> Roi:
        """Value, cost and net per version against a named baseline, with intervals, and the verdict so far."""
        return Roi.read(self._wire.get("endpoints", self.name, "roi"))

    def roi_page(self) -> str:
        """The same as one page of HTML that loads nothing."""
        return self._wire.page("endpoints", self.name, "roi", "page")

    def verdicts(self) -> dict[str, Any]:
        """What is asked about the versions, how each question stands in figures and words, and the verdicts on file."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "verdicts")
        return found

    def recompute(self, verdict: int) -> dict[str, Any]:
        """A verdict on file, computed again from its rows alone; `again` says whether it is the same."""
        found: dict[str, Any] = self._wire.get("verdicts", str(verdict), "again")
        return found

    def threshold(self) -> dict[str, Any]:
        """Money per decision at every threshold, what the present one leaves on the table, and the suggested one."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "threshold")
        return found

    def apply_threshold(self, reason: str = "") -> dict[str, Any]:
        """Moves the decision threshold to the suggested one; refused where it is not sure to earn more."""
        body = {"author": whoami(), "reason": reason}
        found: dict[str, Any] = self._wire.post("endpoints", self.name, "threshold", body=Body.of(body))
        return found

    def experiment(self, by: str | None = None) -> dict[str, Any]:
        """The arms side by side, each against the champion; `by` an expression over inputs, by segment too."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "experiment", by=by)
        return found

    def judged(self) -> dict[str, Any]:
        """How far the guards have come: every outcome up to `outcome_id` was there when they last looked."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "judged")
        return found | {"outcome_id": found["outcome_id"] or ""}

    def matured(self, rows: int = 2_000, before: str | None = None) -> list[dict[str, Any]]:
        """What each of the latest decisions was worth, as decided and as the fallback would have, oldest first."""
        found: list[dict[str, Any]] = self._wire.get("endpoints", self.name, "matured", rows=rows, before=before)[
            "rows"
        ]
        return found

    def power(self, verdict: str = "kill", **said: Any) -> dict[str, Any]:
        """What a verdict will take, before an experiment: `effect`, `spread`, `error`, `gain_cap`, `share`, `rows`."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "power", verdict=verdict, **said)
        return found

    def selftest(self, runs: int = 200) -> dict[str, Any]:
        """How often each guard would give a false verdict on the endpoint's own decisions, against its error."""
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "selftest", runs=runs)
        return found

    def evaluate(
        self, model: str, version: int | str, *, decision: str | None = None, rows: int = 2_000,
        method: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """What a version that never answered here would have earned on recorded traffic; an estimate, for one look."""
        said = {"model": model, "version": str(version), "decision": decision, "rows": rows, "method": method}
        found: dict[str, Any] = self._wire.get("endpoints", self.name, "evaluate", **said)
        return found

    def predictions(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest predictions, newest first."""
        found: list[dict[str, Any]] = self._wire.get("endpoints", self.name, "predictions", limit=limit)["predictions"]
        return found

    def revisions(self) -> list[dict[str, Any]]:
        """Every configuration this endpoint ever had."""
        found: list[dict[str, Any]] = self._wire.get("endpoints", self.name, "revisions")["revisions"]
        return found

    def promote(self, arm: str | int | None = None, reason: str = "") -> dict[str, Any]:
        """The challenger, or the arm named (by name, role or version), becomes the champion."""
        return self.order("promote", arm=arm, reason=reason)

    def kill(self, reason: str, arm: str | int | None = None) -> dict[str, Any]:
        """Stops the champion, or the arm named, at once; the fallback answers in its place."""
        return self.order("kill", arm=arm, reason=reason)

    def revive(self, reason: str, arm: str | int | None = None) -> dict[str, Any]:
        """Brings a killed arm back into the role it had."""
        return self.order("revive", arm=arm, reason=reason)

    def rollback(self, to: int | None = None, reason: str = "") -> dict[str, Any]:
        """Brings an old revision back; without a number the latest safe one that differs."""
        return self.order("rollback", to=to, reason=reason)

    def ramp(self, traffic: float | str, arm: str | int | None = None, reason: str = "") -> dict[str, Any]:
        """Gives the challenger another share of the traffic, 0 to 1 or "10%"."""
        return self.order("ramp", traffic=traffic, arm=arm, reason=reason)

    def retire(self, arm: str | int | None = None, reason: str = "") -> dict[str, Any]:
        """A challenger, a shadow or a killed challenger leaves the endpoint."""
        return self.order("retire", arm=arm, reason=reason)

    def allocate(self, shares: Mapping[str, float | str], reason: str = "") -> dict[str, Any]:
        """Gives challengers their shares at once: {"challenger": "20%", "fraud:5": 0.1}; the champion has the rest."""
        return self.order("allocate", shares=dict(shares), reason=reason)

    def order(self, verb: str, **details: Any) -> dict[str, Any]:
        """Any order by its name; the reply has the order, the new revision and the seconds of each step."""
        given = {name: value for name, value in details.items() if value is not None and value != ""}
        body = {"verb": verb, "author": whoami(), **given}
        found: dict[str, Any] = self._wire.post("endpoints", self.name, "orders", body=Body.of(body))
        return found

    def ask(self, body: bytes, content_type: str = ARROW) -> "pyarrow.Table":
        """Answers for rows that are encoded already, as an Arrow table."""
        return frames.read(self._wire.ask(self.url, Body(body, content_type), ARROW).body)

    def tell(self, body: bytes, content_type: str = ARROW, keep_good: bool = False) -> dict[str, Any]:
        """Sends outcomes that are encoded already, in one call; what the server answers."""
        said, keep = Body(body, content_type), "true" if keep_good else None
        found: dict[str, Any] = self._wire.post("endpoints", self.name, "outcomes", body=said, keep_good=keep)
        return found

    def tell_all(self, bodies: Iterable[tuple[str, bytes]], keep_good: bool = False) -> dict[str, Any]:
        """The same for rows in several bodies, each with its content type; the replies as one.

        If a body is refused, the rows of those before it are taken, and BadInput says so.
        """
        replies: list[dict[str, Any]] = []
        for content_type, body in bodies:
            try:
                replies.append(self.tell(body, content_type, keep_good))
            except BadInput as error:
                if not replies:
                    raise
                taken = sum(map(_rows, replies))
                raise BadInput(f"the first {taken:,} rows were taken; of those after them, {error}") from error
        return add_up(replies)


def add_up(replies: list[dict[str, Any]]) -> dict[str, Any]:
    """The replies to the parts of one frame as one reply; rows are counted over all of it."""
    reasons: Counter[str] = sum((Counter(reply["reasons"]) for reply in replies), Counter())
    starts = accumulate(map(_rows, replies), initial=0)
    refusals = [
        one | {"row": one["row"] + start}
        for start, reply in zip(starts, replies, strict=False)
        for one in reply["refusals"]
    ]
    counts = {name: sum(reply[name] for reply in replies) for name in ("accepted", "repeated", "refused", "unknown")}
    return counts | {
        "reasons": dict(reasons),
        "refusals": refusals[:20],
        "unknown_ids": [one for reply in replies for one in reply["unknown_ids"]][:20],
        "outcome_id": max((reply["outcome_id"] for reply in replies if reply["outcome_id"]), default=None),
    }


def _rows(reply: dict[str, Any]) -> int:
    return int(reply["accepted"] + reply["refused"])
