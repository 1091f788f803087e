"""Paths that say how every question about an endpoint stands, which verdicts are on file, and compute one again."""

from typing import Any

from litestar import get

from payoff.api.engines import House
from payoff.api.lists import Before, Limit
from payoff.clock import iso
from payoff.errors import Conflict
from payoff.experiment import again, explain, facts, in_short, outlook, unpack
from payoff.monitor.lives import Brief
from payoff.monitor.watch import Judged
from payoff.records import names
from payoff.registry import Filed

CLOSE = 1e-9  # the last bits of a sum depend on the batches it came in


@get("/endpoints/{endpoint:str}/verdicts", sync_to_thread=True)
def verdicts(house: House, endpoint: str, limit: Limit = 100, before: Before = None) -> dict[str, Any]:
    """What is asked about the endpoint's versions, how each question stands in figures and words, and what is on file.

    `now` are the questions of the guards, the verdict not reached perhaps: valid however often they are read.
    `on_file` are those that were reached, newest first, as they were when a guard acted on them.
    """
    current = house.registry.current(names.check(endpoint, "endpoint"))
    found = house.registry.verdicts(current.endpoint, limit, before)
    return {
        "endpoint": current.endpoint,
        "currency": current.policy.currency,
        "now": _now(house.watch.judged(current.endpoint)),
        "on_file": [view(one) for one in found],
    }


@get("/verdicts/{verdict:int}/again", sync_to_thread=True)
def recomputed(house: House, verdict: int) -> dict[str, Any]:
    """A verdict on file, computed again from its rows and settings alone; `same` says whether it comes out the same."""
    filed = house.registry.verdict(verdict)
    if not filed.evidence_digest:
        raise Conflict(f"verdict {verdict} has no rows on file, so it cannot be computed again")
    house.blobs.verify(filed.evidence_digest)
    case = again(filed.settings, unpack(house.blobs.read(filed.evidence_digest)))
    same = abs(case.e_value - filed.verdict.e_value) <= CLOSE * filed.verdict.e_value
    told = {"same": same and case.tested == filed.verdict.tested, "text": explain(case, filed.settings["shared"])}
    return {**view(filed), "again": {**told, **facts(case)}}


def view(filed: Filed) -> dict[str, Any]:
    """A verdict on file."""
    verdict = filed.verdict
    return {
        "id": filed.id,
        "endpoint": filed.endpoint,
        "at": iso(filed.at_us),
        "model": verdict.model,
        "version": verdict.version,
        "question": verdict.question,
        "test": verdict.test,
        "tested": verdict.tested,
        "e_value": verdict.e_value,
        "threshold": verdict.threshold,
        "mean": verdict.mean,
        "last_prediction_id": verdict.last_prediction_id,
        "rows": filed.evidence_digest,
        "software": filed.software,
        "settings": filed.settings,
    }


def _now(judged: Judged) -> list[dict[str, Any]]:
    blocks = {id(brief): list(words) for brief, words in judged.blocks}
    return [
        {
            **facts(case),
            **_asked(brief),
            "verdict": in_short(case),
            "text": explain(case, brief.bar.shared),
            "outlook": outlook(case),
            "blocked_by": blocks.get(id(brief), []),
        }
        for brief, case in judged.cases
    ]


def _asked(brief: Brief) -> dict[str, Any]:
    """For whom the question is asked."""
    guard = brief.guard
    return {
        "role": str(brief.arm.role),
        "since_revision": brief.since,
        "shared_by": brief.bar.shared,
        "guard": None if guard is None else {"when": guard.when, "do": guard.do, "error": guard.error},
    }


HANDLERS = [verdicts, recomputed]
