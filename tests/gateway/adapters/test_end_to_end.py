"""Turns of a real session through a real gateway with models of the user's own."""

import json
import urllib.request

import pytest
from starlette.responses import JSONResponse, Response

import rtnb
from rtnb import doctor
from rtnb.cli import main
from rtnb.errors import ConfigError, EngineError
from rtnb.local import start_gateway as start_local_gateway
from tests.gateway.adapters.servers import (
    PATIENCE_S,
    Model,
    Stalled,
    call,
    chunk,
    events,
    nowhere,
    says,
    served,
)
from tests.gateway.conftest import start_gateway, stop_gateway


@pytest.fixture
def session(tmp_path):
    """A session whose engine's parts are these models."""
    opened = []

    def connect(**urls):
        file = tmp_path / "rtnb.toml"
        file.write_text(
            "\n".join(f'[{part}]\nurl = "{url}"' for part, url in urls.items())
        )
        opened.append(rtnb.connect(models=file))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def test_a_typed_turn_with_a_tool_is_answered_aloud(session):
    asked = []

    def temperature(room: str) -> str:
        """Temperature of a room."""
        asked.append(room)
        return "21 degrees"

    wants = events(
        chunk("Let me look. "),
        chunk(calls=[call(0, "temperature", '{"room": "kit', "c")]),
        chunk(calls=[call(0, arguments='chen"}')]),
        chunk(finish="tool_calls"),
    )
    model = Model(replies=[wants, says("It is ", "21 degrees ", "there.")])
    with served(model) as url:
        with session(chat=url) as one:
            one.configure(instructions="Be brief.", tools=[temperature])
            turn = one.say("How warm is the kitchen?").wait(timeout=PATIENCE_S)
        assert turn.status == "done"
        assert asked == ["kitchen"]
        assert turn.text.endswith("It is 21 degrees there.")
        assert turn.audio.duration > 1.0
    first, second = model.requests
    assert first["model"] == "tiny"
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How warm is the kitchen?"},
    ]
    called, result = second["messages"][2:]
    assert called["content"] == "Let me look."
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {
        "room": "kitchen"
    }
    assert result["tool_call_id"] == called["tool_calls"][0]["id"]
    assert result["content"] == "21 degrees"


def test_speaking_over_an_answer_closes_its_stream(session):
    model = Model(
        replies=[
            Stalled(events(chunk("One. Two. "), done=False)),
            says("Yes?"),
        ]
    )
    with served(model) as url, session(chat=url) as one:
        counting = one.say("Count.")
        assert model.begun.wait(PATIENCE_S)
        assert not model.gone.is_set()
        turn = one.send_audio(rtnb.Clip.example("austen-0880"), realtime=False)
        assert model.gone.wait(PATIENCE_S), "the model goes on for nobody"
        turn.wait(timeout=PATIENCE_S)
        assert (counting.status, turn.text) == ("cancelled", "Yes?")
    last = model.requests[1]["messages"][-1]
    assert (last["role"], last["content"]) == ("user", f"Count.\n{turn.user_text}")


def test_a_failure_ends_the_response_in_words(session):
    model = Model(replies=[JSONResponse({"error": {"message": "out of memory"}}, 500)])
    with served(model) as url, session(chat=url) as one:
        turn = one.say("Hello.")
        with pytest.raises(EngineError):
            turn.wait(timeout=PATIENCE_S)
        assert turn.status == "failed"
        assert "the chat model at http://127.0.0.1" in str(turn.error)
        assert "answered 500: out of memory" in str(turn.error)


def test_a_gateway_does_not_start_where_nobody_answers(session):
    with pytest.raises(EngineError, match=r"cannot be reached .*start it"):
        session(chat="http://127.0.0.1:9")


def test_ears_and_mouth_of_other_servers_hold_a_spoken_turn(
    session, gateway, monkeypatch
):
    """The voice is that of a second gateway, which is a real speech server."""
    monkeypatch.setenv("OTHER_TOKEN", gateway.token)
    heard = JSONResponse({"text": "What is two plus three?"})
    ears = Model(replies=[heard])
    mouth = f'{gateway.http}"\nkey_env = "OTHER_TOKEN"\nmodel = "gpt-realtime'
    with served(ears) as url, session(stt=url, tts=mouth) as one:
        turn = one.send_audio(rtnb.Clip.example("austen-0880"), realtime=False)
        turn.wait(timeout=PATIENCE_S)
        assert turn.user_text == "What is two plus three?"
        assert turn.text == "2 plus 3 is 5."
        assert turn.audio.duration > 0.5
        assert abs(turn.audio.samples).max() > 0.05
    name, data = ears.requests[0]["file"]
    assert name == "speech.wav"
    assert len(data) > 32_000


