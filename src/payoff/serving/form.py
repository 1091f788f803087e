"""What a door gives the desk: a caller to answer, and the form in which its kind of calls is read and written.

A form works on all calls of a batch at once, for what is paid once a batch need not be paid once a call: columns are
made from many bodies in one go, and many answers are written from one table.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Protocol

from payoff.codecs.celltext import spans
from payoff.records import concat
from payoff.serving.part import Rows
from payoff.serving.reply import Answered


class Caller(Protocol):
    """Who waits for an answer. `gone` says that the answer is not wanted any more."""

    @property
    def gone(self) -> bool: ...

    def hear(self, said: Any) -> None:
        """The answer as its form has written it, or what went wrong; once."""


class Form(Protocol):
    """One wire format, bound to one live revision. What a call asks is kept as the form likes it, until it is read."""

    name: str

    def read(self, asked: Sequence[Any]) -> Rows:
        """The rows of all these calls, one after the other; BadInput if any of them is amiss."""

    def write(self, answered: Answered, asked: Sequence[Any], counts: Sequence[int]) -> Sequence[Any]:
        """One answer for each of these calls, in their order; `answered` is the table of all their rows."""


class Told:
    """A caller that is a function."""

    gone = False

    def __init__(self, hear: Callable[[Any], None]) -> None:
        self.hear = hear


class InHand:
    """Calls that bring columns, and take their part of the table."""

    name = "columns"

    def read(self, asked: Sequence[Rows]) -> Rows:
        return concat(asked)

    def write(self, answered: Answered, asked: Sequence[Rows], counts: Sequence[int]) -> Sequence[Answered]:
        return [*parted(answered, counts)]


IN_HAND = InHand()


class Asking(Protocol):
    """What reading and writing need to know of a call."""

    form: Form
    asked: Any
    rows: Rows | None
    count: int


def read(batch: Sequence[Asking]) -> Rows:
    """The rows of a batch as one table."""
    form, asked = batch[0].form, []
    for call in batch:
        if call.form is not form or call.rows is not None:
            return concat([call.form.read([call.asked]) if call.rows is None else call.rows for call in batch])
        asked.append(call.asked)
    return form.read(asked)


def write(batch: Sequence[Asking], whole: Answered) -> Sequence[Any]:
    """The answer of each call of a batch; where one cannot be written, what went wrong there."""
    form, asked, counts = batch[0].form, [], []
    for call in batch:
        if call.form is not form:
            return _by_form(batch, whole)
        asked.append(call.asked)
        counts.append(call.count)
    return _written(form, asked, counts, whole)


def parted(whole: Answered, counts: Sequence[int]) -> Sequence[Answered]:
    """The table of a batch, in the parts of its calls."""
    if len(counts) == 1:
        return [whole]
    return [whole.slice(span.start, span.stop) for span in spans(counts)]


def _by_form(batch: Sequence[Asking], whole: Answered) -> list[Any]:
    """The same where not all are of one form."""
    said: list[Any] = []
    start = 0
    for form, calls in groupby(batch, key=lambda call: call.form):
        group = [*calls]
        counts = [call.count for call in group]
        stop = start + sum(counts)
        said += _written(form, [call.asked for call in group], counts, whole.slice(start, stop))
        start = stop
    return said


def _written(form: Form, asked: Sequence[Any], counts: Sequence[int], whole: Answered) -> Sequence[Any]:
    try:
        return form.write(whole, asked, counts)
    except Exception as error:
        if len(asked) == 1:
            return [error]
    own = zip(asked, counts, parted(whole, counts), strict=True)
    return [one for each, count, part in own for one in _written(form, [each], [count], part)]
