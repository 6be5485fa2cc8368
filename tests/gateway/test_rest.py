"""The REST routes of a real gateway process, by bare HTTP and by the official client."""

import asyncio
import contextlib
import http.client
import io
import json

import numpy as np
import pytest
import soundfile
import websockets
from openai import APIStatusError, AsyncOpenAI, OpenAI
from openai.types.realtime import ClientSecretCreateResponse
from pydantic import TypeAdapter
from websockets.exceptions import InvalidStatus

from rtnb.audio import pcm16_decode
from rtnb.clock import InstantClock
from rtnb.errors import EngineError, MissingExtra
from rtnb.gateway.app import Gateway
from rtnb.gateway.client_secrets import MOST_SECRETS
from rtnb.gateway.conversation import Engine
from rtnb.gateway.models import models
from rtnb.gateway.recogniser import Recogniser
from rtnb.gateway.rest import LARGEST_BODY
from rtnb.gateway.voice import Voice
from tests.gateway.conftest import start_gateway, stop_gateway

# The SDK's synchronous client opens websockets in a way that websockets 17 deprecates.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"
)

JSON = {"Content-Type": "application/json"}
PAGE = "http://localhost:5173"
SPEECH = {"model": "tts-1", "input": "Hello there.", "voice": "alloy"}


def ask(gateway, method, path, body=None, *, key=None, headers=None):
    """Status, headers and JSON (or bytes) of one request."""
    if not isinstance(body, bytes | None):
        body = json.dumps(body).encode()
    given = {"Authorization": f"Bearer {key or gateway.token}"}
    given |= JSON if body is not None else {}
    given |= headers or {}
    given = {name: value for name, value in given.items() if value is not None}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        data = answer.read()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, answer.headers, json.loads(data) if is_json else data


def refused(gateway, method, path, body=None, **options):
    """Status, code and message of a refusal, which has the API's form."""
    status, _, answer = ask(gateway, method, path, body, **options)
    assert list(answer) == ["error"]
    error = answer["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert gateway.token not in error["message"]
    return status, error["code"], error["param"], error["message"]


def mint(gateway, body=None, **options):
    return ask(gateway, "POST", "/v1/realtime/client_secrets", body or {}, **options)


@pytest.fixture
def client(gateway):
    with OpenAI(
        api_key=gateway.token, base_url=gateway.http, max_retries=0
    ) as official:
        yield official


# -- models ------------------------------------------------------------------------------


def test_the_models_are_listed(client):
    listed = client.models.list()
    assert listed.object == "list"
    names = [model.id for model in listed.data]
    assert names[0] == "gpt-realtime-2.1"
    assert {"gpt-realtime", "gpt-realtime-2025-08-28"} <= set(names)
    assert not {"whisper-1", "gpt-live-transcribe"} & set(names)
    assert len(names) == len(set(names)) == len(models())


def test_a_model_is_found_by_its_name(client):
    model = client.models.retrieve("gpt-realtime-2025-08-28")
    assert model.object == "model"
    assert model.created == 1_756_339_200  # 2025-08-28
    assert model.shutdown_date == "2027-01-20"


@pytest.mark.parametrize("name", ["gpt-9", "a/b", "gpt-realtime%20", "%00"])
def test_an_unknown_model_is_404(gateway, name):
    status, code, param, message = refused(gateway, "GET", f"/v1/models/{name}")
    assert (status, code, param) == (404, "model_not_found", "model")
    assert "does not exist" in message


# -- speech ------------------------------------------------------------------------------


def likeness(one, other):
    """Correlation of two magnitude spectra, smoothed to 25 Hz.

    espeak-ng never says a thing twice in the same samples; one voice with itself was
    seen to be above 0.96 here, two different ones below 0.85.
    """
    spectra = [
        np.convolve(np.abs(np.fft.rfft(samples, 48_000)), np.ones(50), "same")
        for samples in (one, other)
    ]
    return np.corrcoef(spectra)[0, 1]


def own(voice):
    spoken = Voice().speak("Hello there.", voice=voice)
    return np.concatenate([piece.samples for piece in spoken])


def heard(client, **options):
    given = {**SPEECH, "response_format": "pcm", **options}
    return pcm16_decode(client.audio.speech.create(**given).content)


@pytest.mark.parametrize(
    ("asked", "speaks"),
    [
        ("alloy", "alloy"),
        ("marin", "marin"),
        ("fable", "ballad"),
        ("nova", "coral"),
        ("onyx", "cedar"),
    ],
)
def test_speech_has_the_voice_of_the_engine(client, asked, speaks):
    spoken = heard(client, voice=asked, instructions="Softly.")
    assert likeness(spoken, own(speaks)) > 0.9
    assert likeness(spoken, own("verse")) < 0.9


def test_speech_comes_in_pieces(client):
    text = " ".join(f"This is sentence number {n}." for n in range(20))
    request = client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", input=text, voice="marin", response_format="pcm"
    )
    with request as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        pieces = list(answer.iter_bytes())
    assert len(pieces) > 5
    assert len(b"".join(pieces)) > 20 * 48_000


