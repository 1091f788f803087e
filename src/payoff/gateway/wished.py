"""Calls of the Open Inference Protocol that ask for something special: to be urgent, to wait only so long, and outputs
as classes or in shared memory. Those are written call by call."""

from collections.abc import Iterator, Mapping, Sequence

import orjson

from payoff.clock import now_us
from payoff.codecs import oip, oip_reply
from payoff.codecs.classification import classified, classify
from payoff.codecs.oip_output import Wish
from payoff.codecs.places import Place
from payoff.codecs.urgency import urgency
from payoff.errors import BadInput
from payoff.gateway.patience import Patience
from payoff.gateway.reply import Reply
from payoff.gateway.shared_memory import Regions
from payoff.gateway.tensors import Tensors, all_columns, outputs, reply
from payoff.records import Field
from payoff.serving import Answered, Desk, Live
from payoff.serving.form import Caller, parted
from payoff.serving.line import PRIORITY_MAX
from payoff.serving.part import Rows

_NO_LIMITS = Patience(0, None)


def take_specially(
    desk: Desk, regions: Regions, live: Live, asked: oip.Request, caller: Caller, limits: Patience | None
) -> None:
    """Take a call that has parameters, or wishes for its outputs; BadInput if it cannot be as it asks to be."""
    form, priority, deadline_us = specially(regions, live, asked, limits or _NO_LIMITS)
    desk.take(live, form, asked, asked.rows, caller, priority=priority, deadline_us=deadline_us)


def specially(
    regions: Regions, live: Live, asked: oip.Request, limits: Patience = _NO_LIMITS
) -> "tuple[Tensors | Wished, int, int | None]":
    """The form of a call, its priority at the desk, and until when it is worth answering. `limits` is what its head
    says; what its parameters say goes before that."""
    said = urgency(asked.parameters)
    timeout_us = limits.timeout_us if said.timeout_us is None else said.timeout_us
    deadline_us = None if timeout_us is None else now_us() + timeout_us
    priority = max(0, PRIORITY_MAX + 1 - said.priority) if said.priority else limits.priority
    if not asked.wishes:
        return Tensors.of(live), priority, deadline_us
    wished = Wished.of(live, regions)
    wished.check(asked)
    return wished, priority, deadline_us


class Wished:
    """Calls that wish for more of an output than its bytes, for one live revision. They are read as all others are."""

    name = Tensors.name

    def __init__(self, live: Live, regions: Regions) -> None:
        self._live = live
        self._regions = regions

    @staticmethod
    def of(live: Live, regions: Regions) -> "Wished":
        """The one of this revision."""
        found: Wished | None = live.forms.get("oip with wishes")
        if found is None:
            found = live.forms["oip with wishes"] = Wished(live, regions)
        return found

    def check(self, asked: oip.Request) -> None:
        """Before any model runs: BadInput for an output that cannot be as it is wished for."""
        for field, wish in self._wishes(asked):
            if wish.classes is not None:
                classified(field, wish.classes)

    def read(self, asked: Sequence[oip.Request]) -> Rows:
        """The rows of all these requests."""
        return Tensors.of(self._live).read(asked)

    def write(self, answered: Answered, asked: Sequence[oip.Request], counts: Sequence[int]) -> list[Reply | Exception]:
        """One answer for each call, or why it cannot be written where it was to go."""
        return [self._reply(part, one, n) for one, n, part in zip(asked, counts, parted(answered, counts), strict=True)]

    def _reply(self, answered: Answered, asked: oip.Request, count: int) -> Reply | Exception:
        try:
            return self._written(answered, asked, count)
        except Exception as error:
            return error

    def _written(self, answered: Answered, asked: oip.Request, count: int) -> Reply:
        fields = {field.name: field for field in oip_reply.pick(asked, outputs(self._live))}
        places = {field.name: wish.place for field, wish in self._wishes(asked) if wish.place is not None}
        binary = asked.binary if asked.binary == "all" else asked.binary | places.keys()
        columns = all_columns(answered, binary)
        for field, wish in self._wishes(asked):
            if wish.classes is not None:
                fields[field.name] = classified(field, wish.classes)
                columns[field.name] = classify(field, columns[field.name], wish.classes)
        number = self._live.revision.number
        writer = oip_reply.Writer(self._live.name, str(number), [*fields.values()], binary, {"revision": number})
        bodies, heads = writer.write(columns, [count], [asked.id])
        body, head = bodies[0], heads[0] if heads else None
        return reply(*self._put(body, head, places)) if places else reply(body, head)

    def _put(self, body: bytes, head: int | None, places: Mapping[str, Place]) -> tuple[bytes, int | None]:
        """The response without the tensors that were wanted in shared memory, once they are there. Such an output comes
        without parameters, as Triton has it: its C++ client takes any for those of raw bytes."""
        said = orjson.loads(body[:head])
        at, rest = head or len(body), []
        for output in said["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            raw, at = body[at : at + (size or 0)], at + (size or 0)
            if output["name"] not in places:
                rest += [raw] if size is not None else []
            elif size is not None:
                self._regions.write(places[output["name"]], raw)
                del output["parameters"]
            else:
                raise BadInput(
                    f"output {output['name']!r} has nulls, and raw bytes cannot say that; ask for it in JSON"
                )
        text = orjson.dumps(said)
        return b"".join([text, *rest]), len(text) if rest else None

    def _wishes(self, asked: oip.Request) -> Iterator[tuple[Field, Wish]]:
        wishes = asked.wishes or {}
        return (
            (field, wishes[field.name]) for field in oip_reply.pick(asked, outputs(self._live)) if field.name in wishes
        )
