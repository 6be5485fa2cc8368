"""How the embedded engine answers in these tests; it runs in the gateway."""

from __future__ import annotations

from rtnb.gateway.responder import Pause, ToolCall
from rtnb.protocol.events import FunctionCallOutputItem


def answer(request):
    """Answer by the last thing that was said."""
    said = (request.user_text or "").lower()
    last = request.items[-1]
    if isinstance(last, FunctionCallOutputItem):
        yield f"The tool says {last.output}."
    elif "weather" in said:
        yield ToolCall("weather", {"city": "Oslo"})
    elif "fail" in said:
        raise ValueError("on purpose")
    elif "wait" in said:
        yield Pause(60)
    else:
        yield "I heard you."
