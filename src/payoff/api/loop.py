"""The event loop of the API: uvloop, but it does not wait half a minute for callers that never say goodbye over TLS."""

from typing import Any

import uvloop

GOODBYE_S_MAX = 1.0


class Loop(uvloop.Loop):
    """Passes what uvicorn has no setting for."""

    async def create_server(self, *args: Any, **how: Any) -> Any:
        """As asyncio's."""
        if how.get("ssl") is not None:
            how["ssl_shutdown_timeout"] = GOODBYE_S_MAX
        return await super().create_server(*args, **how)
