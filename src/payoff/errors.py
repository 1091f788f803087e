"""What can go wrong, in the user's words. Every message says what happened, what was expected and what to do next.

Errors know no HTTP and no exit status: each face maps them in one table of its own.
"""


class PayoffError(Exception):
    """Anything payoff refuses or fails at on purpose. Its text is for people; it never needs a stack trace."""


class BadInput(PayoffError):
    """The caller sent something that cannot be used; the text names the column, the value and what was expected."""


class NotRead(BadInput):
    """The body is in a format, a charset or a packing that is not read here; the text lists those that are."""


class NotWritten(BadInput):
    """The caller takes no format that can be written here; the text lists those that can."""


class NotFound(PayoffError):
    """No such model, version, endpoint, revision or part; the text lists the ones there are."""


class Conflict(PayoffError):
    """Legal in itself, but not now: the text says what is in the way and which moves are legal."""


class TooLarge(PayoffError):
    """More bytes or rows than a limit allows; the text names the limit."""


class Busy(PayoffError):
    """A queue is full; try again later: in `retry_after_s`, where the queue knows how fast it moves."""

    def __init__(self, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(PayoffError):
    """The caller's time was over before his call had its turn; nothing was done."""


class Abandoned(PayoffError):
    """The caller has gone before his call had its turn; nothing was done."""


class Unauthorized(PayoffError):
    """The door asks for a key and got none, or a wrong one."""


class ModelFailed(PayoffError):
    """The model could not be loaded, did not reproduce its sample rows, or failed on a call."""


class Unavailable(PayoffError):
    """A part that is needed is down or full (the disk, the control plane); nothing was done."""