def test_speech_as_wav_is_read_by_others(client):
    answer = client.audio.speech.create(**SPEECH, response_format="wav")
    samples, rate = soundfile.read(io.BytesIO(answer.content), dtype="float32")
    assert rate == 24_000
    assert answer.response.headers["content-type"] == "audio/wav"
    assert np.array_equal(samples, pcm16_decode(answer.content[44:]))
    assert likeness(samples, heard(client)) > 0.9


def test_speed_changes_the_duration(client):
    text = "A sentence of middling length, spoken at a pace."
    usual = len(heard(client, input=text))
    for speed in (0.25, 0.5, 2.0, 4.0):
        given = len(heard(client, input=text, speed=speed))
        assert given * speed == pytest.approx(usual, rel=0.1)


BAD_SPEECH = [
    ({"input": ""}, "empty_string", "input", "empty"),
    ({"input": 4097 * "a"}, "string_above_max_length", "input", "4096"),
    ({"input": None}, "invalid_type", "input", "expected string"),
    ({"model": ...}, "missing_required_parameter", "model", "model"),
    ({"model": ""}, "empty_string", "model", "empty"),
    ({"voice": ...}, "missing_required_parameter", "voice", "voice"),
    ({"voice": "darth"}, "invalid_value", "voice", "'nova', and 'onyx'"),
    ({"voice": {"id": "voice_1"}}, "invalid_value", "voice.id", "custom"),
    ({"speed": 0.2}, "invalid_value", "speed", "0.25 and 4"),
    ({"speed": 4.1}, "invalid_value", "speed", "4.1"),
    ({"speed": "fast"}, "invalid_type", "speed", "expected number"),
    ({"response_format": "mp3"}, "invalid_value", "response_format", "'wav'"),
    ({"response_format": ...}, "invalid_value", "response_format", "not given"),
    ({"response_format": "midi"}, "invalid_value", "response_format", "'flac'"),
    ({"stream_format": "sse"}, "invalid_value", "stream_format", "'audio'"),
    ({"loudness": 11}, "unknown_parameter", "loudness", "loudness"),
]


@pytest.mark.parametrize(("change", "code", "param", "word"), BAD_SPEECH)
def test_bad_speech_is_refused(gateway, change, code, param, word):
    body = {**SPEECH, "response_format": "pcm", **change}
    body = {key: value for key, value in body.items() if value is not ...}
    given = refused(gateway, "POST", "/v1/audio/speech", body)
    assert given[:3] == (400, code, param)
    assert word in given[3]


class Mute:
    def __init__(self, error):
        self._error = error

    def speak(self, text, *, voice, speed=1.0):
        raise self._error
        yield


