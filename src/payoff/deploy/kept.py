"""How a file says that a model's answers are given again: `cache`."""

from typing import Any

from payoff.codecs import units
from payoff.codecs.document import Place
from payoff.records.endpoint import Cache

_ENTRIES_MAX, _MEGABYTES_MAX = 10_000_000, 16_384
_MEGABYTE = 1 << 20


def cache(place: Place) -> Cache:
    """{for, entries, megabytes}; only the time has to be said."""
    at = place.mapping(("for", "entries", "megabytes"))
    if "for" not in at:
        raise place.wrong("a cache needs 'for', how long an answer may be given again, as in {for: 60s}")
    usual = Cache(units.seconds(at["for"]))
    return Cache(
        usual.for_s,
        units.whole(at["entries"], 1, _ENTRIES_MAX) if "entries" in at else usual.entries,
        units.whole(at["megabytes"], 1, _MEGABYTES_MAX) * _MEGABYTE if "megabytes" in at else usual.bytes_max,
    )


def cache_said(one: Cache | None) -> dict[str, Any] | None:
    """As `cache` reads it."""
    if one is None:
        return None
    usual, said = Cache(one.for_s), {"for": units.duration(one.for_s), "entries": one.entries}
    return said | ({"megabytes": one.bytes_max // _MEGABYTE} if one.bytes_max != usual.bytes_max else {})
