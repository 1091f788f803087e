"""Lists come newest first and page by page: what grows for ever is never read as a whole."""

from typing import Any

import sqlalchemy as sa

from payoff.errors import BadInput

LIMIT_MAX = 1000


def page(query: sa.Select[Any], by: sa.Column[int], limit: int, before: int | None) -> sa.Select[Any]:
    """The `limit` newest rows older than `before`, counted by this column; None starts at the newest."""
    if not 1 <= limit <= LIMIT_MAX:
        raise BadInput(f"limit is {limit}; expected 1 to {LIMIT_MAX}, and `before` for the next page")
    if before is not None:
        query = query.where(by < before)
    return query.order_by(by.desc()).limit(limit)