def in_process(app, method, path, body=b"", **headers):
    """Status and JSON of a request to an application in this process."""
    sent = []
    given = {"host": "localhost", "authorization": "Bearer secret", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in given.items()
        ],
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    with contextlib.suppress(ZeroDivisionError):  # raised again for the log
        asyncio.run(app(scope, receive, send))
    data = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(data)


def door(voice=None, clock=None):
    engine = Engine(
        responder=lambda _: None,
        recogniser=Recogniser(),
        voice=voice or Voice(),
        clock=clock or InstantClock(1_785_000_000.0),
    )
    return Gateway(engine, token="secret")


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (MissingExtra("the embedded voice", "local"), 503, "rtnb[local]"),
        (EngineError("espeak-ng did not start"), 500, "did not start"),
        (ZeroDivisionError("a secret place"), 500, "had an error"),
    ],
)
def test_a_voice_that_fails_is_an_error_in_words(error, status, word):
    body = json.dumps({**SPEECH, "response_format": "wav"}).encode()
    given, answer = in_process(
        door(Mute(error)).app,
        "POST",
        "/v1/audio/speech",
        body,
        content_type="application/json",
    )
    assert given == status
    assert answer["error"]["type"] == "server_error"
    assert word in answer["error"]["message"]
    assert "secret place" not in answer["error"]["message"]


# -- client secrets ----------------------------------------------------------------------

BOUND = {
    "type": "realtime",
    "model": "gpt-realtime-mini",
    "instructions": "Speak like a pirate.",
    "output_modalities": ["text"],
    "audio": {
        "input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}},
        "output": {"voice": "cedar"},
    },
}


def test_a_secret_is_minted_by_the_official_client(client):
    secret = client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 7200}, session=BOUND
    )
    strict = TypeAdapter(ClientSecretCreateResponse)
    strict.validate_python(secret.to_dict(mode="json"), strict=True)
    assert secret.value.startswith("ek_")
    session = secret.session.to_dict()
    assert session["id"].startswith("sess_")
    assert session["expires_at"] == 0
    assert session["model"] == "gpt-realtime-mini"
    assert session["instructions"] == "Speak like a pirate."
    assert session["truncation"] == "auto"
    assert session["audio"]["output"]["speed"] == 1.0
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "low",
        "create_response": True,
        "interrupt_response": True,
    }


def test_a_secret_lasts_ten_minutes_unless_said_otherwise(gateway):
    def life(body):
        app = door(clock=InstantClock(1_785_000_000.0)).app
        path = "/v1/realtime/client_secrets"
        status, answer = in_process(
            app, "POST", path, body, content_type="application/json"
        )
        assert status == 200
        return answer["expires_at"] - 1_785_000_000

    assert life(b"{}") == 600
    assert life(b'{"expires_after": {"anchor": "created_at"}}') == 600
    assert life(b'{"expires_after": {"seconds": 10}}') == 10
    assert life(b'{"expires_after": {"seconds": 7200}}') == 7200


BAD_SECRETS = [
    ({"expires_after": {"seconds": 9}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"seconds": 7201}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"seconds": 10.5}}, "invalid_type", "expires_after.seconds"),
    ({"expires_after": {"anchor": "now"}}, "invalid_value", "expires_after.anchor"),
    ({"expires_at": 1}, "unknown_parameter", "expires_at"),
    ({"session": 3}, "invalid_type", "session"),
    ({"session": {}}, "missing_required_parameter", "session.type"),
    ({"session": {"type": "opera"}}, "invalid_value", "session.type"),
    ({"session": {"type": "realtime", "model": 4}}, "invalid_type", "session.model"),
    (
        {"session": {"type": "realtime", "voice": "alloy"}},
        "unknown_parameter",
        "session.voice",
    ),
    (
        {"session": {"type": "realtime", "audio": {"output": {"voice": "darth"}}}},
        "invalid_value",
        "session.audio.output.voice",
    ),
    (
        {"session": {"type": "transcription", "model": "gpt-realtime"}},
        "unknown_parameter",
        "session.model",
    ),
    (
        {"session": {"type": "realtime", "id": "sess_mine"}},
        "unknown_parameter",
        "session.id",
    ),
]


