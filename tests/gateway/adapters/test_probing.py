"""Models are tried before anybody talks to them, and what is wrong is said."""

import numpy as np
import pytest
from starlette.responses import JSONResponse, RedirectResponse

from rtnb.errors import ConfigError, EngineError, MissingExtra
from rtnb.gateway.adapters.probing import probe, probe_all
from rtnb.gateway.adapters.settings import (
    ChatSettings,
    Models,
    SttSettings,
    TtsSettings,
)
from tests.gateway.adapters.servers import Model, nowhere, served

KINDS = {"chat": ChatSettings, "stt": SttSettings, "tts": TtsSettings}
PCM = np.ones(2400, "<i2").tobytes()
ANSWERED = JSONResponse({"choices": [{"message": {"content": "Hi"}}]})


def tried(server, part="chat", **settings):
    with served(server) as url:
        return probe(part, KINDS[part](url=url, **settings))


def refused(server, part="chat", error=EngineError, **settings):
    with pytest.raises(error) as caught:
        tried(server, part, **settings)
    return str(caught.value)


def test_a_listed_chat_model_is_not_troubled():
    model = Model(models=["a", "b"])
    found = tried(model, model="b")
    assert found.found.startswith("the chat model: b, of 2 there, at http://127.0.0.1")
    assert model.requests == []


def test_the_only_model_need_not_be_named():
    assert tried(Model(models=["tiny"])).settings.model == "tiny"


def test_a_tag_may_be_left_out():
    model = Model(models=["llama3.2:latest", "b"])
    assert tried(model, model="llama3.2").settings.model == "llama3.2"
    assert model.requests == []


def test_one_of_several_models_must_be_named():
    names = [f"m{number}" for number in range(12)]
    said = refused(Model(models=names), error=ConfigError)
    assert said.startswith("which model?")
    assert "'m0', 'm1'" in said
    assert "and 4 more" in said
    assert "as model under [chat], or as --chat-model" in said


def test_a_model_that_is_not_listed_may_answer_all_the_same():
    model = Model(models=["a"], replies=[ANSWERED])
    assert tried(model, model="b", extra={"top_p": 1}).settings.model == "b"
    assert model.requests[0]["max_tokens"] == 1
    assert model.requests[0]["top_p"] == 1


def test_a_model_that_is_not_there_is_told_what_is():
    missing = JSONResponse({"error": {"message": "model not found"}}, 404)
    said = refused(Model(models=["llama3.2", "qwen"], replies=[missing]), model="lama3")
    assert "answered 404: model not found; did you mean 'llama3.2'?" in said
    assert "It has 'llama3.2', 'qwen'" in said


@pytest.mark.parametrize("part", KINDS)
def test_a_server_without_a_list_is_tried(part):
    replies = {"chat": ANSWERED, "stt": JSONResponse({"text": ""}), "tts": PCM}
    model = Model(models=None, replies=[replies[part]], media_type="audio/pcm")
    assert "its only model" in tried(model, part).found
    assert len(model.requests) == 1


def test_a_voice_is_always_tried():
    model = Model(models=["tiny"], replies=[PCM], media_type="audio/pcm")
    tried(model, "tts", voice="af_heart")
    assert (model.requests[0]["model"], model.requests[0]["voice"]) == (
        "tiny",
        "af_heart",
    )


def test_a_voice_that_is_unknown_is_named():
    unknown = JSONResponse({"detail": "voice not found"}, 400)
    said = refused(Model(replies=[unknown]), "tts")
    assert "voice not found; it was asked for the voice 'alloy'" in said


@pytest.mark.parametrize(
    ("reply", "words"), [(b"", "made no sound"), (b"OggS1234", "sent ogg")]
)
def test_a_voice_that_cannot_be_played_is_found_out(reply, words):
    assert words in refused(Model(replies=[reply], media_type="audio/pcm"), "tts")


def test_a_silent_recording_is_enough_for_a_recogniser():
    model = Model(models=["a"], replies=[JSONResponse({"text": ""})])
    tried(model, "stt", model="b", stream=True)
    name, data = model.requests[0]["file"]
    assert (name, len(data)) == ("silence.wav", 44 + 16_000)
    assert model.requests[0]["stream"] == "false"


@pytest.mark.parametrize("part", KINDS)
def test_nobody_there_is_said_in_words(part):
    with pytest.raises(EngineError, match=r"cannot be reached .*start it, or correct"):
        probe(part, KINDS[part](url=nowhere()))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (JSONResponse({"error": {"message": "who are you?"}}, 401), "as key_env"),
        (RedirectResponse("http://elsewhere.example"), "is not followed"),
    ],
)
def test_a_list_that_is_refused_ends_the_attempt(reply, words, monkeypatch):
    model = Model()
    monkeypatch.setattr(model, "_list", lambda: reply)
    assert words in refused(model)


@pytest.mark.parametrize("body", [[], {}, {"data": 3}, {"data": ["a"]}])
def test_a_list_that_is_none_is_no_list(body, monkeypatch):
    model = Model(replies=[ANSWERED])
    monkeypatch.setattr(model, "_list", lambda: JSONResponse(body))
    assert tried(model).settings.model == ""


def test_the_key_is_named_and_not_shown(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    model = Model()
    found = tried(model, key_env="MY_KEY")
    assert "with the key in MY_KEY" in found.found
    assert "secret" not in str(found)
    assert model.headers[0]["authorization"] == "Bearer sk-very-secret"


def test_every_part_is_tried_and_settled():
    with served(Model(models=["a"])) as chat, served(Model(models=["b"])) as stt:
        models = Models(chat=ChatSettings(url=chat), stt=SttSettings(url=stt))
        said = []
        settled = probe_all(models, say=said.append)
    assert (settled.chat.model, settled.stt.model, settled.tts) == ("a", "b", None)
    assert said[0] == f"trying the chat model, {chat}"
    assert [line.partition(":")[0] for line in said[1::2]] == [
        "the chat model",
        "the recogniser",
    ]


@pytest.mark.parametrize("host", ["h" * 300, "a b", "h\x7f"])
def test_an_address_that_cannot_be_is_said_in_words(host):
    with pytest.raises(EngineError, match="the chat model at"):
        probe("chat", ChatSettings(url=f"http://{host}/v1"))


def test_without_httpx_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"rtnb\[models\]"):
        probe("chat", ChatSettings(url=nowhere()))
