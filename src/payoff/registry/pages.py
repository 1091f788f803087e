"""Lists come newest first and page by page: what grows for ever is never read as a whole."""

from typing import Any

import sqlalchemy as sa

from payoff.errors import BadInput

LIMIT_MAX = 1000


def checked(limit: int) -> int:
    """The limit, if it may be one."""
    if 1 <= limit <= LIMIT_MAX:
        return limit
    raise BadInput(f"limit is {limit}; expected 1 to {LIMIT_MAX}; what follows is on the next page")


def page(query: sa.Select[Any], by: sa.Column[int], limit: int, before: int | None) -> sa.Select[Any]:
    """The `limit` newest rows older than `before`, counted by this column; None starts at the newest."""
    if before is not None:
        query = query.where(by < before)
    return query.order_by(by.desc()).limit(checked(limit))