@pytest.mark.parametrize(("body", "code", "param"), BAD_SECRETS)
def test_a_bad_secret_is_refused_as_session_update_is(gateway, body, code, param):
    path = "/v1/realtime/client_secrets"
    assert refused(gateway, "POST", path, body)[:3] == (400, code, param)


def test_more_secrets_than_may_be_are_429():
    gateway = door()
    for _ in range(MOST_SECRETS):
        gateway._client_secrets.mint({}, seconds=60, now=1_785_000_000.0)
    path = "/v1/realtime/client_secrets"
    status, answer = in_process(
        gateway.app, "POST", path, b"{}", content_type="application/json"
    )
    assert (status, answer["error"]["type"]) == (429, "rate_limit_error")
    assert "try again in 60s" in answer["error"]["message"]


@pytest.mark.parametrize("name", ["sessions", "transcription_sessions"])
def test_the_routes_of_the_beta_are_told_to_migrate(gateway, name):
    given = refused(gateway, "POST", f"/v1/realtime/{name}", {})
    assert given[:2] == (400, "beta_api_shape_disabled")


async def first_event(gateway, key, *, path="/v1/realtime", then=None, **options):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with websockets.connect(
        f"ws://127.0.0.1:{gateway.port}{path}",
        additional_headers=headers,
        compression=None,
        **options,
    ) as socket:
        event = json.loads(await asyncio.wait_for(socket.recv(), 30))
        if then is not None:
            await socket.send(json.dumps(then))
            event = json.loads(await asyncio.wait_for(socket.recv(), 30))
        return event, socket.subprotocol


def test_a_session_opened_with_a_secret_has_its_settings(gateway):
    _, _, secret = mint(gateway, {"session": BOUND})
    for _ in range(2):  # a secret may be used again
        event, _ = asyncio.run(first_event(gateway, secret["value"]))
        session = event["session"]
        assert event["type"] == "session.created"
        assert session["expires_at"] > 0
        assert {**session, "id": "", "expires_at": 0} == {**secret["session"], "id": ""}


def test_the_client_may_override_what_is_bound(gateway):
    _, _, secret = mint(gateway, {"session": BOUND})
    override = {"type": "realtime", "instructions": "Speak like a lawyer."}
    event, _ = asyncio.run(
        first_event(
            gateway,
            secret["value"],
            path="/v1/realtime?model=gpt-realtime-2",
            then={"type": "session.update", "session": override},
        )
    )
    assert event["type"] == "session.updated"
    assert event["session"]["instructions"] == "Speak like a lawyer."
    assert event["session"]["audio"]["output"]["voice"] == "cedar"
    assert event["session"]["model"] == "gpt-realtime-2"


def test_a_page_shows_its_secret_as_a_subprotocol(gateway):
    _, _, secret = mint(gateway)
    offered = ["realtime", f"openai-insecure-api-key.{secret['value']}"]
    event, accepted = asyncio.run(
        first_event(gateway, None, subprotocols=offered, origin=PAGE)
    )
    assert (event["type"], accepted) == ("session.created", "realtime")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/realtime/client_secrets"), ("POST", "/rtnb/tickets")],
)
def test_a_secret_does_not_open_what_is_its_owners(gateway, method, path):
    _, _, secret = mint(gateway)
    given = refused(gateway, method, path, {}, key=secret["value"])
    assert given[:2] == (403, "insufficient_permissions")
    with pytest.raises(InvalidStatus) as caught:
        asyncio.run(first_event(gateway, secret["value"], path="/rtnb/tap"))
    assert caught.value.response.status_code == 403