def test_semantic_vad_goes_by_silence_where_ears_do_not_judge(session):
    ears = Model(replies=[JSONResponse({"text": "Hello."})])
    with served(ears) as url, session(stt=url) as one:
        one.configure(turn_detection=rtnb.SemanticVad(eagerness="high"))
        clip = rtnb.Clip.example("austen-0880") + rtnb.Clip.silence(3.0, 16_000)
        turn = one.send_audio(clip, realtime=False).wait(timeout=PATIENCE_S)
        assert turn.user_text == "Hello."


def test_a_voice_that_fails_ends_the_response_in_words(session):
    pcm = Response(bytes(4800), media_type="audio/pcm")
    failing = JSONResponse({"detail": "out of memory"}, 500)
    with served(Model(replies=[pcm, failing])) as url, session(tts=url) as one:
        turn = one.say("Hello.")
        with pytest.raises(EngineError, match=r"the voice at .*500: out of memory"):
            turn.wait(timeout=PATIENCE_S)


def test_cancelling_an_answer_silences_its_voice(session):
    tried = Response(bytes(4800), media_type="audio/pcm")
    replies = [tried, Stalled(bytes(24_001))]
    model = Model(replies=replies, size=4096, media_type="audio/pcm")
    with served(model) as url, session(tts=url) as one:
        turn = one.say("Hello.")
        assert model.begun.wait(PATIENCE_S)
        one.cancel()
        assert model.gone.wait(PATIENCE_S), "the voice speaks on for nobody"
        assert turn.wait(timeout=PATIENCE_S).status == "cancelled"


def test_the_gateway_serves_speech_of_another_voice(tmp_path):
    pcm = bytes(range(200)) * 48
    model = Model(replies=[Response(bytes(4800)), pcm], media_type="audio/pcm")
    with served(model) as url:
        running = start_gateway("--tts", url, "--tts-voice", "af_heart")
        try:
            asked = {"model": "m", "voice": "marin", "input": "Hello."}
            request = urllib.request.Request(
                f"{running.http}/audio/speech",
                data=json.dumps({**asked, "response_format": "pcm"}).encode(),
                headers={
                    "Authorization": f"Bearer {running.token}",
                    "Content-Type": "application/json",
                },
            )
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                assert answer.read() == pcm
        finally:
            stop_gateway(running)
    assert model.requests[-1]["voice"] == "af_heart"


# -- who chooses -----------------------------------------------------------------------


def test_connect_leaves_a_file_in_the_folder_alone(tmp_path, monkeypatch):
    """Nothing is spent and nobody is spoken to unless it was asked for."""
    (tmp_path / "rtnb.toml").write_text('[chat]\nurl = "http://127.0.0.1:9"\n')
    monkeypatch.chdir(tmp_path)
    gateway = start_local_gateway()
    gateway.close()


def test_models_are_for_the_embedded_engine_only(tmp_path):
    with pytest.raises(
        ConfigError, match=r"models and .* for the embedded engine only"
    ):
        rtnb.connect("openai", model="m", api_key="k", models=tmp_path / "rtnb.toml")


def test_a_chat_model_and_a_script_do_not_both_answer(tmp_path, capsys):
    script = tmp_path / "rules.toml"
    script.write_text('[[rule]]\nthen = "Hi."\n')
    assert main(["serve", "--chat", "http://127.0.0.1:9", "--script", str(script)]) == 1
    assert "both answer" in capsys.readouterr().err


def test_serve_finds_the_file_of_its_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "rtnb.toml").write_text('[chat]\nmodle = "m"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["serve"]) == 1
    assert "did you mean 'model'?" in capsys.readouterr().err


def test_serve_says_what_answered_and_keeps_the_key_to_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    log = tmp_path / "log"
    model = Model(replies=[says("Hi.")])
    with served(model) as url, log.open("w") as stderr:
        arguments = ("--chat", url, "--chat-key-env", "MY_KEY")
        running = start_gateway(*arguments, stderr=stderr)
        try:
            with rtnb.connect(url=running.url, api_key=running.token) as one:
                one.configure(output_modalities="text")
                assert one.say("Hello.").wait(timeout=PATIENCE_S).text == "Hi."
        finally:
            stop_gateway(running)
    assert f"rtnb: the chat model: tiny, at {url}, with the key in MY_KEY" in (
        log.read_text()
    )
    assert "secret" not in log.read_text()
    assert model.headers[-1]["authorization"] == "Bearer sk-very-secret"


def test_the_doctor_says_what_answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(doctor._models()) == []
    with served(Model()) as url:
        (tmp_path / "rtnb.toml").write_text(
            f'[chat]\nurl = "{url}"\n[stt]\nurl = "{nowhere()}"\n'
        )
        chat, stt = doctor._models()
    assert (chat.name, chat.state) == ("[chat]", "ok")
    assert chat.found == f"tiny, at {url}"
    assert (stt.name, stt.state, stt.required) == ("[stt]", "broken", False)
    assert "start it, or correct its url" in stt.found


def test_the_doctor_reads_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtnb.toml").write_text("[caht]")
    (finding,) = doctor._models()
    assert (finding.state, finding.required) == ("broken", False)
    assert "did you mean 'chat'?" in finding.found
