"""The machine's bill by the hour, and who bears it: every micro of it is booked to somebody, and no more than that.

What a version used itself is its direct cost: CPU time, memory, GPU time, fees. What payoff's own processes used beyond
that is overhead, what nobody used of the machine while payoff was up is idle, and fixed costs come by the month; these
three are shared among all by a stated key (`Prices.share_by`). As in the OpenCost specification (v0.1):
total = workloads + idle + overhead, with idle = assets - workloads.

Each resource of an hour is priced once, in whole micros, and split by the largest remainder, so that the parts are the
whole to the micro, whatever the rounding.
"""

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from operator import add, attrgetter
from typing import NamedTuple

from payoff.clock import moment
from payoff.ledger.cost import split
from payoff.ledger.prices import GB, HOUR_NS, HOUR_S, Fixed, Prices, ShareBy
from payoff.money import price_micros

HOUR_US = HOUR_S * 1_000_000


class Payer(NamedTuple):
    """Who a cost is booked to: a version on an endpoint, answering or only watching.

    `model` and `version` are None for the endpoint's fallback. Without an endpoint, or with an empty `model`, it is
    nobody in particular: hours in which no version was loaded or asked, and fixed costs of an endpoint that
    nobody used.
    """

    endpoint: str
    model: str | None
    version: int | None
    shadow: bool = False

    @property
    def is_nobody(self) -> bool:
        """No version and no fallback bears it."""
        return self.model == ""


NOBODY = Payer("", "", None)


@dataclass(frozen=True, slots=True)
class Use:
    """What a payer used in an hour. `memory_byte_s` are bytes times seconds, `predictions` rows answered or watched."""

    cpu_ns: int = 0
    memory_byte_s: int = 0
    gpu_ns: int = 0
    fee_micros: int = 0
    predictions: int = 0

    def __add__(self, other: "Use") -> "Use":
        return Use(*map(add, _USE(self), _USE(other)))


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine had in an hour while payoff was up, and what payoff's processes used of it, all arms included.

    `up_us` is how long payoff was up and metered; `core_ns`, `memory_byte_s` and `gpu_ns` are the cores, the bytes and
    the GPUs times that. `blind_us` of it nobody looked at memory and GPUs, for the control plane was down.
    """

    up_us: int = 0
    blind_us: int = 0
    core_ns: int = 0
    memory_byte_s: int = 0
    gpu_ns: int = 0
    own_cpu_ns: int = 0
    own_memory_byte_s: int = 0

    def __add__(self, other: "Machine") -> "Machine":
        return Machine(*map(add, _MACHINE(self), _MACHINE(other)))


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of one machine: when it began, what there was, and who used what."""

    at_us: int
    name: str  # of the machine
    machine: Machine
    uses: Mapping[Payer, Use]


@dataclass(frozen=True, slots=True)
class Cost:
    """Whole micros by kind. The first four are what the payer used itself, the others its share of what all bear."""

    cpu: int = 0
    memory: int = 0
    gpu: int = 0
    fees: int = 0
    idle: int = 0
    overhead: int = 0
    fixed: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(add, _COST(self), _COST(other)))

    @property
    def compute(self) -> int:
        """What it used of the machine itself: the key by which idle and overhead are shared."""
        return self.cpu + self.memory + self.gpu

    @property
    def direct(self) -> int:
        """What it used itself, fees included."""
        return self.compute + self.fees

    @property
    def shared(self) -> int:
        """Its share of what all bear."""
        return self.idle + self.overhead + self.fixed

    @property
    def total(self) -> int:
        """All of it."""
        return self.direct + self.shared


@dataclass(frozen=True, slots=True)
class Bill:
    """What an hour (or several) costs in whole micros, before anybody asks who bears it."""

    cpu: int = 0
    memory: int = 0
    gpu: int = 0
    fees: int = 0
    fixed: int = 0

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(*map(add, _BILL(self), _BILL(other)))

    @property
    def total(self) -> int:
        """All of it."""
        return self.cpu + self.memory + self.gpu + self.fees + self.fixed


