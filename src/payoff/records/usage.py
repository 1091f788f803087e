"""What was metered: so much of something in one hour of one machine, by somebody or by the machine as a whole."""

from typing import NamedTuple


class Metered(NamedTuple):
    """An amount that adds up over the hour. `what` names it and its unit: `up_us`, `memory_byte_s`.

    Without an endpoint it is the machine's, and `model` is empty and `version` 0.
    """

    hour_us: int  # when the hour began
    machine: str
    endpoint: str
    model: str
    version: int
    shadow: bool
    what: str
    amount: int


class Mark(NamedTuple):
    """Up to where a machine is metered: all before is booked, nothing after.

    `source` is the process whose clock and counter these are, as no other process ever is; `clock_us` counts while the
    machine is awake, `cpu_ns` is what the process and all below it have computed.
    """

    machine: str
    source: str
    at_us: int
    clock_us: int
    cpu_ns: int
