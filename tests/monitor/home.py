"""A home with a registry, a desk, a journal and a watch, all real; time is what the test says it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from payoff.deploy import Desk
from payoff.journal import ids
from payoff.journal.frame import VALUE, Learned, Noted, Stream
from payoff.journal.query import Journal
from payoff.journal.writer import Writer
from payoff.monitor import Roi, Watch, report
from payoff.records import Column, Field, Order, Revision, Served, Signature, Type
from payoff.registry import connect

START_US = 1_800_000_000_000_000
SIGNATURE = Signature((Field("x", Type.FLOAT64), Field("day", Type.DATE)), (Field("probability", Type.FLOAT64),))
GAIN = Field("gain", Type.FLOAT64, nullable=True)
DAY = np.datetime64("2008-05-05", "D")

ENDPOINT = """
endpoint: {name}
arms:
  champion: {{model: m, version: 1}}
{more}
decision: outputs.probability > 0.5
value: case when decision then outcome.gain else 0 end
fallback: {{decision: {fallback}}}
guards:
{guards}
"""
LOSES = "  - {when: loses money, against: fallback, error: 1%, do: kill, gain_cap: 10}"
BEATS = "  - {when: challenger beats champion, error: 1%, do: promote, gain_cap: 10, guardrails: {}}"
CHALLENGER = "  challenger: {model: m, version: 2, traffic: 0%}"  # watches


class Home:
    """One house. `now_us` stands still until the test moves it; every batch of rows takes a second of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_us = START_US
        self.registry = connect(f"sqlite:///{path / 'payoff.db'}")
        for number in (1, 2, 3):
            served = Served("onnx", f"{number:064d}", SIGNATURE)
            self.registry.register(
                "m", digest=served.digest, flavor="onnx", served=served, size_bytes=1, author="me", now_us=1
            )
        self.desk = Desk(path, self.registry, self.clock)
        self.journal = Journal(path)
        self.writer = Writer(path / "journal", "worker-0", clock=self.clock)
        self.ids = ids.Ids(0, self.clock)
        self.watch = self.another_watch()

    def clock(self) -> int:
        return self.now_us

    def another_watch(self, **more: Any) -> Watch:
        return Watch(self.path, self.registry, self.journal, self.desk, self.clock, **more)

    def apply(self, name: str = "bank", more: str = "", guards: str = LOSES, fallback: str = "false") -> Revision:
        self.now_us += 1_000_000
        file = ENDPOINT.format(name=name, more=more, guards=guards, fallback=fallback)
        return self.desk.give(name, "apply", author="me", file=file).revision

    def give(self, verb: str, **more: Any) -> Revision:
        self.now_us += 1_000_000
        return self.desk.give("bank", verb, author="me", reason="a test", **more).revision

    def answer(
        self, decisions: Sequence[bool], version: int | None = 1, name: str = "bank", days: int = 1, cpu_ns: int = 0
    ) -> list[str]:
        """Predictions of a version, or of the fallback; their ids, a second later."""
        self.now_us += 1_000_000
        high, low = self.ids.take(len(decisions))
        self._note(name, version, False, decisions, (high, low), days, cpu_ns)
        return ids.text(high, low)

    def shadow(self, ids_: Sequence[str], decisions: Sequence[bool], version: int, name: str = "bank") -> None:
        """The same predictions, watched by another version."""
        self._note(name, version, True, decisions, ids.parse(ids_), 1, 0)

    def learn(self, ids_: Sequence[str], gains: Sequence[float], name: str = "bank") -> str:
        """Outcomes of predictions, and two seconds later; the id of the last."""
        self.now_us += 1_000_000
        high, low = self.ids.take(len(ids_))
        stream = Stream("outcomes", name, columns=(("outcome", GAIN),))
        truth = {"gain": Column(np.array(gains, np.float64))}
        at_us = np.full(len(ids_), self.now_us)
        self.writer.note(stream, Learned(len(ids_), high, low, at_us, *ids.parse(ids_), truth))
        self.writer.flush()
        self.now_us += 1_000_000
        return ids.text(high[-1:], low[-1:])[0]

    def pay(self, ids_: Sequence[str], amounts: Sequence[float], name: str = "bank") -> None:
        """Outcomes that carry money and nothing else."""
        self.now_us += 1_000_000
        high, low = self.ids.take(len(ids_))
        stream = Stream("outcomes", name, columns=(VALUE,))
        money = Column(np.array(amounts, np.float64))
        at_us = np.full(len(ids_), self.now_us)
        self.writer.note(stream, Learned(len(ids_), high, low, at_us, *ids.parse(ids_), {}, money))
        self.writer.flush()
        self.now_us += 1_000_000

    def look(self, watch: Watch | None = None) -> None:
        """Passes until there is nothing to do at once."""
        while not (watch or self.watch).look():
            pass

    def orders(self, name: str = "bank") -> list[Order]:
        """What the guards ordered, oldest first."""
        return [order for order in self.registry.orders(name)[::-1] if order.author.startswith("guard")]

    def findings(self, name: str = "bank") -> list[str]:
        return [finding.text for finding in self.registry.findings(name)[::-1]]

    def roi(self, name: str = "bank") -> Roi:
        return report(self.path, self.journal, self.registry, name, self.watch.judged(name), self.clock)

    def _note(
        self, name: str, version: int | None, shadow: bool, decisions: Sequence[bool], own: Any, days: int, cpu_ns: int
    ) -> None:
        n, current = len(decisions), self.registry.current(name)
        fields = (*(("inputs", f) for f in SIGNATURE.inputs), *(("outputs", f) for f in SIGNATURE.outputs))
        columns = (*fields, ("decision", Field("decision", Type.BOOL)))
        arm = next((arm.name for arm in current.arms if arm.version == version), "fallback")
        stream = Stream(
            "predictions", name, current.number, arm, "m" if version else "", version, shadow, columns=columns
        )
        each = np.arange(n)
        inputs = {"x": Column(np.zeros(n)), "day": Column(DAY + each * days // max(n, 1))}
        self.writer.note(
            stream,
            Noted(
                n,
                own[0],
                own[1],
                np.full(n, self.now_us),
                np.zeros(n, np.int64),
                np.full(n, cpu_ns, np.int64),
                None,
                "test",
                inputs,
                {"probability": Column(np.array(decisions, np.float64))},
                Column(np.array(decisions, bool)),
            ),
        )
        self.writer.flush()
