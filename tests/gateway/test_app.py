"""The gateway's door: who may come in, and what a bad guest is told."""

import asyncio
import base64
import json
import urllib.error
import urllib.request

import pytest
import websockets
from websockets.exceptions import InvalidStatus

from rtnb.gateway.app import Gateway
from rtnb.gateway.conversation import Engine
from rtnb.gateway.recogniser import Recogniser
from rtnb.gateway.voice import Voice
from tests.gateway.conftest import start_gateway, stop_gateway


def connect(gateway, *, path="/v1/realtime?model=gpt-realtime", **options):
    headers = options.pop("headers", {"Authorization": f"Bearer {gateway.token}"})
    return websockets.connect(
        f"ws://127.0.0.1:{gateway.port}{path}",
        additional_headers=headers,
        compression=None,
        max_size=None,
        **options,
    )


async def refusal(gateway, **options):
    with pytest.raises(InvalidStatus) as caught:
        async with connect(gateway, **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body)["error"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, None), ({"Authorization": "Bearer wrong"}, "invalid_api_key")],
)
def test_a_missing_or_wrong_token_is_refused(gateway, headers, code):
    status, error = asyncio.run(refusal(gateway, headers=headers))
    assert (status, error["code"]) == (401, code)
    assert gateway.token not in error["message"]


def test_a_foreign_origin_is_refused(gateway):
    status, error = asyncio.run(refusal(gateway, origin="https://evil.example"))
    assert (status, error["code"]) == (403, "origin_not_allowed")


def test_a_foreign_host_is_refused(gateway):
    headers = {"Authorization": f"Bearer {gateway.token}", "Host": "evil.example"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.port}/rtnb/tickets",
        data=b'{"session_id": "x"}',
        headers=headers,
        method="POST",
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as response:
        assert response.code == 403
        assert json.load(response)["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize(
    ("listens_on", "host", "status"),
    [
        ("127.0.0.1", "192.168.1.5:8000", 403),
        ("0.0.0.0", "192.168.1.5:8000", None),
        ("0.0.0.0", "rebound.example:8000", 403),
        ("192.168.1.5", "192.168.1.5:8000", None),
        ("127.0.0.1", "localhost:8000", None),
    ],
)
def test_a_host_is_known_by_where_the_gateway_listens(listens_on, host, status):
    engine = Engine(responder=lambda _: None, recogniser=Recogniser(), voice=Voice())
    door = Gateway(engine, token="secret", host=listens_on)
    headers = {"host": host, "authorization": "Bearer secret"}
    refused = door._refusal(headers)
    assert (refused and refused.status_code) == status


def test_a_browser_shows_its_key_as_a_subprotocol(gateway):
    async def scenario():
        key = f"openai-insecure-api-key.{gateway.token}"
        async with connect(
            gateway, headers={}, subprotocols=["realtime", key], path="/realtime"
        ) as socket:
            return socket.subprotocol, json.loads(await socket.recv())["type"]

    assert asyncio.run(scenario()) == ("realtime", "session.created")


def test_an_unknown_address_answers_with_the_apis_error(gateway):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{gateway.http}/nothing", timeout=10)
    with caught.value as response:
        assert response.code == 404
        assert "Invalid URL" in json.load(response)["error"]["message"]


async def answer(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 30))


async def errors_of(gateway, frames):
    """The error that each frame gets, and proof that the session lives on."""
    async with connect(gateway) as socket:
        await answer(socket)
        errors = []
        for frame in frames:
            await socket.send(frame)
            event = await answer(socket)
            assert event["type"] == "error", (frame[:80], event)
            errors.append(event["error"])
        await socket.send(json.dumps({"type": "input_audio_buffer.clear"}))
        assert (await answer(socket))["type"] == "input_audio_buffer.cleared"
        return errors


def update(**session):
    return json.dumps(
        {
            "type": "session.update",
            "event_id": "mine",
            "session": {"type": "realtime", **session},
        }
    )


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/realtime", "session.updated"),
        ("/v1/realtime?model=gpt-realtime", "error"),
    ],
)
def test_a_model_is_named_by_the_address_or_by_the_first_update(gateway, path, kind):
    async def scenario():
        async with connect(gateway, path=path) as socket:
            await answer(socket)
            await socket.send(update(model="gpt-realtime-mini"))
            return await answer(socket)

    event = asyncio.run(scenario())
    assert event["type"] == kind
    if kind == "session.updated":
        assert event["session"]["model"] == "gpt-realtime-mini"


