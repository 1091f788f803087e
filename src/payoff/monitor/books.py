"""The books of a home: what was metered and what the journal knows, at the house's prices, hour by hour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from payoff.errors import BadInput, NotFound
from payoff.journal import ids
from payoff.journal.query import Journal
from payoff.journal.snapshot import Relation
from payoff.ledger import meter, prices
from payoff.ledger.bill import HOUR_US, Books, Hour, Machine, Payer, Use, books
from payoff.ledger.fees import declared, fee_sql
from payoff.ledger.prices import Prices
from payoff.records.endpoint import Revision
from payoff.records.signature import Signature
from payoff.registry.registry import Registry

HOURS_MAX = 400 * 24
_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Costs:
    """What some hours cost and who bears it. Money is in `currency`, or in "units" where endpoints have several.

    `since_us` and `until_us` are the hours that the books really hold; `notes` say what is missing in them.
    """

    since_us: int
    until_us: int
    currency: str
    books: Books
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]


def costs(home: Path, registry: Registry, journal: Journal, since_us: int, until_us: int, now_us: int) -> Costs:
    """The books of the hours that lie, even in part, in this time, up to the one under way.

    They begin when payoff was first metered or asked. BadInput for a fee that cannot be evaluated, for a bad prices
    file, and for too long a time.
    """
    house = prices.read(home)
    until_us = min(_up(until_us), _up(now_us))
    since_us = min(max(since_us, _began(registry, journal, until_us)) // HOUR_US * HOUR_US, until_us)
    if until_us - since_us > HOURS_MAX * HOUR_US:
        raise BadInput(f"that is more than {HOURS_MAX // 24} days; ask for less with since and until")
    signatures, unknown = _signatures(registry, house)
    spent = _spent(registry, journal, house, signatures, since_us, until_us)
    hours = meter.hours(registry.usage(since_us, until_us), spent)
    found = books([*hours, *_others(hours, since_us, until_us)], house)
    currency = house.currency or _currency(registry.endpoints())
    notes = (*_gaps(found, since_us, min(until_us, now_us)), *unknown)
    return Costs(since_us, until_us, currency, found, house.assumptions(currency), notes)


def _up(at_us: int) -> int:
    return -(-at_us // HOUR_US) * HOUR_US


def _began(registry: Registry, journal: Journal, otherwise_us: int) -> int:
    """When anything was first metered or answered."""
    relations = journal.snapshot().relations.items()
    asked = [_first(relation) for (kind, _), relation in relations if kind == "predictions" and relation.rows]
    metered = registry.metered_since_us()
    return min([*asked, *([] if metered is None else [metered])], default=otherwise_us)


def _first(relation: Relation) -> int:
    fresh = [str(relation.fresh["id"][0])] if relation.fresh.num_rows else []
    return min(ids.time_us(one) for one in [*fresh, *(file.low for file in relation.files)])


def _signatures(registry: Registry, house: Prices) -> tuple[dict[str, Signature], list[str]]:
    """What the models with fees take and give, by their latest version; and words about those that are not there."""
    found, unknown = {}, []
    for model in house.fees:
        try:
            found[model] = registry.find(model).served.signature
        except NotFound:
            unknown.append(f"{prices.FILE} has a fee for {model!r}, and there is no such model")
    return found, unknown


def _spent(
    registry: Registry,
    journal: Journal,
    house: Prices,
    signatures: Mapping[str, Signature],
    since_us: int,
    until_us: int,
) -> dict[tuple[int, Payer], Use]:
    sql, columns = fee_sql(house.fees, signatures), declared(house.fees, signatures)
    found: dict[tuple[int, Payer], Use] = {}
    for endpoint in sorted({name for kind, name in journal.snapshot().relations if kind == "predictions"}):
        for one in journal.spent(endpoint, since_us, until_us, sql, columns if sql else {}):
            payer = Payer(endpoint, None if one.version is None else one.model, one.version, one.shadow)
            use = Use(cpu_ns=one.cpu_ns, fee_micros=one.fee_micros, predictions=one.predictions)
            found[one.hour_us, payer] = found.get((one.hour_us, payer), Use()) + use
    return found


def _others(hours: Sequence[Hour], since_us: int, until_us: int) -> list[Hour]:
    """The hours in which nothing was metered or asked: fixed costs go on."""
    there = {hour.at_us for hour in hours}
    return [Hour(at_us, "", Machine(), {}) for at_us in range(since_us, until_us, HOUR_US) if at_us not in there]


def _currency(endpoints: Iterable[Revision]) -> str:
    found = {revision.policy.currency for revision in endpoints}
    return found.pop() if len(found) == 1 else "units"


def _gaps(found: Books, since_us: int, until_us: int) -> list[str]:
    """What nobody metered, in words."""
    had, whole_us = found.machine, until_us - since_us
    notes = []
    if whole_us - had.up_us > _MINUTE_US:
        notes.append(
            f"payoff was up and metered for {_long(had.up_us)} of {_long(whole_us)}; for the rest no machine is "
            "billed, but what predictions computed, their fees, and fixed costs"
        )
    if had.blind_us:
        notes.append(
            f"for {_long(had.blind_us)} the control plane was down: computing time of it is booked, and the memory "
            "that versions held is not; it is idle"
        )
    if had.up_us > had.blind_us and not had.own_memory_byte_s:
        notes.append("this system does not tell what processes use: memory and overhead are not metered, and are idle")
    if not had.gpu_ns:
        notes.append("no GPU was there to be metered")
    return notes


def _long(us: int) -> str:
    minutes = round(us / _MINUTE_US)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
