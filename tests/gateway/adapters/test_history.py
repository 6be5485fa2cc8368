"""A conversation becomes the messages that chat models are used to."""

from dataclasses import replace

import pytest

from rtnb.gateway.adapters.history import NO_IMAGE, NO_RESULT, NOT_HEARD, messages_of
from rtnb.protocol.events import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    McpListToolsItem,
    McpToolExecutionError,
    MessageItem,
    OutputAudio,
    OutputText,
)
from tests.gateway.test_responder import REQUEST

PNG = "data:image/png;base64,AAAA"


def user(*content):
    parts = [InputText(text=one) if isinstance(one, str) else one for one in content]
    return MessageItem(role="user", content=parts)


def assistant(*content):
    parts = [OutputText(text=one) if isinstance(one, str) else one for one in content]
    return MessageItem(role="assistant", content=parts)


def wants(name, call_id, arguments="{}"):
    return FunctionCallItem(name=name, call_id=call_id, arguments=arguments)


def gives(call_id, output):
    return FunctionCallOutputItem(call_id=call_id, output=output)


def messages(*items, instructions=""):
    return messages_of(replace(REQUEST, items=items, instructions=instructions))


def shape(found):
    """Role and what matters of every message."""
    return [
        (
            message["role"],
            message.get("tool_call_id")
            or [call["id"] for call in message.get("tool_calls", ())]
            or message["content"],
        )
        for message in found
    ]


def test_words_keep_their_order_and_their_speakers():
    system = MessageItem(role="system", content=[InputText(text="Be polite.")])
    found = messages(system, user("Hello."), assistant("Hi."), instructions="Be brief.")
    assert found == [
        {"role": "system", "content": "Be brief.\nBe polite."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
    ]


def test_what_was_spoken_is_given_by_its_transcript():
    found = messages(
        user(InputAudio(transcript="what time is it")),
        assistant(OutputAudio(transcript="It is noon.")),
    )
    assert [one["content"] for one in found] == ["what time is it", "It is noon."]


def test_speech_without_words_is_noted():
    assert messages(user(InputAudio())) == [{"role": "user", "content": NOT_HEARD}]


def test_an_answer_that_was_not_heard_is_left_out():
    assert messages(user("Hello."), assistant(OutputAudio()), user("Wait.")) == [
        {"role": "user", "content": "Hello.\nWait."}
    ]


def test_images_go_along_as_they_came():
    image = InputImage(image_url=PNG, detail="low")
    assert messages(user("What is it?", image)) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            ],
        }
    ]


@pytest.mark.parametrize("url", ["https://elsewhere.example/x.png", None])
def test_the_server_is_never_sent_to_fetch_an_image(url):
    found = messages(user(InputImage(image_url=url)))
    assert found[0]["content"] == [{"type": "text", "text": NO_IMAGE}]


def test_parallel_calls_are_one_message_with_the_words_before_them():
    found = messages(
        user("Both."),
        assistant("Let me look."),
        wants("a", "1", '{"x": 1}'),
        wants("b", "2"),
        gives("2", "two"),
        gives("1", "one"),
        assistant("Done."),
    )
    assert shape(found) == [
        ("user", "Both."),
        ("assistant", ["1", "2"]),
        ("tool", "2"),
        ("tool", "1"),
        ("assistant", "Done."),
    ]
    assert found[1]["content"] == "Let me look."
    assert found[1]["tool_calls"][0]["function"] == {
        "name": "a",
        "arguments": '{"x": 1}',
    }


def test_calls_one_after_the_other_are_messages_of_their_own():
    found = messages(wants("a", "1"), gives("1", "x"), wants("a", "2"), gives("2", "y"))
    assert shape(found) == [
        ("assistant", ["1"]),
        ("tool", "1"),
        ("assistant", ["2"]),
        ("tool", "2"),
    ]


def test_a_call_without_a_result_is_followed_by_a_note():
    found = messages(user("Go."), wants("a", "1"), user("And?"))
    assert shape(found) == [
        ("user", "Go."),
        ("assistant", ["1"]),
        ("tool", "1"),
        ("user", "And?"),
    ]
    assert found[2]["content"] == NO_RESULT


def test_a_call_whose_result_came_turns_later_stands_with_its_result():
    found = messages(
        user("Go."),
        wants("a", "1"),
        wants("b", "2"),
        gives("2", "at once"),
        user("What else?"),
        assistant("Nothing."),
        gives("1", "at last"),
    )
    assert shape(found) == [
        ("user", "Go."),
        ("assistant", ["2"]),
        ("tool", "2"),
        ("user", "What else?"),
        ("assistant", ["1"]),
        ("tool", "1"),
    ]
    assert found[4]["content"] == "Nothing."


def test_a_result_whose_call_was_deleted_is_told_as_words():
    found = messages(gives("9", "forty-two"))
    assert found == [
        {"role": "user", "content": "[result of an earlier function call] forty-two"}
    ]


def test_calls_of_mcp_tools_are_calls():
    listed = McpListToolsItem(server_label="s", tools=[])
    item = McpCallItem(id="m", server_label="s", name="n", arguments="{}", output="ok")
    found = messages(listed, item)
    assert shape(found) == [("assistant", ["m"]), ("tool", "m")]
    assert found[1]["content"] == "ok"


def test_mcp_tools_that_failed_or_were_refused_are_told_of():
    error = McpToolExecutionError(message="It broke.")
    failed = McpCallItem(
        id="m", server_label="s", name="n", arguments="{}", output=None, error=error
    )
    assert messages(failed)[1]["content"] == "[failed: It broke.]"
    asked = McpApprovalRequestItem(id="r", server_label="s", name="n", arguments="{}")
    answers = [
        McpApprovalResponseItem(approval_request_id="r", approve=approve, reason=reason)
        for approve, reason in ((False, "Not today."), (False, None), (True, None))
    ]
    found = messages(asked, answers[0])
    assert [one["role"] for one in found] == ["system"]
    assert found[0]["content"].endswith("to be called] Not today.")
    assert messages(asked, answers[1])[0]["content"].endswith("to be called]")
    assert messages(asked, answers[2]) == []


def test_every_result_follows_its_call_in_any_order_of_items():
    """What chat servers insist on, for all orders of two calls, results and words."""
    from itertools import permutations

    items = [
        wants("a", "1"),
        wants("b", "2"),
        gives("1", "x"),
        gives("2", "y"),
        user("u"),
    ]
    for order in permutations(items):
        open_calls = set()
        for message in messages(*order):
            if message["role"] == "tool":
                assert message["tool_call_id"] in open_calls
                open_calls.remove(message["tool_call_id"])
                continue
            assert not open_calls
            open_calls = {call["id"] for call in message.get("tool_calls", ())}
        assert not open_calls