_USE, _MACHINE, _COST, _BILL = (attrgetter(*(each.name for each in fields(one))) for one in (Use, Machine, Cost, Bill))


class Entry(NamedTuple):
    """What one payer bears of one hour of one machine, which was up for `up_us` of it."""

    at_us: int
    machine: str
    payer: Payer
    use: Use
    cost: Cost
    up_us: int


@dataclass(frozen=True, slots=True)
class Books:
    """All entries of some hours; their costs add up to the bill, to the micro, for every hour.

    `machine` is the sum of what the machines had and used.
    """

    entries: tuple[Entry, ...]
    bill: Bill
    machine: Machine

    def by_payer(self) -> dict[Payer, tuple[Use, Cost]]:
        """Use and cost of every payer over all hours."""
        found: dict[Payer, tuple[Use, Cost]] = {}
        for entry in self.entries:
            use, cost = found.get(entry.payer, (Use(), Cost()))
            found[entry.payer] = use + entry.use, cost + entry.cost
        return dict(sorted(found.items(), key=_order))

    def cost(self) -> Cost:
        """The bill again, by kind: what was used directly, idle, overhead, fixed."""
        return sum((entry.cost for entry in self.entries), Cost())


def books(hours: Iterable[Hour], prices: Prices) -> Books:
    """The books of these hours. Fixed costs come once an hour, however many machines it has.

    ValueError for a negative amount.
    """
    entries: list[Entry] = []
    whole, machine = Bill(), Machine()
    for at_us, same in groupby(sorted(hours, key=lambda hour: (hour.at_us, hour.name)), key=lambda hour: hour.at_us):
        for place, hour in enumerate(same):
            fixed = prices.fixed if place == 0 else ()
            costs, bill = book(hour, prices.on(hour.name), fixed)
            up_us = hour.machine.up_us
            entries += [Entry(at_us, hour.name, who, hour.uses.get(who, Use()), costs[who], up_us) for who in costs]
            whole, machine = whole + bill, machine + hour.machine
    return Books(tuple(entries), whole, machine)


def book(hour: Hour, prices: Prices, fixed: Sequence[Fixed] = ()) -> tuple[dict[Payer, Cost], Bill]:
    """Who bears what of an hour of a machine with these prices, and the bill that this adds up to."""
    payers = sorted(hour.uses, key=lambda who: _order((who, None)))
    uses = [hour.uses[who] for who in payers]
    pools = cpu, memory, gpu = _pools(uses, _had(hour.machine, prices), prices)
    idle, overhead = sum(pool.idle for pool in pools), sum(pool.overhead for pool in pools)
    weights = _weights([_exactly(use, prices) for use in uses], payers, uses, prices.share_by)
    nobody: dict[Payer, Cost] = {}
    if not payers and idle + overhead:
        nobody[NOBODY] = Cost(idle=idle, overhead=overhead)
        idle = overhead = 0
    spread = [(one, fixed_micros(one, hour.at_us)) for one in fixed]
    costs = map(
        Cost, cpu.direct, memory.direct, gpu.direct, [use.fee_micros for use in uses],
        split(idle, weights), split(overhead, weights), _fixed_parts(spread, payers, weights, nobody),
    )  # fmt: skip
    fees = sum(use.fee_micros for use in uses)
    bill = Bill(cpu.whole, memory.whole, gpu.whole, fees, sum(micros for _, micros in spread))
    return dict(zip(payers, costs, strict=True)) | nobody, bill


def fixed_micros(fixed: Fixed, at_us: int) -> int:
    """What the hour that begins then bears of a cost by the month: all hours of the month (UTC) are it exactly."""
    at = moment(at_us)
    hours = 24 * monthrange(at.year, at.month)[1]
    place = 24 * (at.day - 1) + at.hour
    return fixed.month_micros * (place + 1) // hours - fixed.month_micros * place // hours


