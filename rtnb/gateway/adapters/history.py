"""A conversation, as the messages of a chat completion.

Items of the Realtime protocol and messages of the chat protocol differ in three ways,
which this module settles:

* what was spoken is given by its transcript; where there is none, a note in brackets
  says so;
* the calls of one turn, and the words before them, are one message; so are words of
  one speaker in a row;
* a result must follow its call at once. A call whose result came later, after other
  messages, is moved to its result; one that has none yet is followed by a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rtnb.protocol.events import (
    AudioPart,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    McpApprovalResponseItem,
    McpCallItem,
    MessageItem,
    OutputAudio,
    OutputText,
    TextPart,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rtnb.gateway.responder import Request
    from rtnb.protocol.events import FunctionTool

NOT_HEARD: Final = "[the user spoke, but the words were not understood]"
NO_RESULT: Final = "[no result yet]"
REFUSED: Final = "[the user did not allow the tool to be called]"
NO_IMAGE: Final = "[an image that cannot be shown]"
ORPHAN: Final = "[result of an earlier function call] "

Message: TypeAlias = dict[str, Any]
"""A message, as JSON has it."""


def messages_of(request: Request) -> list[Message]:
    """The messages of a request.

    Parameters
    ----------
    request : Request
        What is to be answered.

    Returns
    -------
    list of dict
        The instructions as the first ``system`` message, then the conversation.
    """
    messages: list[Message] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    items = _settled(request.items)
    for item in items:
        match item:
            case MessageItem(role="assistant"):
                if text := _text(item.content):
                    messages.append({"role": "assistant", "content": text})
            case MessageItem():
                messages += _of_person(item)
            case FunctionCallItem():
                _add_call(messages, item.call_id, item.name, item.arguments)
            case FunctionCallOutputItem():
                messages.append(_result(item.call_id, item.output))
            case McpCallItem():
                _add_call(messages, item.id, item.name, item.arguments)
                messages.append(_result(item.id, _outcome(item)))
            case McpApprovalResponseItem(approve=False):
                refused = f"{REFUSED} {item.reason or ''}".strip()
                messages.append({"role": "system", "content": refused})
            case _:
                continue  # lists of tools and requests are no part of what was said
    return _joined(messages)


def tools_of(tools: Iterable[FunctionTool]) -> list[dict[str, Any]]:
    """The functions of a session, as a chat completion names them.

    Parameters
    ----------
    tools : iterable of FunctionTool
        On the wire.

    Returns
    -------
    list of dict
        One for each.
    """
    described = []
    for tool in tools:
        function: dict[str, Any] = {"name": tool.name}
        if isinstance(tool.description, str):
            function["description"] = tool.description
        function["parameters"] = (
            tool.parameters
            if isinstance(tool.parameters, dict)
            else {"type": "object", "properties": {}}
        )
        described.append({"type": "function", "function": function})
    return described


def _joined(messages: list[Message]) -> list[Message]:
    """The messages, with words in a row of one speaker as one: many models insist."""
    joined: list[Message] = []
    for message in messages:
        last = joined[-1] if joined else {}
        if (
            message.keys() == last.keys() == {"role", "content"}
            and message["role"] == last["role"]
            and isinstance(message["content"], str)
            and isinstance(last["content"], str)
        ):
            last["content"] += f"\n{message['content']}"
        else:
            joined.append(message)
    return joined


def _of_person(item: MessageItem) -> list[Message]:
    """What the user, or the system, said."""
    images = [part for part in item.content if isinstance(part, InputImage)]
    text = _text(item.content)
    if not images:
        spoken = any(isinstance(part, InputAudio) for part in item.content)
        text = text or (NOT_HEARD if spoken else "")
        return [{"role": item.role, "content": text}] if text else []
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    return [{"role": item.role, "content": [*parts, *map(_image, images)]}]


def _image(part: InputImage) -> dict[str, Any]:
    """An image that came with the item; an address is nobody's to fetch."""
    url = part.image_url
    if not (isinstance(url, str) and url.startswith("data:")):
        return {"type": "text", "text": NO_IMAGE}
    image = {"url": url}
    if isinstance(part.detail, str):
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _text(content: Sequence[object]) -> str:
    found: list[str] = []
    for part in content:
        match part:
            case InputText(text=str(text)) | OutputText(text=str(text)):
                found.append(text)
            case TextPart(text=str(text)):
                found.append(text)
            case InputAudio(transcript=str(text)) | OutputAudio(transcript=str(text)):
                found.append(text)
            case AudioPart(transcript=str(text)):
                found.append(text)
    return "\n".join(text.strip() for text in found if text.strip())


def _add_call(messages: list[Message], call_id: Any, name: str, arguments: str) -> None:
    """Write a call, into the message of the assistant that goes on."""
    call = {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments or "{}"},
    }
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant":
        last = {"role": "assistant", "content": None}
        messages.append(last)
    last.setdefault("tool_calls", []).append(call)


def _outcome(item: McpCallItem) -> str:
    """What a tool gave, or why it gave nothing."""
    if isinstance(item.output, str):
        return item.output
    return f"[failed: {item.error.message}]" if item.error else NO_RESULT


def _result(call_id: Any, output: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": output}


def _settled(items: Sequence[object]) -> list[object]:
    """The items, every result right after its call and every call with a result."""
    calls = {item.call_id: item for item in items if isinstance(item, FunctionCallItem)}
    outputs = {
        item.call_id: item for item in items if isinstance(item, FunctionCallOutputItem)
    }
    settled: list[object] = []
    run = _Run()
    for item in items:
        match item:
            case FunctionCallItem():
                settled += run.before_call()
                run.calls.append(item)
            case FunctionCallOutputItem() if item.call_id in run.waiting:
                run.outputs.append(item)
            case FunctionCallOutputItem() if item.call_id in calls:
                settled += run.end(outputs)
                settled += [calls[item.call_id], item]
            case FunctionCallOutputItem():
                settled += run.end(outputs)
                text = InputText(text=ORPHAN + item.output)
                settled.append(MessageItem(role="user", content=[text]))
            case _:
                settled += run.end(outputs)
                settled.append(item)
    return settled + run.end(outputs)


class _Run:
    """Calls that stand together, and the results right after them."""

    def __init__(self) -> None:
        self.calls: list[FunctionCallItem] = []
        self.outputs: list[FunctionCallOutputItem] = []

    @property
    def waiting(self) -> set[Any]:
        """Calls of the run that have had no result yet."""
        had = {output.call_id for output in self.outputs}
        return {call.call_id for call in self.calls} - had

    def before_call(self) -> list[object]:
        """End the run if results have begun: another call is another message."""
        return self.end({}) if self.outputs and not self.waiting else []

    def end(self, later: dict[str, FunctionCallOutputItem]) -> list[object]:
        """The run, settled; a call whose result comes `later` is left to that."""
        had = {output.call_id for output in self.outputs}
        here: list[FunctionCallItem] = []
        missing: list[object] = []
        for call in self.calls:
            if call.call_id in had:
                here.append(call)
            elif call.call_id not in later:
                here.append(call)
                missing.append(
                    FunctionCallOutputItem(call_id=str(call.call_id), output=NO_RESULT)
                )
        settled: list[object] = [*here, *self.outputs, *missing]
        self.calls, self.outputs = [], []
        return settled