def append(data):
    return json.dumps({"type": "input_audio_buffer.append", "audio": data})


BAD = [
    ("not json", "invalid_json", "JSON"),
    (json.dumps({"hello": 1}), "invalid_event", "type"),
    (json.dumps({"type": "session.explode"}), "invalid_value", "session.explode"),
    (update(audio={"output": {"voice": "darth"}}), "invalid_value", "darth"),
    (
        update(
            audio={
                "input": {"turn_detection": {"type": "server_vad", "threshold": 1.5}}
            }
        ),
        None,
        "1.5",
    ),
    (update(nonsense=1), "unknown_parameter", "session.nonsense"),
    (append("@@@"), "invalid_value", "audio"),
    (append(base64.b64encode(b"\0\0\0").decode()), "invalid_value", "even byte"),
    (append("A" * (21 * 2**20)), None, "15"),
    (
        json.dumps({"type": "input_audio_buffer.commit"}),
        "input_audio_buffer_commit_empty",
        "100ms",
    ),
    (b"\xff\xfe", "invalid_json", "JSON"),
]


def test_every_bad_frame_has_its_own_error_and_the_session_lives_on(gateway):
    errors = asyncio.run(errors_of(gateway, [frame for frame, _, _ in BAD]))
    for error, (frame, code, word) in zip(errors, BAD, strict=True):
        assert code is None or error["code"] == code, (frame[:80], error)
        said = f"{error['message']} {error['param']}"
        assert word in said, (frame[:80], error)
    assert errors[3]["event_id"] == "mine"


BROKEN = """
import itertools

def raises(request):
    yield "I begin, "
    raise RuntimeError("no more ideas")

def silent(request):
    return None
"""


async def one_text_turn(gateway):
    async with connect(gateway) as socket:
        await answer(socket)
        await socket.send(update(output_modalities=["text"]))
        await socket.send(json.dumps({"type": "response.create"}))
        while (event := await answer(socket))["type"] != "response.done":
            pass
        return event["response"]


def test_a_responder_that_raises_fails_the_response_and_says_why(tmp_path, monkeypatch):
    (tmp_path / "broken_mind.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    running = start_gateway("--responder", "broken_mind:raises")
    try:
        response = asyncio.run(one_text_turn(running))
    finally:
        stop_gateway(running)
    assert response["status"] == "failed"
    message = response["status_details"]["error"]["message"]
    assert "no more ideas" in message
    assert "broken_mind:raises" in message


def test_two_sessions_do_not_hear_each_other(gateway):
    async def scenario():
        async with connect(gateway) as one, connect(gateway) as two:
            first, second = await answer(one), await answer(two)
            await one.send(json.dumps({"type": "input_audio_buffer.clear"}))
            assert (await answer(one))["type"] == "input_audio_buffer.cleared"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(two.recv(), 0.05)
            return first["session"]["id"] != second["session"]["id"]

    assert asyncio.run(scenario())


def test_the_tap_wants_the_token_too(gateway):
    path = "/rtnb/tap?session_id=sess_nobody"
    assert asyncio.run(refusal(gateway, path=path, headers={}))[0] == 401
    status, error = asyncio.run(refusal(gateway, path=path))
    assert (status, error["code"]) == (404, "session_not_found")


async def beta_client(gateway, **options):
    async with connect(gateway, **options) as websocket:
        error = json.loads(await websocket.recv())["error"]
        await websocket.wait_closed()
        return error, websocket.close_code, websocket.close_reason


@pytest.mark.parametrize("how", ["header", "subprotocol"])
def test_the_interface_of_2024_is_refused(gateway, how):
    options = {}
    if how == "header":
        headers = {"Authorization": f"Bearer {gateway.token}"}
        options["headers"] = {**headers, "OpenAI-Beta": "realtime=v1"}
    else:
        options["subprotocols"] = ["realtime", "openai-beta.realtime-v1"]
    error, code, reason = asyncio.run(beta_client(gateway, **options))
    assert error["code"] == "beta_api_shape_disabled"
    assert (code, reason) == (4000, "invalid_request_error.beta_api_shape_disabled")
