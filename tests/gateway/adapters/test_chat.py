"""A chat model answers over HTTP, whatever its server makes of the protocol."""

import asyncio
import contextlib
import json
from contextlib import aclosing
from dataclasses import replace

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

from rtnb.errors import ConfigError, EngineError
from rtnb.gateway import tls
from rtnb.gateway.adapters.chat import ChatResponder
from rtnb.gateway.adapters.server import ModelServer
from rtnb.gateway.adapters.settings import ChatSettings
from rtnb.gateway.responder import ToolCall, stream
from rtnb.protocol.events import FunctionTool
from tests.gateway.adapters.servers import (
    PATIENCE_S,
    Broken,
    Model,
    Stalled,
    call,
    chunk,
    events,
    nowhere,
    says,
    served,
)
from tests.gateway.test_responder import REQUEST

LOOK = FunctionTool(name="look", description="Look.", parameters={"type": "object"})
HEAR = FunctionTool(name="hear")


def asked(**changes):
    return replace(REQUEST, **changes)


def answer(model, request=REQUEST, **options):
    """Pieces of one answer of a server."""

    async def run(url):
        settings = ChatSettings(url=url, model="tiny", **options)
        responder = ChatResponder(settings)
        try:
            return [piece async for piece in stream(responder, request)]
        finally:
            await responder.close()

    with served(model) as url:
        return asyncio.run(asyncio.wait_for(run(url), PATIENCE_S))


def failure(model, request=REQUEST, **options):
    with pytest.raises(EngineError) as caught:
        answer(model, request, **options)
    return str(caught.value)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_words_come_whole_however_the_stream_is_cut(size):
    words = ["Grüß ", "dich", ", 世界", " 🌍!\u2028", "\nBye."]
    model = Model(replies=[says(*words)], size=size)
    assert answer(model) == words


def test_words_travel_before_the_answer_is_whole():
    model = Model(replies=[Stalled(events(chunk("Well, "), done=False))])

    async def run(url):
        responder = ChatResponder(ChatSettings(url=url, model="tiny"))
        async with aclosing(stream(responder, REQUEST)) as pieces:
            assert await anext(pieces) == "Well, "
        await responder.close()

    with served(model) as url:
        asyncio.run(asyncio.wait_for(run(url), PATIENCE_S))
        assert model.gone.wait(PATIENCE_S), (
            "the server was not told that nobody listens"
        )