def _had(machine: Machine, prices: Prices) -> Machine:
    """What the machine counts as having had, where that is said."""
    said = {
        "core_ns": None if prices.cores is None else prices.cores * machine.up_us * 1_000,
        "memory_byte_s": None if prices.memory_bytes is None else prices.memory_bytes * machine.up_us // 1_000_000,
        "gpu_ns": None if prices.gpus is None else prices.gpus * machine.up_us * 1_000,
    }
    return replace(machine, **{name: amount for name, amount in said.items() if amount is not None})


class _Pool(NamedTuple):
    """One resource of an hour in micros: `whole` = all of `direct` + `overhead` + `idle`."""

    whole: int
    direct: list[int]
    overhead: int
    idle: int


def _pool(used: Sequence[int], own: int, had: int, micros_per: int, per: int) -> _Pool:
    """`used` by whom, `own` by all of payoff, and what there was to use; the bill is of at least what was used."""
    overhead = max(0, own - sum(used))
    spent = sum(used) + overhead
    whole = price_micros(max(had, spent), micros_per, per)
    *direct, over, idle = split(whole, [*used, overhead, max(had, spent) - spent])
    return _Pool(whole, direct, over, idle)


def _pools(uses: Sequence[Use], has: Machine, prices: Prices) -> tuple[_Pool, _Pool, _Pool]:
    """CPU, memory and GPU."""
    memory = [use.memory_byte_s for use in uses]
    return (
        _pool([use.cpu_ns for use in uses], has.own_cpu_ns, has.core_ns, prices.cpu_core_hour_micros, HOUR_NS),
        _pool(memory, has.own_memory_byte_s, has.memory_byte_s, prices.memory_gb_hour_micros, GB * HOUR_S),
        _pool([use.gpu_ns for use in uses], 0, has.gpu_ns, prices.gpu_hour_micros, HOUR_NS),
    )


def _exactly(use: Use, prices: Prices) -> int:
    """What the machine's direct cost is in proportion to, unrounded: an hour of little traffic costs no whole micro."""
    time = use.cpu_ns * prices.cpu_core_hour_micros + use.gpu_ns * prices.gpu_hour_micros
    return time * GB * HOUR_S + use.memory_byte_s * prices.memory_gb_hour_micros * HOUR_NS


def _weights(compute: list[int], payers: Sequence[Payer], uses: Sequence[Use], key: ShareBy) -> list[int]:
    """By the stated key; by the other one where that is nothing for anybody; and equally where both are."""
    decisions = [0 if who.shadow else use.predictions for who, use in zip(payers, uses, strict=True)]
    first, second = (compute, decisions) if key is ShareBy.DIRECT_COST else (decisions, compute)
    return next((weights for weights in (first, second) if any(weights)), [1] * len(payers))


def _fixed_parts(
    spread: Sequence[tuple[Fixed, int]], payers: Sequence[Payer], weights: Sequence[int], nobody: dict[Payer, Cost]
) -> list[int]:
    """What each payer bears of these costs; what there is nobody for is added to `nobody`."""
    found = [0] * len(payers)
    for one, micros in spread:
        places = [place for place, who in enumerate(payers) if one.endpoint in (None, who.endpoint)]
        mine = [weights[place] for place in places]
        if not places and micros:
            who = NOBODY if one.endpoint is None else NOBODY._replace(endpoint=one.endpoint)
            nobody[who] = nobody.get(who, Cost()) + Cost(fixed=micros)
            continue
        for place, part in zip(places, split(micros, mine if any(mine) else [1] * len(mine)), strict=True):
            found[place] += part
    return found


def _order(each: tuple[Payer, object]) -> tuple[bool, str, bool, str, int]:
    """Endpoint by endpoint; who answers before who watches; the fallback first, nobody last of all."""
    who = each[0]
    return not who.endpoint, who.endpoint, who.shadow, who.model or "", who.version or 0
