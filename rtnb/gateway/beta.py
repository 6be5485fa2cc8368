"""Who asks for the interface of 2024, which the service refuses since 2026-05-12."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from rtnb.protocol.codec import encode
from rtnb.protocol.events import Error, ErrorDetail
from rtnb.protocol.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.websockets import WebSocket

MESSAGE: Final = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
"""What the service says. It was seen on the WebSocket; that the retired REST routes say
the same is a guess."""

TYPE: Final = "invalid_request_error"
CODE: Final = "beta_api_shape_disabled"

CLOSE_CODE: Final = 4000
"""The reason, type and code with a dot between, was seen; of the number only that it is
one of these thousand."""


def asked_for(headers: Mapping[str, str]) -> bool:
    """Whether a client asks for it, by a header or as browsers did, by a subprotocol.

    Examples
    --------
    >>> asked_for({"openai-beta": "realtime=v1"}), asked_for({})
    (True, False)
    """
    offered = headers.get("sec-websocket-protocol", "").split(",")
    return "realtime=v1" in headers.get("openai-beta", "") or any(
        name.strip() == "openai-beta.realtime-v1" for name in offered
    )


async def refuse(websocket: WebSocket) -> None:
    """Say why and close; the WebSocket is accepted already."""
    event_id = new_id("event", now=time.time(), random=random.SystemRandom())
    detail = ErrorDetail(
        type=TYPE, code=CODE, message=MESSAGE, param=None, event_id=None
    )
    await websocket.send_text(encode(Error(event_id=event_id, error=detail)))
    await websocket.close(CLOSE_CODE, f"{TYPE}.{CODE}")
