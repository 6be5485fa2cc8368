"""A responder that calls the first tool there is, and says what it gave."""

from rtnb.gateway.responder import ToolCall
from rtnb.protocol.events import McpCallItem


def answer(request):
    last = request.items[-1]
    if isinstance(last, McpCallItem):
        yield f"{last.name} says: {last.output}"
    else:
        yield ToolCall(request.tools[0].name, {"city": "Oslo"})
