"""What goes back over HTTP: a reply, a refusal in words, and both as bytes."""

from dataclasses import dataclass

import orjson

from payoff.codecs import compression

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 413: "Content Too Large",
    415: "Unsupported Media Type", 422: "Unprocessable Content", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 499: "Client Closed Request", 500: "Internal Server Error",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip


@dataclass(slots=True)
class Reply:
    """What goes back. `headers` are ready lines, each with its line end."""

    body: bytes
    content_type: bytes = b"application/json"
    status: int = 200
    headers: bytes = b""


def refusal(status: int, what: str, kind: str, headers: bytes = b"") -> Reply:
    """An error in words. `error` is what Open Inference Protocol clients read; `kind` is for programs."""
    what = what.encode("utf-8", "replace").decode()  # words of a model, or of a stranger's file
    return Reply(orjson.dumps({"error": what, "kind": kind}), status=status, headers=headers)


def packed(reply: Reply, coding: str, from_bytes: int) -> Reply:
    """The reply in a coding, if that is worth it; always, where `from_bytes` is 0."""
    if not reply.body or len(reply.body) < from_bytes or (from_bytes and not compression.shrinks(reply.body, coding)):
        return reply
    lines = b"content-encoding: %b\r\nvary: accept-encoding\r\n" % coding.encode()
    return Reply(compression.pack(reply.body, coding), reply.content_type, reply.status, reply.headers + lines)


def render(reply: Reply, keep_alive: bool) -> bytes:
    """The whole response as it goes over the wire."""
    if reply.status == 200 and keep_alive:
        return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (
            reply.content_type, len(reply.body), reply.headers, reply.body)  # fmt: skip
    reason = REASONS.get(reply.status, "Error").encode()
    ending = b"" if keep_alive else b"connection: close\r\n"
    head = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n" % (
        reply.status, reason, reply.content_type, len(reply.body), reply.headers, ending)  # fmt: skip
    return head + reply.body