def test_an_expired_secret_is_refused_and_an_unknown_one_otherwise():
    clock = InstantClock(1_785_000_000.0)
    gateway = door(clock=clock)
    path = "/v1/realtime/client_secrets"
    body = b'{"expires_after": {"seconds": 10}}'
    _, secret = in_process(
        gateway.app, "POST", path, body, content_type="application/json"
    )

    def listed():
        key = f"Bearer {secret['value']}"
        return in_process(gateway.app, "GET", "/v1/models", authorization=key)

    asyncio.run(clock.sleep(9.5))
    assert listed()[0] == 200
    asyncio.run(clock.sleep(0.5))
    status, answer = listed()
    assert (status, answer["error"]["code"]) == (401, "token_expired")
    assert answer["error"]["message"] == "Ephemeral token expired"
    never = in_process(
        gateway.app, "GET", "/v1/models", authorization="Bearer ek_" + 32 * "0"
    )
    assert (never[0], never[1]["error"]["code"]) == (401, "invalid_api_key")


def test_an_expired_secret_opens_no_socket():
    clock = InstantClock(1_785_000_000.0)
    gateway = door(clock=clock)
    value, _ = gateway._client_secrets.mint(BOUND, seconds=10, now=clock.now())
    page = {
        "host": "localhost",
        "sec-websocket-protocol": f"realtime, openai-insecure-api-key.{value}",
    }
    assert gateway._refusal(page, "token or client secret") is None
    asyncio.run(clock.sleep(10))
    refused = gateway._refusal(page, "token or client secret")
    assert json.loads(refused.body)["error"]["code"] == "token_expired"


def test_no_key_is_ever_logged(tmp_path):
    log = tmp_path / "log"
    with log.open("w") as stderr:
        running = start_gateway("--token", "tok_visible", stderr=stderr)
    try:
        _, _, secret = mint(running, {"session": BOUND})
        value = secret["value"]
        offered = ["realtime", f"openai-insecure-api-key.{value}"]
        asyncio.run(first_event(running, None, subprotocols=offered))
        asyncio.run(first_event(running, value))
        for key in ("tok_wrong", value):
            with pytest.raises(InvalidStatus):
                asyncio.run(first_event(running, key, path="/rtnb/tap"))
            ask(running, "POST", "/v1/realtime/client_secrets", b"{", key=key)
    finally:
        stop_gateway(running)
    said = log.read_text()
    assert "session.opened" in said
    for hidden in (value, value[3:], "tok_", "pirate"):
        assert hidden not in said


def test_the_official_client_converses_with_a_secret(client, gateway):
    secret = client.realtime.client_secrets.create(session=BOUND)
    key = secret.value
    with OpenAI(api_key=key, base_url=gateway.http, max_retries=0) as page:
        assert page.models.list().data
        with page.realtime.connect(model="gpt-realtime-mini") as connection:
            created = connection.recv()
            assert created.session.instructions == "Speak like a pirate."
            content = [{"type": "input_text", "text": "hello"}]
            connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": content}
            )
            connection.response.create()
            while (event := connection.recv()).type != "response.done":
                pass
    assert event.response.status == "completed"
    assert event.response.output[0].content[0].text


def test_the_asynchronous_official_client_does_all_that_too(gateway):
    async def scenario():
        async with AsyncOpenAI(
            api_key=gateway.token, base_url=gateway.http, max_retries=0
        ) as owner:
            secret = await owner.realtime.client_secrets.create()
            names = [model.id async for model in owner.models.list()]
        async with AsyncOpenAI(
            api_key=secret.value, base_url=gateway.http, max_retries=0
        ) as page:
            request = page.audio.speech.with_streaming_response.create(
                **SPEECH, response_format="pcm"
            )
            async with request as answer:
                size = sum([len(piece) async for piece in answer.iter_bytes()])
            with pytest.raises(APIStatusError) as caught:
                await page.realtime.client_secrets.create()
            return names, size, caught.value.status_code

    names, size, status = asyncio.run(scenario())
    assert names == list(models())
    assert size > 12_000
    assert status == 403


