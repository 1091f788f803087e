"""What one HTTP/2 connection may cost, and how wide its windows are."""

from dataclasses import dataclass

STREAM_WINDOW, FRAME_BYTES_MAX = 4 << 20, 1 << 20
FRAGMENTS_MAX = 32  # of a header block
CREDIT_BYTES = 16 << 20  # that come before the client is given more room on the connection


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost."""

    body_bytes_max: int = 64 << 20
    bodies_bytes_max: int = 256 << 20  # of all its calls that are not whole
    owed_bytes_max: int = 64 << 20  # of answers that the client leaves no room for; then it gets no more calls
    head_bytes_max: int = 32 << 10
    calls_max: int = 1_000  # at a time
    noise_max: int = 1_000  # frames a second that are no part of a call, beyond a few for each call
    resets_max: int = 2_000  # calls a second that are taken back, or refused
    receive_s_max: float = 60.0  # from the beginning of a frame or a message to its end; and for room for an answer
    quiet_s_max: float = 60.0  # with calls open, before it is asked whether it is there
    answer_s_max: float = 20.0  # for the answer to that
    idle_s_max: float = 600.0  # without a call
    connections_max: int = 10_000  # of one worker
