"""From looks at a machine to what was used of it by the hour: every stretch of time counts once, or is told as missing.

A look reads a clock that stands still while the machine sleeps, and the computing time of payoff's processes since the
first of them began. Two looks at the same process give a stretch, however often the control plane was started anew in
between; levels (memory) are taken to have been all along what they are at its end. Where the stretch is long, nobody
looked: computing time is known all the same, for it is counted by the kernel, but memory is not, and is told as such.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from payoff.ledger.bill import HOUR_US, Hour, Machine, Payer, Use
from payoff.ledger.cost import split
from payoff.records.usage import Mark, Metered

BLIND_US = 60_000_000  # a longer stretch is one in which nobody looked
_MACHINE = tuple(each.name for each in fields(Machine))


@dataclass(frozen=True, slots=True)
class Look:
    """What there is and what payoff uses of it, at one moment.

    `source` names the process that all the others come from, as no other ever is; `age_us` is how long it has been
    there. `cpu_ns` is what it and all below it have computed since; `own_bytes` what they hold now. `held_bytes` is
    what each version holds, `gpu_parts` how many millionths of a GPU each uses.
    """

    machine: str
    source: str
    at_us: int
    clock_us: int
    age_us: int
    millicores: int
    memory_bytes: int
    gpus: int = 0
    cpu_ns: int = 0
    own_bytes: int = 0
    held_bytes: Mapping[Payer, int] = field(default_factory=dict)
    gpu_parts: Mapping[Payer, int] = field(default_factory=dict)

    @property
    def mark(self) -> Mark:
        """Up to where everything is booked once this look is."""
        return Mark(self.machine, self.source, self.at_us, self.clock_us, self.cpu_ns)


def metered(before: Mark | None, look: Look) -> list[Metered]:
    """What to add to the hours that lie between the mark and this look.

    Without a mark of the same process the stretch begins with the process; nothing is booked for the time before it.
    """
    same = before is not None and before.source == look.source
    lasted_us = max(0, look.clock_us - before.clock_us if before is not None and same else look.age_us)
    cpu_ns = max(0, look.cpu_ns - (before.cpu_ns if before is not None and same else 0))
    blind = lasted_us > BLIND_US
    pieces = _pieces(look.at_us - lasted_us, look.at_us)
    found: list[Metered] = []
    for (hour_us, piece_us), piece_cpu_ns in zip(
        pieces, split(cpu_ns if pieces else 0, [us for _, us in pieces]), strict=True
    ):
        found += _machine(look, hour_us, piece_us, piece_cpu_ns, blind)
        if not blind:
            found += _versions(look, hour_us, piece_us)
    return [one for one in found if one.amount]


def hours(amounts: Iterable[Metered], spent: Mapping[tuple[int, Payer], Use]) -> list[Hour]:
    """The hours as the books want them: what was metered, and what the journal knows of the same hours.

    What the journal knows is counted on the machine that was up longest in that hour.
    """
    machines: dict[tuple[int, str], Machine] = {}
    uses: dict[tuple[int, str], dict[Payer, Use]] = {}
    for one in amounts:
        place = one.hour_us, one.machine
        if one.endpoint:
            _use(uses.setdefault(place, {}), _payer(one), Use(**{one.what: one.amount}))
        elif one.what in _MACHINE:
            machines[place] = replace(machines.get(place, Machine()), **{one.what: one.amount})
    homes = {hour_us: name for _, hour_us, name in sorted((has.up_us, *place) for place, has in machines.items())}
    for (hour_us, payer), use in spent.items():
        _use(uses.setdefault((hour_us, homes.get(hour_us, "")), {}), payer, use)
    places = sorted(machines.keys() | uses.keys())
    return [Hour(*place, machines.get(place, Machine()), uses.get(place, {})) for place in places]


def _pieces(from_us: int, to_us: int) -> list[tuple[int, int]]:
    """The stretch by the hour: (when the hour began, how much of it)."""
    found = []
    while from_us < to_us:
        hour_us = from_us // HOUR_US * HOUR_US
        until_us = min(to_us, hour_us + HOUR_US)
        found.append((hour_us, until_us - from_us))
        from_us = until_us
    return found


def _machine(look: Look, hour_us: int, lasted_us: int, cpu_ns: int, blind: bool) -> list[Metered]:
    there = Machine(
        up_us=lasted_us,
        blind_us=lasted_us if blind else 0,
        core_ns=look.millicores * lasted_us,
        memory_byte_s=look.memory_bytes * lasted_us // 1_000_000,
        gpu_ns=look.gpus * lasted_us * 1_000,
        own_cpu_ns=cpu_ns,
        own_memory_byte_s=0 if blind else look.own_bytes * lasted_us // 1_000_000,
    )
    return [Metered(hour_us, look.machine, "", "", 0, False, what, getattr(there, what)) for what in _MACHINE]


def _versions(look: Look, hour_us: int, lasted_us: int) -> list[Metered]:
    found = [(who, "memory_byte_s", held * lasted_us // 1_000_000) for who, held in look.held_bytes.items()]
    found += [(who, "gpu_ns", parts * lasted_us // 1_000) for who, parts in look.gpu_parts.items()]
    return [
        Metered(hour_us, look.machine, who.endpoint, who.model or "", who.version or 0, who.shadow, what, amount)
        for who, what, amount in found
    ]


def _payer(one: Metered) -> Payer:
    return Payer(one.endpoint, one.model, one.version, one.shadow)


def _use(uses: dict[Payer, Use], payer: Payer, use: Use) -> None:
    uses[payer] = uses.get(payer, Use()) + use
