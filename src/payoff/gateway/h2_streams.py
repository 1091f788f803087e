"""The calls of one connection, each a stream of its own: how they begin, what comes of them, how they end, and what all
of them together may cost."""

import asyncio

from payoff.errors import Busy, TooLarge, Unavailable
from payoff.gateway import h2_frames as h2
from payoff.gateway.h2_answers import Answers
from payoff.gateway.h2_call import Call, late
from payoff.gateway.h2_frames import PREFIX_BYTES, Broken, Code
from payoff.gateway.h2_heads import MALFORMED, Head
from payoff.gateway.h2_limits import STREAM_WINDOW, Limits

LEAVING = b"leaving "  # in a PING; who answers it has heard that the worker leaves
_BYE = "the worker is leaving; ask again"
_LEAVE_S = 1.0  # for the client to hear that


class Streams:
    """The calls of one connection."""

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self.limits = limits
        self.calls: dict[int, Call] = {}
        self.answers = Answers(self.calls, loop)
        self.last = 0  # the newest
        self.final = h2.WINDOW_END  # the last that is answered
        self.resets = 0  # since somebody set this to nought
        self._loop = loop
        self._bodies_bytes = 0
        self._warned_s: float | None = None

    # -- a call begins

    def whole(self, stream: int, head: Head, message: bytes) -> bool:
        """A call of which all has come at once, as most do; False, and nothing is done, if it is not so simple."""
        answers, calls = self.answers, self.calls
        if (
            not self.last < stream <= self.final or not stream & 1 or answers.owed_bytes
            or len(calls) >= self.limits.calls_max or len(message) > self.limits.body_bytes_max
        ):  # fmt: skip
            return False
        self.last = stream
        call = calls[stream] = Call(answers, self, stream, head, answers.first_room)
        call.ended = True
        if head.timeout_us is not None:
            call.deadline_s = self._loop.time() + head.timeout_us / 1e6
        try:
            head.method.take(call, message)
        except Exception as error:
            call.hear(error)
        return True

    def open(self, stream: int, head: Head, ended: bool) -> None:
        """A request begins; `ended` says that nothing follows its headers."""
        if not stream & 1:
            raise Broken(Code.PROTOCOL_ERROR, "a client's streams have odd numbers")
        if stream <= self.last:
            self._turn_away(stream, Code.STREAM_CLOSED)
            return
        self.last = stream
        if stream > self.final:
            return  # it was told that this one would not be looked at
        if head is MALFORMED or len(self.calls) >= self.limits.calls_max:
            self._turn_away(stream, Code.PROTOCOL_ERROR if head is MALFORMED else Code.REFUSED_STREAM)
            return
        call = self.calls[stream] = Call(self.answers, self, stream, head, self.answers.first_room)
        if head.odd or ended or self.answers.owed_bytes:
            self._begin_odd(call, ended)

    def _begin_odd(self, call: Call, ended: bool) -> None:
        """A request that has a deadline, or need not be waited for."""
        call.ended, timeout_us, owed_bytes = ended, call.head.timeout_us, self.answers.owed_bytes
        if timeout_us is not None:
            call.deadline_s = self._loop.time() + timeout_us / 1e6
        if call.head.refusal is not None:
            self.answers.finish(call, call.head.refusal)
        elif owed_bytes > self.limits.owed_bytes_max:
            call.hear(Busy(f"{owed_bytes:,} bytes of answers wait on this connection for room; read them first"))
        elif ended:
            self._take_in(call, b"")

    # -- what comes of it

    def data(self, call: Call, count: int, payload: bytes, ends: bool) -> None:
        """A part of a body, of `count` bytes with its padding; whether it `ends` the request."""
        call.granted += count
        if call.ended or call.granted > STREAM_WINDOW:
            self.drop(call, Code.STREAM_CLOSED if call.ended else Code.FLOW_CONTROL_ERROR)
            return
        call.ended = ends
        if ends and call.body is None and self._is_one(call, payload):
            call.whole(payload[PREFIX_BYTES:])
        else:
            self._take_in(call, payload)

    def _is_one(self, call: Call, payload: bytes) -> bool:
        """Whether this is the one message of a call, not packed."""
        size = len(payload) - PREFIX_BYTES
        whole = 0 <= size <= self.limits.body_bytes_max and not payload[0] and h2.unpack_word(payload, 1)[0] == size
        return whole and not call.head.method.streams

    def trailers(self, call: Call, ends: bool) -> None:
        """Headers behind the messages: nothing in them matters but that they are the end."""
        if call.ended or not ends:
            self.drop(call, Code.STREAM_CLOSED if call.ended else Code.PROTOCOL_ERROR)
            return
        call.ended = True
        self._take_in(call, b"")

    def _take_in(self, call: Call, payload: bytes) -> None:
        """A part of a body; room for the next part, if it is wanted."""
        call.feed(payload)
        self.relieve(call)
        if self._bodies_bytes > self.limits.bodies_bytes_max and not call.gone:
            most = f"{self.limits.bodies_bytes_max:,} bytes"
            call.hear(TooLarge(f"the calls of one connection that are not whole may have {most}; send fewer at a time"))
            self.relieve(call)

    def relieve(self, call: Call) -> None:
        """Count what is left of a call's body, and let more of it come if that is wanted."""
        left = 0 if call.gone or call.body is None else len(call.body)
        self._bodies_bytes += left - call.counted
        call.counted = left
        if call.granted > STREAM_WINDOW // 2 and not (call.ended or call.gone or call.stuffed):
            self.answers.say(h2.grant(call.number, call.granted))
            call.granted = 0

    def widen(self, call: Call, more: int) -> None:
        """The client has room for more of an answer."""
        call.room += more
        if not more or call.room > h2.WINDOW_END:
            self.drop(call, Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR)
        else:
            self.answers.pump(call)

    # -- its end, other than by an answer

    def take_back(self, call: Call) -> None:
        """The client does not want it any more."""
        self._forget(call)
        self._count_reset()

    def drop(self, call: Call, code: Code) -> None:
        """End a call without an answer: its stream is broken."""
        self._forget(call)
        self._turn_away(call.number, code)

    def _turn_away(self, stream: int, code: Code) -> None:
        self._count_reset()
        self.answers.say(h2.reset(stream, code))

    def _forget(self, call: Call) -> None:
        self.answers.forget(call)
        self.relieve(call)

    def _count_reset(self) -> None:
        self.resets += 1
        if self.resets > self.limits.resets_max:
            raise Broken(Code.ENHANCE_YOUR_CALM, "calls are begun only to be taken back")

    def abandon(self) -> None:
        """Nobody hears the answers to any of them."""
        for call in self.calls.values():
            call.gone = True

    def check_time(self, now_s: float) -> None:
        """Once a second: end the calls that take too long, and show those that are open to whom they concern."""
        most_s = self.limits.receive_s_max
        for call in [call for call in self.calls.values() if waits(call) or call.deadline_s is not None]:
            if waits(call):
                call.waiting_since_s = now_s if call.waiting_since_s is None else call.waiting_since_s
                if now_s - call.waiting_since_s > most_s:
                    self.drop(call, Code.CANCEL)
            if call.deadline_s is not None and now_s > call.deadline_s:
                call.hear(late(call))
        for call in [call for call in self.calls.values() if call.head.method.again is not None]:
            call.head.method.again(call)

    # -- the worker leaves

    @property
    def final_said(self) -> bool:
        """Whether the client knows the last call that is answered."""
        return self.final != h2.WINDOW_END

    def warn(self) -> None:
        """The client is told to begin no more calls; those it has begun by the time it hears of it are answered."""
        if self._warned_s is None:
            self._warned_s = self._loop.time()
            said = h2.go_away(h2.WINDOW_END, Code.NO_ERROR, _BYE)
            self.answers.say(said + h2.frame(h2.PING, 0, 0, LEAVING))
        elif self._loop.time() - self._warned_s > _LEAVE_S:
            self.heard_warning()

    def heard_warning(self) -> None:
        """From now on nothing more is looked at."""
        if self._warned_s is not None and not self.final_said:
            self.final = self.last
            self.answers.say(h2.go_away(self.last, Code.NO_ERROR, _BYE))

    def let_go(self) -> None:
        """End those that would not end by themselves: streams that have nothing to wait for."""
        for call in [call for call in self.calls.values() if call.head.method.streams or call.head.method.again]:
            if not call.turns:
                call.hear(Unavailable(_BYE))


def waits(call: Call) -> bool:
    """Whether a call waits for its client."""
    return bool(call.pending or (call.body if call.head.method.streams else not call.ended))