# -- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/audio/speech", "POST"),
        ("PUT", "/v1/realtime/client_secrets", "POST"),
        ("DELETE", "/v1/models/gpt-realtime", "GET"),
        ("GET", "/rtnb/tickets", "POST"),
    ],
)
def test_another_method_is_405(gateway, method, path, allowed):
    status, headers, answer = ask(gateway, method, path)
    assert status == 405
    assert allowed in headers["Allow"]
    assert answer["error"]["code"] == "method_not_supported"
    assert f"{method} on {path}" in answer["error"]["message"]


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/chat/completions", "/v1/realtime", "/v1/audio/speech/"],
)
def test_an_unknown_address_is_404(gateway, path):
    status, _, _, message = refused(gateway, "POST", path, {})
    assert (status, message) == (404, f"Invalid URL (POST {path})")


def test_an_unknown_socket_is_404(gateway):
    with pytest.raises(InvalidStatus) as caught:
        asyncio.run(first_event(gateway, gateway.token, path="/v1/nothing"))
    assert caught.value.response.status_code == 404
    assert "Invalid URL" in json.loads(caught.value.response.body)["error"]["message"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"[]", "invalid_type"),
        (b"3", "invalid_type"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/realtime/client_secrets"])
def test_a_body_that_is_no_json_object_is_refused(gateway, path, body, code):
    assert refused(gateway, "POST", path, body)[:2] == (400, code)


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded"]
)
def test_another_content_type_is_415(gateway, kind):
    headers = {"Content-Type": kind}
    given = refused(gateway, "POST", "/v1/audio/speech", SPEECH, headers=headers)
    assert given[0] == 415
    assert "application/json" in given[3]


def test_a_content_type_may_have_a_charset(gateway):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert mint(gateway, headers=headers)[0] == 200


def test_a_body_that_is_too_large_is_413(gateway):
    body = json.dumps({"model": "a", "input": LARGEST_BODY * "a"}).encode()
    given = refused(gateway, "POST", "/v1/audio/speech", body)
    assert given[0] == 413
    assert str(LARGEST_BODY) in given[3]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/gpt-realtime"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/realtime/client_secrets"),
    ],
)
def test_every_route_wants_a_key(gateway, method, path):
    nothing = {"Authorization": None}
    assert refused(gateway, method, path, headers=nothing)[:2] == (401, None)
    wrong = {"Authorization": "Bearer wrong"}
    assert refused(gateway, method, path, headers=wrong)[0] == 401
    foreign = {"Origin": "https://evil.example"}
    assert refused(gateway, method, path, headers=foreign)[0] == 403
    rebound = {"Host": "evil.example"}
    assert refused(gateway, method, path, headers=rebound)[0] == 403


# -- pages -------------------------------------------------------------------------------

PREFLIGHT = {
    "Authorization": None,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os",
}


def test_a_page_on_this_machine_may_call(gateway):
    headers = {**PREFLIGHT, "Origin": PAGE}
    path = "/v1/audio/speech"
    status, allowed, body = ask(gateway, "OPTIONS", path, headers=headers)
    assert (status, body) == (204, b"")
    assert allowed["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in allowed["Access-Control-Allow-Methods"]
    assert "x-stainless-os" in allowed["Access-Control-Allow-Headers"]
    _, _, secret = mint(gateway)
    status, headers, _ = ask(
        gateway, "GET", "/v1/models", key=secret["value"], headers={"Origin": PAGE}
    )
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Vary"] == "Origin"


def test_a_page_may_read_its_refusal(gateway):
    status, headers, answer = ask(
        gateway, "GET", "/v1/models", key="wrong", headers={"Origin": PAGE}
    )
    assert status == 401
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert answer["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://["])
def test_a_page_elsewhere_may_not(gateway, origin):
    headers = {**PREFLIGHT, "Origin": origin}
    status, allowed, _ = ask(gateway, "OPTIONS", "/v1/models", headers=headers)
    assert status >= 400
    assert "Access-Control-Allow-Origin" not in allowed
