"""Where a tensor lies that is not in the body: in a region of shared memory, as its parameters say.

Triton's extension_shared_memory names the parameters; a door that has regions reads and writes the bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from payoff.codecs.checks import shorten
from payoff.errors import BadInput


@dataclass(frozen=True, slots=True)
class Place:
    """So many bytes of a region, from an offset on."""

    region: str
    offset: int
    byte_size: int


Fetch = Callable[[Place], bytes]


def place(parameters: Mapping[str, Any], where: str) -> Place | None:
    """Where a tensor's parameters say that it lies; None if not in shared memory. `where` names the tensor."""
    region = parameters.get("shared_memory_region")
    size, offset = parameters.get("shared_memory_byte_size"), parameters.get("shared_memory_offset", 0)
    if region is None and size is None:
        return None
    if type(region) is not str or type(size) is not int or type(offset) is not int or size < 0 or offset < 0:
        raise BadInput(
            f"{where} lies in region {shorten(region)}, {shorten(size)} bytes from {shorten(offset)} on; expected "
            "shared_memory_region as text, shared_memory_byte_size and shared_memory_offset as numbers of bytes"
        )
    return Place(region, offset, size)


def no_memory(place: Place) -> bytes:
    """For doors without shared memory."""
    raise BadInput(f"region {shorten(place.region)}: shared memory is not read here; send the data in the body")
