"""Which codec: by content type, by what a caller accepts, or by the suffix of a file. Imported when first asked for.

Other packages add a codec with an entry point in the group `payoff.codec`.
"""

from functools import lru_cache
from pathlib import PurePath

from payoff.codecs.checks import shorten
from payoff.codecs.codec import Codec
from payoff.errors import BadInput, NotRead, NotWritten
from payoff.plugins.plugins import Plugins

CODECS = Plugins[Codec](
    "codec",
    {
        "arrow": "payoff.codecs.arrow:CODEC",
        "arrow-file": "payoff.codecs.arrow:FILE",
        "csv": "payoff.codecs.csv:CODEC",
        "json": "payoff.codecs.rows:CODEC",
        "ndjson": "payoff.codecs.ndjson:CODEC",
        "parquet": "payoff.codecs.parquet:CODEC",
    },
)

# The first of each codec is the one to say.
CONTENT_TYPES = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/jsonlines": "ndjson",
    "application/ndjson": "ndjson",
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.arrow.file": "arrow-file",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/parquet": "parquet",
    # What `curl -d` says when it is not told what it sends; nobody sends forms here.
    "application/x-www-form-urlencoded": "json",
}

SUFFIXES = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "ndjson",
    ".ndjson": "ndjson",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow-file",
}

_FORMS = "application/x-www-form-urlencoded"


@lru_cache(maxsize=256)  # keyed by what callers send, so it is bounded
def by_content_type(content_type: str | None) -> Codec:
    """The codec of a request body; JSON if nothing is said. NotRead lists the content types there are."""
    kind, _, rest = (content_type or "application/json").partition(";")
    charset = _parameters(rest).get("charset", "utf-8").strip('"').lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise NotRead(f"charset {shorten(charset)} is not read here; send UTF-8")
    name = CONTENT_TYPES.get(kind.strip().lower())
    if name is None:
        raise NotRead(f"content type {shorten(kind.strip())} is not read here; there are: {', '.join(spoken())}")
    return CODECS.take(name)


@lru_cache(maxsize=256)  # keyed by what callers send, so it is bounded
def negotiate(accept: str | None, asked: Codec) -> Codec:
    """The codec of the answer: what the caller likes best (RFC 9110, 12.5.1); if all the same, that of the request.

    NotWritten lists the content types there are.
    """
    likings = _likings(accept or "*/*")
    best = max([asked.content_type, *spoken()], key=lambda kind: _liking(kind, likings))
    if _liking(best, likings) <= 0:
        raise NotWritten(f"nothing in Accept {shorten(accept)} can be written; there are: {', '.join(spoken())}")
    return asked if best == asked.content_type else CODECS.take(CONTENT_TYPES[best])


def by_suffix(file: str | PurePath) -> Codec:
    """The codec of a file, by its name. BadInput lists the suffixes there are."""
    suffix = PurePath(file).suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInput(
            f"{PurePath(file).name[:80]!r}: no format for {suffix or 'no suffix'!r}; there are: {', '.join(SUFFIXES)}"
        )
    return CODECS.take(SUFFIXES[suffix])


def spoken() -> list[str]:
    """The content types that are read and written."""
    return [kind for kind in CONTENT_TYPES if kind != _FORMS]


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _likings(accept: str) -> dict[str, float]:
    """How much each media range is liked, from 0 to 1."""
    found = {}
    for part in accept.split(","):
        kind, _, rest = part.partition(";")
        try:
            found[kind.strip().lower()] = float(_parameters(rest).get("q", "1"))
        except ValueError:
            found[kind.strip().lower()] = 0.0
    return found


def _liking(kind: str, likings: dict[str, float]) -> float:
    """The most specific range that fits decides."""
    for said in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if said in likings:
            return likings[said]
    return 0.0
