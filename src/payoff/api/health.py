"""How every part is, and what to do where something is wrong: what `payoff doctor` shows."""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from typing import Any

import uv
from litestar import get

from payoff.api import upkeep
from payoff.api.engines import Engines, House
from payoff.environments.environments import Environments
from payoff.errors import PayoffError, Unavailable
from payoff.records import names
from payoff.runner.walls import walls
from payoff.store import live
from payoff.version import VERSION

FREE_BYTES_MIN = 1 << 30
MICROS_PER_S = 1_000_000
ORDERS_LOOKED_AT = 1_000
MODELS_TOLD = 20
SILENT_S_MAX = 10.0
RECENT_S = 3_600  # refused outcomes of the last hour are a warning
Part = dict[str, Any]


@get("/health", sync_to_thread=True)
def health(house: House) -> dict[str, Any]:
    """Every part with its state (ok, warning, failed), a text, and what to do if it is not ok."""
    parts = [part for look in LOOKS for part in _tried(look, house)]
    return {"healthy": all(part["state"] == "ok" for part in parts), "version": VERSION, "parts": parts}


def _tried(look: Callable[[Engines], list[Part]], house: Engines) -> list[Part]:
    try:
        return look(house)
    except PayoffError as error:
        return [_part(look.__name__.lstrip("_"), "failed", str(error), "see the text")]
    except OSError as error:
        return [_part(look.__name__.lstrip("_"), "failed", str(error), "look at the disk")]


def _part(name: str, state: str, text: str, what_to_do: str = "") -> Part:
    return {"part": name, "state": state, "text": text, "what_to_do": what_to_do}


def _database(house: Engines) -> list[Part]:
    return [_part("database", "ok", f"{len(_endpoints(house))} endpoints")]


def _endpoints(house: Engines) -> dict[str, int]:
    """Each with its revision; copies made for drills come and go, and are nobody's worry."""
    found = house.registry.endpoints()
    return {one.endpoint: one.number for one in found if not names.is_drill(one.endpoint)}


def _orders(house: Engines) -> list[Part]:
    """The audit trail, as far back as a look at everything may go."""
    broken = house.registry.verify_chain(latest=ORDERS_LOOKED_AT)
    if broken is not None:
        cure = "somebody changed the database by hand: compare it with a backup; `payoff orders --verify` looks at all"
        return [_part("audit trail", "failed", broken.text, cure)]
    return [_part("audit trail", "ok", f"the latest {ORDERS_LOOKED_AT:,} orders are what was recorded")]


def _disk(house: Engines) -> list[Part]:
    free = shutil.disk_usage(house.home).free
    text = f"{free / (1 << 30):,.1f} GiB free under the home"
    if free < FREE_BYTES_MIN:
        return [_part("disk", "warning", text, "make room: a full disk stops answers, for they could not be journaled")]
    return [_part("disk", "ok", text)]


def _journal(house: Engines) -> list[Part]:
    waiting = upkeep.waiting_bytes(house.home)
    text = f"{waiting / (1 << 20):,.1f} MiB in closed segments wait to be compacted"
    if waiting > 1 << 30:
        return [_part("journal", "warning", text, "compaction is behind: look into the log of the control process")]
    return [_part("journal", "ok", text)]


def _outcomes(house: Engines) -> list[Part]:
    """What was refused of outcomes: money that is in no book."""
    found = {endpoint: tally for endpoint, tally in house.refused.all().items() if tally.total}
    text = "; ".join(f"{endpoint}: {tally.words}" for endpoint, tally in found.items()) or "none was refused"
    since_us = house.clock() - RECENT_S * MICROS_PER_S
    recent = [endpoint for endpoint, tally in found.items() if any(one.at_us >= since_us for one in tally.latest)]
    if recent:
        cure = f"`payoff outcomes {recent[0]} --refused` lists them: correct the rows and send them again"
        return [_part("outcomes", "warning", text[:1000], cure)]
    return [_part("outcomes", "ok", text[:1000])]