def test_cancelling_the_task_closes_the_stream():
    model = Model(replies=[Stalled(b"")])

    async def run(url):
        responder = ChatResponder(ChatSettings(url=url, model="tiny"))

        async def listen():
            async for _ in stream(responder, REQUEST):
                pass

        task = asyncio.create_task(listen())
        await asyncio.to_thread(model.begun.wait, PATIENCE_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await responder.close()

    with served(model) as url:
        asyncio.run(asyncio.wait_for(run(url), PATIENCE_S))
        assert model.gone.wait(PATIENCE_S)


@pytest.mark.parametrize("head", [b"", b"data: {nonsense\n\n"], ids=["silent", "wrong"])
@pytest.mark.parametrize("again", [None, 0, 1, 2, 3])
def test_no_moment_of_cancelling_leaves_the_stream_open(head, again):
    """Cancelled once or twice, while it connects, waits, reads, fails or closes."""

    async def cancelled(url, moment):
        responder = ChatResponder(ChatSettings(url=url, model="tiny"))
        listening = asyncio.create_task(anext(stream(responder, REQUEST), None))
        await turns_of_the_loop(moment)
        listening.cancel()
        if again is not None:
            await turns_of_the_loop(again)
            listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        return responder

    async def run(url, model, moment):
        responder = await cancelled(url, moment)
        if model.requests:
            assert await asyncio.to_thread(model.gone.wait, PATIENCE_S), moment
        await responder.close()

    for moment in range(40):
        model = Model(replies=[Stalled(head)], size=100)
        with served(model) as url:
            asyncio.run(asyncio.wait_for(run(url, model, moment), PATIENCE_S))


async def turns_of_the_loop(count):
    for _ in range(count):
        await asyncio.sleep(0)


ODD_STREAMS = {
    "comments": b": keep-alive\n\n" + says("Hi") + b": bye\n\n",
    "no space after the colon": says("Hi").replace(b"data: ", b"data:"),
    "CRLF": says("Hi").replace(b"\n", b"\r\n"),
    "CR": says("Hi").replace(b"\n", b"\r"),
    "a byte order mark": b"\xef\xbb\xbf" + events(chunk("Hi")),
    "event and id fields": says("Hi").replace(b"data:", b"event: x\nid: 1\ndata:"),
    "no [DONE]": events(chunk("Hi"), chunk(finish="stop"), done=False),
    "no empty line at the end": says("Hi").rstrip(b"\n"),
    "no finish_reason": events(chunk("Hi")),
    "empty choices": events({"choices": []}, chunk("Hi"), {"choices": []}),
    "a usage chunk": events(chunk("Hi"), {"choices": [], "usage": {"total_tokens": 3}}),
    "choices null": events({"choices": None}, chunk("Hi")),
    "delta missing": events({"choices": [{"index": 0}]}, chunk("Hi")),
    "content null": events(chunk(content=None, role="assistant"), chunk("Hi")),
    "thoughts": events(
        chunk(reasoning_content="Hm"), chunk(reasoning="Hm"), chunk("Hi")
    ),
    "content in parts": events(
        chunk([{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}])
    ),
    "data in two lines": b'data: {"choices": [{"delta":\ndata: {"content": "Hi"}}]}\n\n'
    b"data: [DONE]\n\n",
    "data in two lines, CRLF": b'data: {"choices": [{"delta":\r\n'
    b'data: {"content": "Hi"}}]}\r\n\r\ndata: [DONE]\r\n\r\n',
    "error null": events({**chunk("Hi"), "error": None}),
}


@pytest.mark.parametrize("body", ODD_STREAMS.values(), ids=ODD_STREAMS)
@pytest.mark.parametrize("size", [1, 10_000])
def test_odd_streams_are_understood(body, size):
    assert answer(Model(replies=[body], size=size)) == ["Hi"]


def test_a_server_that_does_not_stream_is_understood():
    message = {
        "role": "assistant",
        "content": "Hi",
        "tool_calls": [call(0, "look", "{}")],
    }
    whole = JSONResponse({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert answer(Model(replies=[whole])) == ["Hi", ToolCall("look", {})]


# -- calls -----------------------------------------------------------------------------

PARIS, OSLO = ToolCall("look", {"at": "Pâris"}), ToolCall("hear", {"n": [1, 2]})
CALLS = {
    "arguments split anywhere": [
        [call(0, "look", "", "a")],
        *([call(0, arguments=sign)] for sign in '{"at": "Pâris"}'),
        [call(1, "hear", '{"n"', "b")],
        [call(1, arguments=": [1, 2]}")],
    ],
    "interleaved": [
        [call(0, "look", '{"at"', "a"), call(1, "hear", '{"n": ', "b")],
        [call(1, arguments="[1, 2]}"), call(0, arguments=': "Pâris"}')],
    ],
    "whole, all with index 0": [
        [call(0, "look", '{"at": "Pâris"}', "a")],
        [call(0, "hear", '{"n": [1, 2]}', "b")],
    ],
    "without an index": [
        [{"id": "a", "function": {"name": "look", "arguments": '{"at": '}}],
        [{"function": {"arguments": '"Pâris"}'}}],
        [{"id": "b", "function": {"name": "hear", "arguments": '{"n": [1, 2]}'}}],
    ],
    "without an index, at once": [
        [
            {"id": "a", "function": {"name": "look", "arguments": '{"at": "Pâris"}'}},
            {"id": "b", "function": {"name": "hear", "arguments": '{"n": [1, 2]}'}},
        ],
    ],
    "without an index or an id": [
        [
            {"function": {"name": "look", "arguments": '{"at": '}},
            {"function": {"arguments": '"Pâris"}'}},
            {"function": {"name": "hear", "arguments": '{"n": [1, 2]}'}},
        ],
    ],
    "without an index, the id repeated": [
        [{"id": "a", "function": {"name": "look", "arguments": '{"at": '}}],
        [{"id": "b", "function": {"name": "hear", "arguments": '{"n": '}}],
        [{"id": "a", "function": {"arguments": '"Pâris"}'}}],
        [{"id": "b", "function": {"arguments": "[1, 2]}"}}],
    ],
    "name and id repeated": [
        [call(0, "look", '{"at": ', "a")],
        [call(0, "look", '"Pâris"}', "a")],
        [call(1, "hear", '{"n": [1, 2]}', "b")],
    ],
    "name in pieces": [
        [call(0, "lo", "", "a")],
        [call(0, "ok", '{"at": "Pâris"}')],
        [call(1, "hear", '{"n": [1, 2]}', "b")],
    ],
    "arguments as an object": [
        [call(0, "look", {"at": "Pâris"}, "a"), call(1, "hear", {"n": [1, 2]}, "b")],
    ],
    "null where nothing is": [
        [{"index": 0, "id": "a", "function": {"name": "look", "arguments": None}}],
        [{"index": 0, "id": None, "function": {"name": None, "arguments": '{"at": '}}],
        [{"index": 0, "function": {"arguments": '"Pâris"}'}}],
        [call(1, "hear", '{"n": [1, 2]}', "b")],
    ],
}


@pytest.mark.parametrize("parts", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
def test_parallel_calls_are_gathered(parts, finish):
    body = events(
        chunk("Let me look. ", role="assistant"),
        *(chunk(calls=part) for part in parts),
        chunk(finish=finish),
    )
    request = asked(tools=(LOOK, HEAR))
    assert answer(Model(replies=[body]), request) == ["Let me look. ", PARIS, OSLO]


def test_a_call_without_arguments_has_none():
    body = events(chunk(calls=[call(0, "look", "", "a")]), chunk(finish="tool_calls"))
    assert answer(Model(replies=[body])) == [ToolCall("look", {})]


@pytest.mark.parametrize("arguments", ['{"at": ', "[1]", "nonsense"])
def test_arguments_that_are_no_object_fail_in_words(arguments):
    body = events(chunk(calls=[call(0, "look", arguments, "a")]), chunk(finish="stop"))
    said = failure(Model(replies=[body]))
    assert "called look with arguments that are no JSON object" in said
    assert arguments in said


# -- what is asked ---------------------------------------------------------------------


def sent(request=REQUEST, **options):
    model = Model(replies=[says("Hi")])
    answer(model, request, **options)
    return model.requests[0]


def test_the_request_is_a_streamed_chat_completion():
    body = sent(asked(tools=(LOOK, HEAR)))
    assert (body["model"], body["stream"]) == ("tiny", True)
    assert body["stream_options"] == {"include_usage": True}
    assert body["messages"] == [{"role": "system", "content": "Be kind."}]
    assert body["tools"][0]["function"] == {
        "name": "look",
        "description": "Look.",
        "parameters": {"type": "object"},
    }
    assert body["tools"][1]["function"] == {
        "name": "hear",
        "parameters": {"type": "object", "properties": {}},
    }
    assert "tool_choice" not in body
    assert body.keys() & {"temperature", "max_tokens"} == set()


def test_options_are_passed_through():
    body = sent(temperature=0.3, max_tokens=50, extra={"top_p": 0.9})
    assert (body["temperature"], body["max_tokens"], body["top_p"]) == (0.3, 50, 0.9)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        ("required", "required"),
        ({"type": "function", "name": "hear"}, "hear"),
        (HEAR, "hear"),
        ({"type": "mcp", "server_label": "s"}, "required"),
    ],
)
def test_the_choice_of_tools_is_passed_on(choice, expected):
    body = sent(asked(tools=(LOOK, HEAR), tool_choice=choice))
    if expected == "hear":
        expected = {"type": "function", "function": {"name": "hear"}}
    assert body.get("tool_choice") == expected


@pytest.mark.parametrize("changes", [{"tool_choice": "none", "tools": (LOOK,)}, {}])
def test_without_tools_to_call_none_are_sent(changes):
    assert sent(asked(**changes)).keys() & {"tools", "tool_choice"} == set()


# -- what goes wrong -------------------------------------------------------------------


def test_nobody_there_is_said_in_words():
    async def run():
        responder = ChatResponder(ChatSettings(url=nowhere(), model="tiny"))
        return [piece async for piece in stream(responder, REQUEST)]

    with pytest.raises(EngineError, match=r"cannot be reached .*start it, or correct"):
        asyncio.run(run())


REFUSALS = {
    "OpenAI": (
        JSONResponse({"error": {"message": "no such model"}}, 404),
        "no such model",
    ),
    "Ollama": (
        JSONResponse({"error": "'tiny' not found"}, 404),
        "'tiny' not found",
    ),
    "FastAPI": (JSONResponse({"detail": "Not Found"}, 404), "Not Found"),
    "FastAPI, checked": (
        JSONResponse({"detail": [{"msg": "bad role"}]}, 422),
        "bad role",
    ),
    "vLLM": (JSONResponse({"object": "error", "message": "too long"}, 400), "too long"),
    "a proxy": (
        PlainTextResponse("<h1>Bad\n Gateway</h1>", 502),
        "<h1>Bad Gateway</h1>",
    ),
    "nothing": (PlainTextResponse("", 503), "Service Unavailable"),
}


@pytest.mark.parametrize(("reply", "words"), REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_given_in_the_servers_words(reply, words):
    said = failure(Model(replies=[reply]))
    assert f"answered {reply.status_code}: {words}" in said
    assert "the chat model at http://127.0.0.1" in said


def test_a_long_refusal_is_cut():
    assert len(failure(Model(replies=[PlainTextResponse("x" * 200_000, 500)]))) < 500


def test_a_missing_model_is_named():
    reply = JSONResponse({"error": "not found"}, 404)
    assert "may not have the model 'tiny'" in failure(Model(replies=[reply]))


def test_a_redirect_is_not_followed():
    model = Model(replies=[RedirectResponse("http://elsewhere.example/v1")])
    said = failure(model)
    assert "sends us on to http://elsewhere.example/v1, which is not followed" in said


def test_silence_is_given_up():
    model = Model(replies=[Stalled(events(chunk("Well"), done=False))])
    said = failure(model, timeout=0.2)
    assert "was silent for 0.2 s" in said


def test_a_lost_connection_is_said_in_words():
    model = Model(replies=[Broken(events(chunk("Well"), done=False))])
    assert "broke off" in failure(model)


BAD_STREAMS = {
    "cut": (events(chunk("Well"), done=False), "ended its answer in the middle"),
    "no JSON": (b"data: {nonsense\n\n", "no chunk of an answer: '{nonsense'"),
    "no object": (b"data: [1]\n\n", "no chunk of an answer: '[1]'"),
    "no UTF-8": (b"data: \xff\n\n", "not UTF-8"),
    "endless": (b"data: " + b"x" * (2**20 + 1), "more than 1048576 bytes"),
    "an error": (
        events({"error": {"message": "out of memory"}}),
        "failed: out of memory",
    ),
    "an error in a word": (events({"error": "overloaded"}), "failed: overloaded"),
    "vLLM's error": (events({"object": "error", "message": "bad"}), "failed: bad"),
    "filtered": (events(chunk(finish="content_filter")), "withheld its answer"),
    "a call that is none": (events(chunk(calls=["x"])), "a call that is none"),
    "a call of nothing": (events(chunk(calls=[call(0)])), "a function without a name"),
}


@pytest.mark.parametrize(("body", "words"), BAD_STREAMS.values(), ids=BAD_STREAMS)
def test_streams_that_are_none_fail_in_words(body, words):
    assert words in failure(Model(replies=[body], size=4096))


# -- keys ------------------------------------------------------------------------------


def test_the_key_goes_in_the_header_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    model = Model(replies=[says("Hi")])
    answer(model, key_env="MY_KEY")
    assert model.headers[0]["authorization"] == "Bearer sk-very-secret"
    assert "secret" not in json.dumps(model.requests)


def test_without_a_key_none_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    model = Model(replies=[says("Hi")])
    answer(model)
    assert "authorization" not in model.headers[0]


def test_a_key_that_the_server_repeats_is_not_shown(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    reply = JSONResponse({"error": {"message": "Incorrect key: sk-very-secret"}}, 401)
    said = failure(Model(replies=[reply]), key_env="MY_KEY")
    assert "Incorrect key: [key]; it does not accept the key in MY_KEY" in said
    assert "secret" not in said


def test_a_server_that_wants_a_key_says_how_to_give_one():
    reply = JSONResponse({"error": {"message": "unauthorized"}}, 401)
    assert "as key_env" in failure(Model(replies=[reply]))


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    settings = ChatSettings(url="http://127.0.0.1:1/v1", key_env="MY_KEY")
    with pytest.raises(ConfigError, match=r"MY_KEY.* is not set"):
        ChatResponder(settings)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", nowhere())
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert answer(Model(replies=[says("Hi")])) == ["Hi"]


def test_certificates_of_ones_own_count_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.own(folder=tmp_path).trust))
    place = ChatSettings(url="https://127.0.0.1:1/v1")
    options = ModelServer(place, what="the chat model").options
    (trusted,) = options["verify"].get_ca_certs()
    assert "rtnb" in str(trusted["subject"])
    assert not options["trust_env"]


def test_a_key_that_leaves_unencrypted_is_warned_of(monkeypatch, caplog):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    for url in ("http://192.0.2.1/v1", "http://127.0.0.1/v1", "https://192.0.2.1/v1"):
        ModelServer(ChatSettings(url=url, key_env="MY_KEY"), what="the chat model")
    assert [record.message for record in caplog.records] == ["key.unencrypted"]
    assert "secret" not in str(vars(caplog.records[0]))


def test_token_counts_are_logged(caplog):
    caplog.set_level("INFO", "rtnb.gateway")
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    answer(Model(replies=[events(chunk("Hi"), {"choices": [], "usage": usage})]))
    logged = [one for one in caplog.records if one.message == "chat.answered"]
    assert [vars(one)["rtnb.usage"] for one in logged] == [usage]


def test_an_answer_that_was_cut_is_logged(caplog):
    body = events(chunk("Hi"), chunk(finish="length"))
    assert answer(Model(replies=[body])) == ["Hi"]
    assert [one.message for one in caplog.records] == ["chat.cut"]