def _workers(house: Engines) -> list[Part]:
    statuses = live.statuses(house.home)
    if not statuses:
        return [_part("workers", "failed", "no inference worker is running", "look at the output of `payoff up`")]
    current = _endpoints(house)
    alive = {status.worker for status in statuses}
    cure = "it starts anew by itself; if it does not, look at the output of `payoff up`"
    gone = [index for index in range(_expected(house)) if index not in alive]
    said = [_worker(status, current, house.clock()) | {"pid": status.pid} for status in statuses]
    return said + [_part(f"worker {index}", "failed", "is not running", cure) for index in gone]


def _expected(house: Engines) -> int:
    """How many workers `payoff up` was asked for; 0 where nobody said."""
    doors = house.home / "run" / "doors"
    said = dict(line.split() for line in doors.read_text().splitlines()) if doors.exists() else {}
    return int(said.get("workers", 0))


def _worker(status: live.Status, current: dict[str, int], now_us: int) -> Part:
    name = f"worker {status.worker}"
    failed = [f"{endpoint} revision {number}: {words}" for endpoint, (number, words) in status.failed.items()]
    out = [f"{arm} of {endpoint}: {words}" for endpoint, arms in status.out.items() for arm, words in arms.items()]
    behind = [endpoint for endpoint, number in current.items() if status.serving.get(endpoint, 0) < number]
    if now_us - status.at_us > SILENT_S_MAX * MICROS_PER_S:
        silent_s = (now_us - status.at_us) / MICROS_PER_S
        return _part(name, "failed", f"silent for {silent_s:.0f} s", "it hangs: end its process, it starts anew")
    if failed:
        return _part(name, "failed", "; ".join(failed)[:1000], "roll the endpoint back or deploy the model again")
    if out:
        return _part(
            name,
            "failed",
            "; ".join(out)[:1000],
            "roll back, deploy a version that works, or wait: it is tried again after a while",
        )
    if behind:
        text = f"not yet at the current revision of {', '.join(sorted(behind))}"
        return _part(name, "warning", text, "wait a moment; if it stays, restart `payoff up`")
    return _part(name, "ok", f"process {status.pid} serves {len(status.serving)} endpoints")


def _models(house: Engines) -> list[Part]:
    """What computes each loaded model, and where: measured when it was loaded."""
    found = {(one.model, one.version): one for status in live.statuses(house.home) for one in status.resident}
    measured = [_computed(one) for _, one in sorted(found.items()) if one.one_row_us is not None]
    more = f"; and {len(measured) - MODELS_TOLD:,} more" if len(measured) > MODELS_TOLD else ""
    return [_part("models", "ok", "; ".join(measured[:MODELS_TOLD]) + more or "none was measured")]


def _computed(one: live.Resident) -> str:
    place = "in a thread" if one.threaded else "on the event loop"
    engine = f" on {one.engine}" if one.engine else ""
    return (
        f"{one.model} v{one.version}: {one.one_row_us:,.0f} us for a row, {place}{engine}, {one.rows_max:,} rows a call"
    )


def _environments(house: Engines) -> list[Part]:
    """The packages that models run with, and uv, which installs them."""
    try:
        uv.find_uv_bin()
    except FileNotFoundError as error:
        cure = "install it where payoff is installed: pip install uv"
        return [_part("environments", "failed", f"uv is missing, so no environment can be built: {error}", cure)]
    found = Environments.of(house.home).facts()
    text = f"{found.count} built, {found.size_bytes / (1 << 20):,.0f} MiB"
    half = f", {found.unfinished} unfinished" if found.unfinished else ""
    return [_part("environments", "ok", text + half)]


def _runners(house: Engines) -> list[Part]:
    """What keeps a model's own process apart on this machine."""
    stand = _walls()
    missing = [f"{name} ({why})" for name, why in stand.items() if why]
    text = f"walls around a model's process: {', '.join(name for name, why in stand.items() if not why) or 'none'}"
    return [_part("runners", "ok", text + (f"; not on this machine: {', '.join(missing)}" if missing else ""))]


@cache
def _walls() -> dict[str, str]:
    """They do not change while the machine runs."""
    try:
        return walls()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Unavailable(f"the walls around models cannot be tried: {error}") from error


LOOKS = (_database, _orders, _disk, _journal, _outcomes, _workers, _models, _environments, _runners)
HANDLERS = [health]
